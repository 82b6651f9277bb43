/**
 * The user's credentials for proxies: a fresh token for every request.
 *
 * @module
 */

import { openInitiator } from "../../contexts/open.ts";
import type { Credentials, Initiator, ProviderSystem, SecurityContext } from "../../contract.ts";
import { AuthenticationError, ProtocolError, SecureSocketError, StateError } from "../../errors.ts";
import type { Registry } from "../../plugins/registry.ts";
import { decodeToken, formatToken, parseChallenges, tokenOf } from "../fields.ts";

/** How tokens for proxies are made. */
export interface ProxySignOnOptions {
  /** The providers to select from; left out: `[negotiate()]`. */
  readonly registry?: Registry;
  /** Who to be; left out: the user that runs the process. */
  readonly credentials?: Credentials;
  /** The system to use; left out: one for the whole process. */
  readonly system?: ProviderSystem;
}

/**
 * How long acquired credentials are used. A ticket of another user, another default cache, or a cache of a collection
 * that became the primary one is in use after this time; one that has expired is noticed at once.
 */
const FRESH_MS = 5000;

/** Credentials in use; closed by the last user after they were replaced. */
interface Lease {
  readonly initiator: Initiator;
  readonly openedAt: number;
  users: number;
  retired: boolean;
}

/** A context for a proxy, and the field that begins it. */
export interface ProxyContext {
  readonly context: SecurityContext;
  /** The value of Proxy-Authorization. */
  field: string;
}

/** Makes tokens for proxies. One owner; closing twice is harmless. */
export class ProxySignOn {
  readonly #options: ProxySignOnOptions;
  /** Whether acquiring again costs nothing but a look at the cache. */
  readonly #renewable: boolean;
  #lease: Lease | null = null;
  #opening: Promise<Lease> | null = null;
  #closed = false;

  constructor(options: ProxySignOnOptions) {
    this.#options = options;
    this.#renewable = options.credentials === undefined || "cache" in options.credentials;
  }

  /**
   * Begins a context with the service `target`. The caller closes it.
   *
   * @throws AuthenticationError if there is no ticket, or it has expired; the next call looks again.
   */
  async begin(target: string, signal?: AbortSignal): Promise<ProxyContext> {
    const before = this.#lease;
    const lease = await abortable(this.#current(), signal);
    try {
      return await this.#first(lease, target, signal);
    } catch (error) {
      if (!(error instanceof AuthenticationError)) throw error;
      this.#retire(lease);
      // Older credentials may be of a cache that was replaced: look once more.
      if (lease !== before || !this.#renewable) throw error;
    }
    return await this.#first(await abortable(this.#current(), signal), target, signal);
  }

  async #first(lease: Lease, target: string, signal?: AbortSignal): Promise<ProxyContext> {
    lease.users++;
    let context: SecurityContext | undefined;
    try {
      context = lease.initiator.initiate({ target, signal });
      const { token } = await context.step();
      return { context, field: formatToken("Negotiate", token) };
    } catch (error) {
      context?.close();
      throw error;
    } finally {
      lease.users--;
      release(lease);
    }
  }

  #current(): Promise<Lease> {
    if (this.#closed) throw new StateError("The sign-on is closed; make another");
    const lease = this.#lease;
    if (lease !== null && !(this.#renewable && Date.now() - lease.openedAt > FRESH_MS)) {
      return Promise.resolve(lease);
    }
    return this.#opening ??= this.#open().finally(() => this.#opening = null);
  }

  async #open(): Promise<Lease> {
    const { registry, credentials, system } = this.#options;
    let initiator: Initiator;
    try {
      initiator = await openInitiator({ registry, credentials, system });
    } catch (error) {
      if (this.#lease !== null) this.#retire(this.#lease);
      throw error;
    }
    const lease = { initiator, openedAt: Date.now(), users: 0, retired: false };
    if (this.#lease !== null) this.#retire(this.#lease);
    if (this.#closed) {
      initiator.close();
      throw new StateError("The sign-on was closed while credentials were acquired");
    }
    return this.#lease = lease;
  }

  #retire(lease: Lease): void {
    if (this.#lease === lease) this.#lease = null;
    lease.retired = true;
    release(lease);
  }

  /** Releases the credentials; contexts that have begun stay usable. */
  close(): void {
    this.#closed = true;
    if (this.#lease !== null) this.#retire(this.#lease);
  }
}

function release(lease: Lease): void {
  if (lease.retired && lease.users === 0) lease.initiator.close();
}

/** Rejects with the signal's reason as soon as it is aborted; what is waited for is shared, and goes on. */
async function abortable<T>(pending: Promise<T>, signal?: AbortSignal): Promise<T> {
  if (signal === undefined) return await pending;
  signal.throwIfAborted();
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const onAbort = (): void => reject(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await Promise.race([pending, aborted]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

/**
 * The token in the fields of a proxy's answer.
 *
 * @returns `null` if Negotiate is offered without a token, `undefined` if there is none.
 * @throws ProtocolError if the fields are malformed, or there are several tokens.
 */
export function answerToken(fields: readonly string[]): Uint8Array | null | undefined {
  const token = tokenOf(parseChallenges(fields), "negotiate");
  return typeof token === "string" ? decodeToken(token) : token;
}

/**
 * Verifies the token in a proxy's answer of success. Few proxies send one, and none in the answer to CONNECT, so
 * that a missing one is not an error.
 *
 * @throws AuthenticationError, ProtocolError or SecurityRequirementError if there is one, and it does not prove that
 * the proxy is the target.
 */
export async function verifyAnswer(context: SecurityContext, fields: readonly string[]): Promise<void> {
  const token = answerToken(fields);
  if (token === null || token === undefined) return;
  try {
    const { done, token: next } = await context.step(token);
    if (!done || (next?.length ?? 0) > 0) {
      throw new ProtocolError("unexpected-message", "The proxy's token does not complete the exchange");
    }
  } catch (error) {
    if (error instanceof SecureSocketError) throw error;
    throw new ProtocolError("malformed", "The proxy's token cannot be read", { cause: error });
  }
}
