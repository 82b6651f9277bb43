/**
 * The rules of every security context on all operating systems: which calls are allowed in which state, which tokens
 * are valid, and that a failed context returns nothing any more.
 *
 * @module
 */

import type {
  ContextAttributes,
  ContextOptions,
  PeerIdentity,
  ProviderContext,
  ResolvedRequirements,
  StepResult,
  Unwrapped,
} from "../../contract.ts";
import { AuthenticationError, ProtocolError, SecurityRequirementError, StateError } from "../../errors.ts";
import { Spn } from "../../spn.ts";
import { track } from "../handles.ts";
import { pinned } from "../memory/memory.ts";

/** What a context must provide: the requirements of its credentials, and its own target and channel bindings. */
export type ContextRequest = ContextOptions & ResolvedRequirements;

/** Whether to set the flag that forbids the server to act as the client; without the flag it may. */
export function mayOnlyIdentify({ impersonation }: ContextRequest): boolean {
  return impersonation === "identify" || impersonation === "anonymous";
}

/**
 * Checks the options of a context and returns them with the target in canonical form. Acquires nothing.
 *
 * @throws TypeError where a client's target is not an SPN (without one Negotiate would choose NTLM), or channel
 * bindings are not a `Uint8Array`.
 */
export function checkContextOptions(role: "client" | "server", options: ContextOptions): ContextOptions {
  const { channelBindings } = options;
  if (
    channelBindings !== undefined && !(channelBindings instanceof Uint8Array && channelBindings.length > 0)
  ) {
    throw new TypeError("channelBindings must be a non-empty Uint8Array; leave it out for none");
  }
  if (role === "server") return { channelBindings, allowMissingBindings: options.allowMissingBindings };
  try {
    return { channelBindings, target: canonicalTarget(options.target as string) };
  } catch (cause) {
    throw new TypeError(`target must be a service principal name: ${(cause as Error).message}`);
  }
}

const MAX_TARGETS = 64;
/** The targets of the last contexts in canonical form: most clients use few. */
const canonical = new Map<string, string>();

/** Returns a target in canonical form. @throws TypeError where it is not an SPN. */
export function canonicalTarget(target: string): string {
  const known = canonical.get(target);
  if (known !== undefined) return known;
  const text = Spn.parse(target).toString();
  if (canonical.size >= MAX_TARGETS) canonical.clear();
  canonical.set(target, text);
  return text;
}

/** Whether records are encrypted, and whether they must be. */
export interface EncryptionRules {
  /** Encrypts what is sent. */
  readonly encrypts: boolean;
  /** Refuses records that arrive unencrypted: encryption is required, or both ends agreed on it. */
  readonly mustBeEncrypted: boolean;
}

/**
 * Checks encryption before a record is made: a caller that did not compare the attributes with the requirements sends
 * nothing.
 *
 * @throws SecurityRequirementError where encryption is required and was not agreed on.
 */
export function requireEncryption({ encrypts, mustBeEncrypted }: EncryptionRules): void {
  if (encrypts || !mustBeEncrypted) return;
  throw new SecurityRequirementError(
    "confidentiality",
    "signed only",
    "Encryption is required and the peer did not agree to it; nothing was sent",
  );
}

/** The longest record for which a size limit is computed: GSS-API's sizes have 32 bits. */
const MAX_RECORD_BYTES = 0xffffffff;
/** The longest token that either end accepts: the most that an [MS-NNS] frame can carry. */
const MAX_TOKEN_BYTES = 0xffff;

/** Wraps and unwraps the records of an established context; see {@linkcode ProviderContext} for each member. */
export type NativeRecords =
  & Pick<
    ProviderContext,
    "maxOverhead" | "sessionKey" | "wrap" | "unwrap" | "sign" | "verify"
  >
  & Required<
    Pick<
      ProviderContext,
      "wrapUnencrypted" | "unwrapAny" | "wrapSizeLimit" | "wrapDetached" | "unwrapDetached"
    >
  >;

function checkBytes(name: string, value: unknown): void {
  if (!(value instanceof Uint8Array)) throw new TypeError(`${name} must be a Uint8Array`);
}

/** Implements the rules that do not depend on the operating system; subclasses implement the `native` members. */
export abstract class ContextBase implements ProviderContext {
  readonly #role: "client" | "server";
  readonly #untrack = track("context");
  #state: "ready" | "stepping" | "done" | "failed" | "closed" = "ready";
  #steps = 0;
  #closeAfterStep = false;
  /** The peer's token during a step, kept reachable: native code has only its address. */
  #token: Uint8Array | null = null;
  #expiresAtMs = Infinity;
  #attributes?: ContextAttributes;
  #records?: NativeRecords;
  #peer?: { readonly identity: PeerIdentity | undefined };

  protected constructor(role: "client" | "server") {
    this.#role = role;
  }

  abstract readonly peerName: string;
  abstract readonly requestedTarget?: string;

  /** Runs one step; `token` is a private copy, or `null` on a client's first step. */
  protected abstract nativeStep(token: Uint8Array | null, first: boolean): Promise<StepResult>;
  /** Returns the peer's proved identity; called once, after the exchange is complete. */
  protected abstract nativePeer(): PeerIdentity | undefined;
  /** Releases everything; called once, never during a step. */
  protected abstract nativeClose(): void;

  get done(): boolean {
    return this.#state === "done";
  }

  get expiresAt(): Date | undefined {
    this.requireDone("expiresAt");
    return this.#expiresAtMs === Infinity ? undefined : new Date(this.#expiresAtMs);
  }

  /** Stores what was agreed on; called by the last step. */
  protected establish(attributes: ContextAttributes, records: NativeRecords): void {
    this.#attributes = Object.freeze(attributes);
    this.#records = records;
  }

  get attributes(): ContextAttributes {
    this.requireDone("attributes");
    return this.#attributes!;
  }

  get peerIdentity(): PeerIdentity | undefined {
    this.requireDone("peerIdentity");
    this.#peer ??= { identity: this.nativePeer() };
    return this.#peer.identity;
  }

  get maxOverhead(): number {
    this.requireDone("maxOverhead");
    return this.#records!.maxOverhead;
  }

  /** Sets the time from which records are refused. */
  protected expireAt(timeMs: number): void {
    this.#expiresAtMs = timeMs;
  }

  async step(token: Uint8Array | null): Promise<StepResult> {
    this.#checkStep(token);
    this.#state = "stepping";
    const first = this.#steps++ === 0;
    // A copy, but not by slice(): a Buffer's slice shares its memory with the caller.
    this.#token = token === null ? null : pinned(token.length);
    this.#token?.set(token!);
    try {
      const result = await this.nativeStep(this.#token, first);
      // Without a token to send, both ends would wait for each other.
      if (!result.done && result.token === null) {
        throw new AuthenticationError(
          "bad-token",
          "The mechanism expects another token but returned none to send",
        );
      }
      this.#state = result.done ? "done" : "ready";
      return result;
    } catch (error) {
      this.#state = "failed";
      this.#release();
      throw error;
    } finally {
      this.#token = null;
      if (this.#closeAfterStep) this.close();
    }
  }

  #checkStep(token: Uint8Array | null): void {
    if (this.#state === "stepping") {
      throw new StateError("step() is still running; await it before the next call");
    }
    if (this.#state === "done") {
      throw new StateError("The exchange is complete; step() accepts no further token");
    }
    this.#requireOpen("step");
    const opening = this.#role === "client" && this.#steps === 0;
    if (opening !== (token === null)) {
      throw new TypeError(
        opening
          ? "token must be null on a client's first step"
          : "token must be a Uint8Array; only a client's first step accepts null",
      );
    }
    if (token === null) return;
    if (!(token instanceof Uint8Array)) throw new TypeError("token must be a Uint8Array");
    if (token.length === 0) {
      throw new ProtocolError("empty", "The peer sent an empty token");
    }
    if (token.length > MAX_TOKEN_BYTES) {
      throw new ProtocolError(
        "oversized",
        `The peer sent a token of ${token.length} bytes; the limit is ${MAX_TOKEN_BYTES}`,
      );
    }
  }

  sessionKey(): Uint8Array {
    this.requireDone("sessionKey");
    return this.#records!.sessionKey();
  }

  wrap(plain: Uint8Array, out: Uint8Array): Uint8Array {
    return this.#wrap("wrap", plain, out);
  }

  wrapUnencrypted(plain: Uint8Array, out: Uint8Array): Uint8Array {
    return this.#wrap("wrapUnencrypted", plain, out);
  }

  #wrap(member: "wrap" | "wrapUnencrypted", plain: Uint8Array, out: Uint8Array): Uint8Array {
    this.#requireLive(member);
    checkBytes("plain", plain);
    checkBytes("out", out);
    if (out.length < plain.length + this.maxOverhead) {
      throw new RangeError(
        `out has ${out.length} bytes; a message of ${plain.length} needs ${plain.length + this.maxOverhead}`,
      );
    }
    try {
      return this.#records![member](plain, out);
    } catch (error) {
      // After any failure `out` may contain plain text, which must not be sent.
      out.fill(0);
      throw error;
    }
  }

  unwrap(record: Uint8Array): Uint8Array {
    return this.#open("unwrap", record, (records) => records.unwrap(record));
  }

  unwrapAny(record: Uint8Array): Unwrapped {
    return this.#open("unwrapAny", record, (records) => records.unwrapAny(record));
  }

  unwrapDetached(header: Uint8Array, data: Uint8Array): Uint8Array {
    checkBytes("header", header);
    return this.#open("unwrapDetached", data, (records) => records.unwrapDetached(header, data));
  }

  #open<T>(member: string, record: Uint8Array, open: (records: NativeRecords) => T): T {
    this.#requireLive(member);
    checkBytes("record", record);
    if (record.length === 0) throw new ProtocolError("empty", "The peer sent an empty record");
    try {
      return open(this.#records!);
    } catch (error) {
      // It was opened in place: refused data must not stay readable.
      record.fill(0);
      throw error;
    }
  }

  wrapSizeLimit(recordBytes: number, encrypt: boolean): number {
    this.requireDone("wrapSizeLimit");
    if (!Number.isInteger(recordBytes) || recordBytes < 0 || recordBytes > MAX_RECORD_BYTES) {
      throw new RangeError(
        `recordBytes must be a whole number from 0 to ${MAX_RECORD_BYTES}, not ${recordBytes}`,
      );
    }
    return this.#records!.wrapSizeLimit(recordBytes, encrypt);
  }

  wrapDetached(data: Uint8Array): Uint8Array {
    this.#requireLive("wrapDetached");
    checkBytes("data", data);
    if (data.length === 0) throw new RangeError("data is empty; give at least one byte to protect in place");
    try {
      return this.#records!.wrapDetached(data);
    } catch (error) {
      data.fill(0);
      throw error;
    }
  }

  sign(message: Uint8Array): Uint8Array {
    this.#requireLive("sign");
    checkBytes("message", message);
    return this.#records!.sign(message);
  }

  verify(message: Uint8Array, signature: Uint8Array): void {
    this.#requireLive("verify");
    checkBytes("message", message);
    checkBytes("signature", signature);
    if (signature.length === 0) throw new ProtocolError("empty", "The signature is empty");
    this.#records!.verify(message, signature);
  }

  #requireLive(member: string): void {
    this.requireDone(member);
    if (Date.now() >= this.#expiresAtMs) {
      throw new AuthenticationError(
        "context-expired",
        `The security context expired at ${new Date(this.#expiresAtMs).toISOString()}; connect again`,
      );
    }
  }

  /** Throws unless the exchange is complete and the context open. */
  protected requireDone(member: string): void {
    if (this.#state === "done") return;
    this.#requireOpen(member);
    throw new StateError(`${member} is available after step() has returned done`);
  }

  #requireOpen(member: string): void {
    if (this.#state === "closed") {
      throw new StateError(`The security context is closed; ${member} cannot be used`);
    }
    if (this.#state === "failed") {
      throw new StateError(`The security context has failed; ${member} cannot be used`);
    }
  }

  close(): void {
    if (this.#state === "stepping") {
      this.#closeAfterStep = true;
      return;
    }
    const held = this.#state !== "closed" && this.#state !== "failed";
    this.#state = "closed";
    if (held) this.#release();
  }

  #release(): void {
    this.#untrack();
    this.nativeClose();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
