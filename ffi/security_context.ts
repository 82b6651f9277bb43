/**
 * One interface over the credentials and security contexts of SSPI and GSS-API; the rules both keep are in
 * `credentials_base.ts` and `context_base.ts`.
 *
 * @module
 */

import { SecurityRequirementError } from "../errors.ts";
import { checkWellFormed } from "./well_formed.ts";

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
  /** On a server: the name the client asked for, where the mechanism tells it; see `MessageContext`. */
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

/**
 * Checks the text of an identity; nothing is asked yet.
 *
 * @throws TypeError where it would be another user's name, or another password: a wrong one counts towards locking the
 * account.
 */
export function checkIdentity(identity: Identity): void {
  for (const [key, value] of Object.entries(identity)) {
    if (typeof value === "string") checkWellFormed(value, `identity.${key}`);
  }
}

/**
 * Checks what a context is made from; nothing is held yet.
 *
 * @throws TypeError where a client has no target, or one that is not well formed, or channel bindings are no bytes.
 */
export function checkContextRequest(role: "client" | "server", request: ContextRequest): void {
  const { target, channelBindings } = request;
  if (role === "client" && (typeof target !== "string" || target === "" || target.includes("\u0000"))) {
    throw new TypeError("target must name the server's principal, for instance host/web.example.test");
  }
  if (target !== undefined) checkWellFormed(target, "target");
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
