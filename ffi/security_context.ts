/**
 * One interface over the security contexts of SSPI and GSS-API, and the rules both keep: what may be called when,
 * what a token may be, and that a context that failed gives nothing any more.
 *
 * @module
 */

import { AuthenticationError, ProtocolError, SecurityRequirementError, StateError } from "../errors.ts";
import { track } from "./live.ts";
import { pinned } from "./memory.ts";

/** How far a server may act in the name of its client, weakest first. */
export type ImpersonationLevel = "anonymous" | "identify" | "impersonate" | "delegate";

/** The package (SSPI) or mechanism (GSS-API) to use. */
export type SecurityPackage = "negotiate" | "kerberos";

/** What is asked of credentials. */
export interface CredentialsRequest {
  /** The package or mechanism. */
  readonly package: SecurityPackage;
  /** The end that will use them; `both`: contexts of either kind can be made from them. */
  readonly role: "client" | "server" | "both";
  /** Leave NTLM out when the credentials are acquired: it cannot authenticate the server. */
  readonly excludeNtlm: boolean;
  /** Who to be; left out: whoever runs the process. */
  readonly identity?: Identity;
}

/** Who to be. Keytab and cache have no meaning on Windows. */
export type Identity =
  | { readonly username: string; readonly domain?: string; readonly password: string | Uint8Array }
  | { readonly keytab: string; readonly principal?: string }
  | { readonly cache: string };

/** What is asked of a context. */
export interface ContextRequest {
  /** The server's principal, as the caller typed it; required of a client. */
  readonly target?: string;
  /** Sign records. */
  readonly integrity: boolean;
  /** Encrypt records. */
  readonly confidentiality: boolean;
  /** Both ends prove their identity. */
  readonly mutualAuthentication: boolean;
  /** The most a server may do in the client's name. */
  readonly impersonation: ImpersonationLevel;
  /** Hand the server credentials. */
  readonly delegation: boolean;
  /** Application data of the channel bindings; goes into every leg. */
  readonly channelBindings?: Uint8Array;
}

/** What was agreed on. */
export interface ContextAttributes {
  /** The mechanism that authenticated, in lower case: `kerberos`, `ntlm`. */
  readonly mechanism: string;
  /** Each end has proved its identity to the other. */
  readonly mutual: boolean;
  /** Records are protected against change. */
  readonly integrity: boolean;
  /** Records are encrypted. */
  readonly confidentiality: boolean;
  /** A replayed record is refused. */
  readonly replayDetection: boolean;
  /** A record out of order is refused. */
  readonly sequenceDetection: boolean;
  /** Credentials were delegated. */
  readonly delegation: boolean;
  /** Channel bindings were given and are bound: on a server proved to match; a client's are in every token. */
  readonly channelBound: boolean;
  /** What the server may do in the client's name. */
  readonly impersonation: ImpersonationLevel;
}

/** What one leg produced. */
export interface StepResult {
  /** To send to the peer; `null`: nothing to send. */
  readonly token: Uint8Array | null;
  /** True once this end is satisfied. */
  readonly done: boolean;
}

/** Credentials of the operating system. One owner; closing twice is harmless. */
export interface SecurityCredentials extends Disposable {
  /** A context for the end that speaks first; throws where the target is missing or wrong. */
  client(request: ContextRequest & { readonly target: string }): SecurityContext;
  /** A context for the end that answers. */
  server(request: ContextRequest): SecurityContext;
  /** Releases them once no context uses them any more. */
  close(): void;
}

/** One end of one conversation; see `MessageContext` of the provider contract for each member. */
export interface SecurityContext extends Disposable {
  /** Consumes the peer's token and produces the next; does not block the event loop. */
  step(token: Uint8Array | null): Promise<StepResult>;
  /** True once this end is satisfied. */
  readonly done: boolean;
  /** What was agreed on. */
  readonly attributes: ContextAttributes;
  /** Who the peer is. */
  readonly peerName: string;
  /** On a server: the name the client asked for, where the mechanism tells. */
  readonly requestedTarget?: string;
  /** When the context stops working. */
  readonly expiresAt?: Date;
  /** The most bytes that `wrap` adds. */
  readonly maxOverhead: number;
  /** The session key: a copy, the caller's to zero. */
  sessionKey(): Uint8Array;
  /** Protects `plain` (never changed) into `out`, and returns the part of `out` that was filled. */
  wrap(plain: Uint8Array, out: Uint8Array): Uint8Array;
  /** Checks and opens one record in place; the result is a part of `record`. */
  unwrap(record: Uint8Array): Uint8Array;
  /** A signature over `message`. */
  sign(message: Uint8Array): Uint8Array;
  /** Throws a `ProtocolError` unless `signature` is the peer's over `message`. */
  verify(message: Uint8Array, signature: Uint8Array): void;
  /** On a server: the credentials the client delegated, once. */
  takeDelegated?(): SecurityCredentials | null;
  /** Runs `fn`, which must be synchronous, as the client. */
  impersonate?<T>(fn: () => T): T;
  /** Ends the context; while a leg is under way, as soon as it has ended. */
  close(): void;
}

/** Whether the server must not act as the client: without the flag for it, it may. */
export function mayOnlyIdentify({ impersonation }: ContextRequest): boolean {
  return impersonation === "identify" || impersonation === "anonymous";
}

/** The longest token either end accepts: what [MS-NNS] can carry. */
export const MAX_TOKEN_BYTES = 0xffff;

/**
 * Checks what a context is made from; nothing is held yet.
 *
 * @throws TypeError where a client has no target or channel bindings are no bytes.
 */
export function checkContextRequest(role: "client" | "server", request: ContextRequest): void {
  const { target, channelBindings } = request;
  if (role === "client" && (typeof target !== "string" || target === "" || target.includes("\u0000"))) {
    throw new TypeError("target must name the server's principal, for instance host/web.example.test");
  }
  if (channelBindings === undefined) return;
  if (!(channelBindings instanceof Uint8Array) || channelBindings.length === 0) {
    throw new TypeError("channelBindings must be a Uint8Array that is not empty; leave it out for none");
  }
}

/** Whether records are encrypted, and whether they have to be. */
export interface EncryptionRules {
  /** Encrypt what is sent. */
  readonly encrypts: boolean;
  /** Refuse what arrives without encryption: it is required, or both ends agreed on it. */
  readonly mustBeEncrypted: boolean;
}

/**
 * Call it before a record is made: whoever forgot to hold the attributes against what was required sends nothing.
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

function checkBytes(name: string, value: unknown): void {
  if (!(value instanceof Uint8Array)) throw new TypeError(`${name} must be a Uint8Array`);
}

/** Keeps the rules that do not depend on the operating system; `native` members do the work. */
export abstract class ContextBase implements SecurityContext {
  readonly #role: "client" | "server";
  readonly #untrack = track("context");
  #state: "ready" | "stepping" | "done" | "failed" | "closed" = "ready";
  #legs = 0;
  #closeAfterStep = false;
  /** The peer's token while a leg is under way: the native side knows its address only. */
  #token: Uint8Array | null = null;
  #expiresAtMs = Infinity;

  protected constructor(role: "client" | "server") {
    this.#role = role;
  }

  abstract readonly attributes: ContextAttributes;
  abstract readonly peerName: string;
  abstract readonly requestedTarget?: string;
  abstract readonly maxOverhead: number;

  /** One leg; `token` is a copy of its own, or `null` on a client's first leg. */
  protected abstract nativeStep(token: Uint8Array | null, first: boolean): Promise<StepResult>;
  protected abstract nativeSessionKey(): Uint8Array;
  protected abstract nativeWrap(plain: Uint8Array, out: Uint8Array): Uint8Array;
  protected abstract nativeUnwrap(record: Uint8Array): Uint8Array;
  protected abstract nativeSign(message: Uint8Array): Uint8Array;
  protected abstract nativeVerify(message: Uint8Array, signature: Uint8Array): void;
  /** Releases everything; called once, never while a leg is under way. */
  protected abstract nativeClose(): void;

  get done(): boolean {
    return this.#state === "done";
  }

  get expiresAt(): Date | undefined {
    this.requireDone("expiresAt");
    return this.#expiresAtMs === Infinity ? undefined : new Date(this.#expiresAtMs);
  }

  /** When records stop being accepted. */
  protected expireAt(timeMs: number): void {
    this.#expiresAtMs = timeMs;
  }

  async step(token: Uint8Array | null): Promise<StepResult> {
    this.#checkStep(token);
    this.#state = "stepping";
    const first = this.#legs++ === 0;
    // A copy, and not by slice(): a Buffer's shares its memory with the caller.
    this.#token = token === null ? null : pinned(token.length);
    this.#token?.set(token!);
    try {
      const result = await this.nativeStep(this.#token, first);
      // A first leg that ends with nothing to send and more to come would leave both ends waiting.
      if (!result.done && result.token === null) {
        throw new AuthenticationError("bad-token", "The mechanism wants another token but has none to send");
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
    if (this.#state === "stepping") throw new StateError("A step is under way; await it before the next");
    if (this.#state === "done") {
      throw new StateError("The exchange is complete; step() takes no further token");
    }
    this.#requireOpen("step");
    const opening = this.#role === "client" && this.#legs === 0;
    if (opening !== (token === null)) {
      throw new TypeError(
        opening
          ? "token must be null on a client's first step"
          : "token must be a Uint8Array; only a client's first step takes null",
      );
    }
    if (token === null) return;
    if (!(token instanceof Uint8Array)) throw new TypeError("token must be a Uint8Array");
    if (token.length === 0) {
      throw new ProtocolError("empty", "The peer sent an empty token where one is needed");
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
    return this.nativeSessionKey();
  }

  wrap(plain: Uint8Array, out: Uint8Array): Uint8Array {
    this.#requireLive("wrap");
    checkBytes("plain", plain);
    checkBytes("out", out);
    if (out.length < plain.length + this.maxOverhead) {
      throw new RangeError(
        `out has ${out.length} bytes; a message of ${plain.length} needs ${plain.length + this.maxOverhead}`,
      );
    }
    try {
      return this.nativeWrap(plain, out);
    } catch (error) {
      // Whatever went wrong, what is in `out` must not be sent: it may be plain text.
      out.fill(0);
      throw error;
    }
  }

  unwrap(record: Uint8Array): Uint8Array {
    this.#requireLive("unwrap");
    checkBytes("record", record);
    if (record.length === 0) throw new ProtocolError("empty", "The peer sent an empty record");
    try {
      return this.nativeUnwrap(record);
    } catch (error) {
      // It is opened in place: what was refused must not be read there.
      record.fill(0);
      throw error;
    }
  }

  sign(message: Uint8Array): Uint8Array {
    this.#requireLive("sign");
    checkBytes("message", message);
    return this.nativeSign(message);
  }

  verify(message: Uint8Array, signature: Uint8Array): void {
    this.#requireLive("verify");
    checkBytes("message", message);
    checkBytes("signature", signature);
    if (signature.length === 0) throw new ProtocolError("empty", "The signature is empty");
    this.nativeVerify(message, signature);
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
    throw new StateError(`${member} may be used once step() has said done`);
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
