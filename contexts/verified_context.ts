/**
 * A security context that reports nothing, and protects nothing, before everything required of it has been verified.
 *
 * @module
 */

import type {
  ChannelBindings,
  Initiator,
  PeerIdentity,
  ProviderContext,
  ProviderCredentials,
  ResolvedRequirements,
  SecurityContext,
  SecurityInfo,
  StepResult,
  UnwrapOptions,
  Unwrapped,
  WrapOptions,
} from "../contract.ts";
import { ProtocolError, SecurityRequirementError, StateError } from "../errors.ts";
import { bindingBytes } from "./channel_bindings.ts";
import { runAsClient } from "./impersonation.ts";
import { peerOf } from "./peer.ts";
import { type ContextTerms, describeSecurity, type Origin, refuseExpired, verifyContext } from "./verify.ts";

/** How many tokens one end may consume; Kerberos needs two, NTLM in SPNEGO four. */
const MAX_LEGS = 16;

/** What serves a context. */
export interface Served {
  /** What the context is made from; its owner keeps it open until the context is closed. */
  readonly credentials: ProviderCredentials;
  /** What was asked for, raised by the floor of each policy. */
  readonly requirements: ResolvedRequirements;
  /** Who serves, and on what ground. */
  readonly origin: Origin;
}

/** What a context is made from. */
export interface VerifiedContextOptions extends Omit<ContextTerms, "requirements"> {
  /** A client's: the server's SPN. */
  readonly target?: string;
  /** What is compared, or sent. */
  readonly bindings?: ChannelBindings;
  /** Ends every wait; its reason is rethrown unchanged. */
  readonly signal?: AbortSignal;
  /** What serves: on a server by the client's first token. */
  readonly serve: (first: Uint8Array | null) => Served | Promise<Served>;
  /** What serves after a client's first leg has failed; `null`: nothing else does. Called once. */
  readonly renew?: (failed: Served, error: unknown) => Promise<Served | null>;
  /** Makes an initiator of credentials that a client delegated, which become its own. */
  readonly delegate?: (credentials: ProviderCredentials, served: Served) => Initiator;
}

/** One end of one conversation. One owner; closing twice is harmless. */
export class VerifiedContext implements SecurityContext {
  /** Resolves once no call into the provider is under way: after an abort one may go on for long. */
  idle: Promise<void> = Promise.resolve();
  /** Whether a call into the provider is under way. */
  stepping = false;
  readonly #options: VerifiedContextOptions;
  #state: "ready" | "stepping" | "done" | "failed" | "closed" = "ready";
  #legs = 0;
  #served: Served | null = null;
  #inner: ProviderContext | null = null;
  #security: SecurityInfo | null = null;
  /** A client that is done before its peer's last token takes that, once, and believes nothing of it. */
  #tookLast = false;

  /** Asks and opens nothing. */
  constructor(options: VerifiedContextOptions) {
    this.#options = options;
  }

  get done(): boolean {
    return this.#state === "done";
  }

  async step(token: Uint8Array | null = null): Promise<StepResult> {
    if (this.#state === "stepping") throw new StateError("A step is under way; await it before the next");
    if (this.#state === "done") return this.#last(token);
    this.#requireOpen("step");
    const opening = this.#options.role === "client" && this.#legs === 0;
    if (!opening && !(token instanceof Uint8Array)) {
      throw new TypeError("token must be a Uint8Array; only a client's first step takes none");
    }
    if (++this.#legs > MAX_LEGS) {
      this.#fail();
      throw new ProtocolError("unexpected-message", `The exchange was not over after ${MAX_LEGS} tokens`);
    }
    this.#state = "stepping";
    try {
      // A copy: what serves may have to be waited for first.
      const result = await this.#leg(opening ? token : new Uint8Array(token!));
      this.#requireOpen("step");
      if (result.done) this.#establish();
      else if (result.token === null || result.token.length === 0) {
        throw new ProtocolError(
          "empty",
          "The provider made no token although it is not done; report this to it",
        );
      }
      this.#state = result.done ? "done" : "ready";
      return result;
    } catch (error) {
      this.#fail();
      throw error;
    }
  }

  #last(token: Uint8Array | null): StepResult {
    if (this.#options.role === "client" && token instanceof Uint8Array && !this.#tookLast) {
      this.#tookLast = true;
      return { token: null, done: true };
    }
    throw new StateError("The exchange is complete; step() takes no further token");
  }

  async #leg(token: Uint8Array | null): Promise<StepResult> {
    const { signal } = this.#options;
    signal?.throwIfAborted();
    if (this.#inner !== null) return await this.#race(this.#inner.step(token));
    const serving = this.#options.serve(token);
    const served = serving instanceof Promise ? await this.#race(serving) : serving;
    const opening = this.#open(served);
    if (opening !== undefined) await opening;
    try {
      return await this.#race(this.#inner!.step(token));
    } catch (error) {
      signal?.throwIfAborted();
      const renewed = await this.#options.renew?.(served, error) ?? null;
      if (renewed === null) throw error;
      this.#inner!.close();
      await this.#open(renewed);
      return await this.#race(this.#inner!.step(token));
    }
  }

  /** Makes the provider's context; waits only where the channel bindings have to be hashed first. */
  #open(served: Served): void | Promise<void> {
    const { bindings } = this.#options;
    if (bindings === undefined || bindings instanceof Uint8Array) return this.#make(served, bindings);
    return this.#race(bindingBytes(bindings)).then((bytes) => this.#make(served, bytes));
  }

  #make(served: Served, bindings: Uint8Array | undefined): void {
    const { role, target, channelBindings } = this.#options;
    // Closed while this waited: nothing may be made that nobody would close.
    this.#requireOpen("step");
    this.#served = served;
    this.#inner = role === "client"
      ? served.credentials.client({ target: target!, channelBindings: bindings })
      : served.credentials.server({
        channelBindings: bindings,
        ...(channelBindings === "optional" ? { allowMissingBindings: true } : {}),
      });
  }

  /** Settles with a call into the provider, or rejects with the reason of an abort that comes first. */
  async #race<T>(pending: Promise<T>): Promise<T> {
    this.stepping = true;
    const settled = (): void => void (this.stepping = false);
    this.idle = pending.then(settled, settled);
    const { signal } = this.#options;
    if (signal === undefined) return await pending;
    const { promise: aborted, reject: abort } = Promise.withResolvers<never>();
    const onAbort = (): void => abort(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      signal.throwIfAborted();
      return await Promise.race([pending, aborted]);
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
  }

  #establish(): void {
    const terms = this.#terms();
    verifyContext(this.#inner!, terms, this.#served!.origin);
    this.#security = describeSecurity(this.#inner!, terms, this.#served!.origin);
  }

  #terms(): ContextTerms {
    return { ...this.#options, requirements: this.#served!.requirements };
  }

  /** Ends it behind a call that is still under way: the call uses the context. */
  #fail(): void {
    // Closed while a step was under way, it is released already.
    if (this.#state === "closed") return;
    this.#state = "failed";
    this.#releaseWhenIdle();
  }

  #releaseWhenIdle(): void {
    // Should closing fail too, the failure before it is the one to report.
    this.idle = this.idle.then(() => this.#inner?.close()).catch(() => {});
  }

  /**
   * Verifies it again and describes it anew.
   *
   * @throws as `step` does where it no longer is what was required, or has expired.
   */
  check(): SecurityInfo {
    const inner = this.inner("check");
    const terms = this.#terms();
    verifyContext(inner, terms, this.#served!.origin);
    refuseExpired(inner);
    return describeSecurity(inner, terms, this.#served!.origin);
  }

  /** The provider's own context, for what carries many records. @throws StateError before it is established. */
  inner(member: string): ProviderContext {
    if (this.#state === "done") return this.#inner!;
    this.#requireOpen(member);
    throw new StateError(`${member} may be used once step() has returned done`);
  }

  #requireOpen(member: string): void {
    if (this.#state !== "closed" && this.#state !== "failed") return;
    const how = this.#state === "closed" ? "is closed" : "has failed";
    throw new StateError(`The security context ${how}; ${member} cannot be used`);
  }

  get security(): SecurityInfo {
    this.inner("security");
    return this.#security!;
  }

  get peer(): PeerIdentity | undefined {
    return peerOf(this.inner("peer"), this.#options.role);
  }

  get maxOverhead(): number {
    return this.inner("maxOverhead").maxOverhead;
  }

  wrap(plain: Uint8Array, options: WrapOptions = {}): Uint8Array {
    const inner = this.inner("wrap");
    const { encrypt, into } = options;
    const { integrity, confidentiality } = inner.attributes;
    if (encrypt === true && !confidentiality) throw notAgreed("confidentiality", "encrypted");
    if (!integrity && !confidentiality) throw notAgreed("integrity", "protected");
    const out = into ?? new Uint8Array((plain?.length ?? 0) + inner.maxOverhead);
    if (encrypt !== false || !confidentiality) return inner.wrap(plain, out);
    if (inner.wrapUnencrypted) return inner.wrapUnencrypted(plain, out);
    throw this.#cannot("wrap without encrypting where confidentiality was agreed on");
  }

  unwrap(record: Uint8Array, { allowUnencrypted = false }: UnwrapOptions = {}): Unwrapped {
    const inner = this.inner("unwrap");
    const { confidentiality } = inner.attributes;
    if (confidentiality && !allowUnencrypted) return { data: inner.unwrap(record), encrypted: true };
    if (inner.unwrapAny) return inner.unwrapAny(record);
    if (!confidentiality) return { data: inner.unwrap(record), encrypted: false };
    throw this.#cannot("unwrap what is not encrypted where confidentiality was agreed on");
  }

  wrapSizeLimit(recordBytes: number, options: { readonly encrypt?: boolean } = {}): number {
    const inner = this.inner("wrapSizeLimit");
    const encrypt = options.encrypt ?? inner.attributes.confidentiality;
    if (inner.wrapSizeLimit) return inner.wrapSizeLimit(recordBytes, encrypt);
    if (!Number.isInteger(recordBytes) || recordBytes < 0) {
      throw new RangeError(`recordBytes must be a whole number of at least 0, not ${recordBytes}`);
    }
    return Math.max(0, recordBytes - inner.maxOverhead);
  }

  wrapDetached(data: Uint8Array): Uint8Array {
    const inner = this.inner("wrapDetached");
    if (!inner.wrapDetached) throw this.#cannot("wrap data in place, apart from its header");
    return inner.wrapDetached(data);
  }

  unwrapDetached(header: Uint8Array, data: Uint8Array): Uint8Array {
    const inner = this.inner("unwrapDetached");
    if (!inner.unwrapDetached) throw this.#cannot("unwrap data apart from its header");
    return inner.unwrapDetached(header, data);
  }

  sign(message: Uint8Array): Uint8Array {
    return this.inner("sign").sign(message);
  }

  verify(message: Uint8Array, signature: Uint8Array): void {
    this.inner("verify").verify(message, signature);
  }

  sessionKey(): Uint8Array {
    return this.inner("sessionKey").sessionKey();
  }

  takeDelegated(): Initiator | null {
    const taken = this.takeDelegatedCredentials();
    if (taken === null) return null;
    const { delegate } = this.#options;
    if (delegate) return delegate(taken, this.#served!);
    taken.close();
    throw this.#cannot("make an initiator of delegated credentials");
  }

  /** The provider's own form of what the client delegated, once; the caller's to close. */
  takeDelegatedCredentials(): ProviderCredentials | null {
    return this.inner("takeDelegated").takeDelegated?.() ?? null;
  }

  impersonate<T>(fn: () => T): T {
    return runAsClient(this.inner("impersonate"), this.#options.role, fn);
  }

  #cannot(what: string): StateError {
    return new StateError(`The provider "${this.#served!.origin.provider.name}" cannot ${what}`);
  }

  close(): void {
    this.release();
  }

  /** As {@linkcode VerifiedContext.close}; returns what closing the provider's context returned. */
  release(): unknown {
    const before = this.#state;
    this.#state = "closed";
    if (before === "closed" || before === "failed") return;
    if (this.stepping) return this.#releaseWhenIdle();
    return this.#inner?.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

function notAgreed(requirement: string, done: string): SecurityRequirementError {
  return new SecurityRequirementError(
    requirement,
    "none",
    `The message cannot be ${done}: both ends did not agree on ${requirement}; nothing was sent. Require it on both`,
  );
}
