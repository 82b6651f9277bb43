/**
 * Every error this library throws, apart from `TypeError` and `RangeError` for wrong arguments.
 *
 * Compare `error.name` or `error.code`, never only `instanceof`: two copies of the package may meet in one
 * process, and a class of one copy is not the class of the other.
 *
 * @module
 */

/** Options every error class here takes. */
export interface ErrorCause {
  /** What led to this error: usually the {@linkcode NativeError} of the system call. */
  cause?: unknown;
}

/** The base of every error of this library that is not about a wrong argument. */
export abstract class SecureSocketError extends Error {
  /** A word that never changes between releases; safe to compare and to log. */
  abstract readonly code: string;

  /** Not called by applications. */
  constructor(message: string, options?: ErrorCause) {
    super(message, options);
  }
}

/** What a system function answered: always the `cause` of one of the other errors. */
export class NativeError extends SecureSocketError {
  /** Always `"NativeError"`. */
  override readonly name = "NativeError";
  /** Always `"NATIVE"`. */
  readonly code = "NATIVE";
  /** The function as its header spells it, for instance `gss_init_sec_context`. */
  readonly fn: string;
  /** The status as the function gave it; for GSS-API the minor status where there is one. */
  readonly status: number;
  /** The status's symbolic name, or its hexadecimal form where no name is known. */
  readonly codeName: string;

  /** Records the answer of one call. */
  constructor(fn: string, status: number, codeName: string, text: string, options?: ErrorCause) {
    super(`${fn} failed with ${codeName} (${formatStatus(status)})${text ? `: ${text}` : ""}`, options);
    this.fn = fn;
    this.status = status;
    this.codeName = codeName;
  }
}

/** Formats a status the way its system's documentation writes it. */
function formatStatus(status: number): string {
  return status > 0xffff || status < 0 ? `0x${(status >>> 0).toString(16).padStart(8, "0")}` : String(status);
}

/** Why authentication failed, as a word to branch on. */
export type AuthenticationReason =
  | "no-credentials"
  | "bad-credentials"
  | "credentials-expired"
  | "password-expired"
  | "account-expired"
  | "account-locked"
  | "preauthentication"
  | "configuration"
  | "unknown-realm"
  | "unknown-target"
  | "wrong-target"
  | "target-not-accepted"
  | "clock-skew"
  | "authority-unreachable"
  | "channel-bindings"
  | "mechanism"
  | "peer-refused"
  | "peer-closed"
  | "bad-token"
  | "context-expired"
  | "other";

/** Authentication failed, was refused by the peer, or has run out. */
export class AuthenticationError extends SecureSocketError {
  /** Always `"AuthenticationError"`. */
  override readonly name = "AuthenticationError";
  /** Always `"AUTHENTICATION"`. */
  readonly code = "AUTHENTICATION";
  /** Why, as a word to branch on. */
  readonly reason: AuthenticationReason;

  /** Builds the error; the message says what to do. */
  constructor(reason: AuthenticationReason, message: string, options?: ErrorCause) {
    super(message, options);
    this.reason = reason;
  }
}

/** The connection would have been weaker than what was required, and nothing was sent; or it no longer is what was. */
export class SecurityRequirementError extends SecureSocketError {
  /** Always `"SecurityRequirementError"`. */
  override readonly name = "SecurityRequirementError";
  /** Always `"SECURITY_REQUIREMENT"`. */
  readonly code = "SECURITY_REQUIREMENT";
  /** The requirement that was not met, for instance `"mutualAuthentication"`. */
  readonly required: string;
  /** What was there instead. */
  readonly got: string;

  /** Builds the error; the message says what to do. */
  constructor(required: string, got: string, message: string, options?: ErrorCause) {
    super(message, options);
    this.required = required;
    this.got = got;
  }
}

/** How a peer, or something between, broke the protocol. */
export type ProtocolReason =
  | "truncated"
  | "oversized"
  | "empty"
  | "malformed"
  | "altered"
  | "replayed"
  | "out-of-order"
  | "gap"
  | "not-encrypted"
  | "unexpected-message"
  | "sequence-exhausted";

/** The bytes that arrived (or were about to leave) are not what the protocol allows. */
export class ProtocolError extends SecureSocketError {
  /** Always `"ProtocolError"`. */
  override readonly name = "ProtocolError";
  /** Always `"PROTOCOL"`. */
  readonly code = "PROTOCOL";
  /** What was wrong, as a word to branch on. */
  readonly reason: ProtocolReason;

  /** Builds the error; the message says what to do. */
  constructor(reason: ProtocolReason, message: string, options?: ErrorCause) {
    super(message, options);
    this.reason = reason;
  }
}

/** Something took longer than its time-out. */
export class TimeoutError extends SecureSocketError {
  /** Always `"TimeoutError"`. */
  override readonly name = "TimeoutError";
  /** Always `"TIMEOUT"`. */
  readonly code = "TIMEOUT";
  /** The limit that passed, in milliseconds. */
  readonly timeoutMs: number;

  /** Builds the error. */
  constructor(message: string, timeoutMs: number, options?: ErrorCause) {
    super(message, options);
    this.timeoutMs = timeoutMs;
  }
}

/** The plain connection underneath could not be made, or broke. */
export class TransportError extends SecureSocketError {
  /** Always `"TransportError"`. */
  override readonly name = "TransportError";
  /** Always `"TRANSPORT"`. */
  readonly code = "TRANSPORT";
  /** The system's name for it, for instance `"ECONNREFUSED"`; `"closed"` where this end had closed it. */
  readonly codeName: string;

  /** Builds the error; the message says what to do. */
  constructor(codeName: string, message: string, options?: ErrorCause) {
    super(message, options);
    this.codeName = codeName;
  }
}

/** A permission of the runtime, or a right of the operating system, is missing. */
export class PermissionError extends SecureSocketError {
  /** Always `"PermissionError"`. */
  override readonly name = "PermissionError";
  /** Always `"PERMISSION"`. */
  readonly code = "PERMISSION";
  /** The grant of `openSystem` that needs it, for instance `"sspi"`. */
  readonly grant: string;
  /** The flag to add to the command line, enough for all that the grant opens; or the group or privilege to hold. */
  readonly flag: string;

  /** Builds the error; the message names the flag. */
  constructor(grant: string, flag: string, message: string, options?: ErrorCause) {
    super(message, options);
    this.grant = grant;
    this.flag = flag;
  }
}

/** What {@linkcode UnsupportedPlatformError} was missing. */
export interface Missing {
  /** The library that could not be opened, or that lacks the symbol. */
  dll?: string;
  /** The symbol that is not there. */
  symbol?: string;
  /** What to use, or to install, instead. */
  instead: string;
}

/** This operating system, or this version of a library, does not have what was asked for. */
export class UnsupportedPlatformError extends SecureSocketError {
  /** Always `"UnsupportedPlatformError"`. */
  override readonly name = "UnsupportedPlatformError";
  /** Always `"UNSUPPORTED_PLATFORM"`. */
  readonly code = "UNSUPPORTED_PLATFORM";
  /** The library that could not be opened, or that lacks the symbol. */
  readonly dll?: string;
  /** The symbol that is not there. */
  readonly symbol?: string;
  /** What to use, or to install, instead. */
  readonly instead: string;

  /** Builds the error. */
  constructor(message: string, missing: Missing, options?: ErrorCause) {
    super(`${message}. ${missing.instead}`, options);
    if (missing.dll !== undefined) this.dll = missing.dll;
    if (missing.symbol !== undefined) this.symbol = missing.symbol;
    this.instead = missing.instead;
  }
}

/** One provider that was passed over, and why. */
export interface RejectedProvider {
  /** The provider's name. */
  provider: string;
  /** Why it was passed over, in a sentence. */
  reason: string;
  /** The error behind the reason, where there was one. */
  cause?: unknown;
}

/** What {@linkcode ProviderNotFoundError} was looking for: requirements by name. */
export interface WantedProvider {
  /** Whether it is wanted; or which, of several there are. */
  readonly [requirement: string]: boolean | string | undefined;
}

/** No provider of the registry is available here, allowed, and strong enough. */
export class ProviderNotFoundError extends SecureSocketError {
  /** Always `"ProviderNotFoundError"`. */
  override readonly name = "ProviderNotFoundError";
  /** Always `"PROVIDER_NOT_FOUND"`. */
  readonly code = "PROVIDER_NOT_FOUND";
  /** What was looked for: the requirements, as the policies have raised them. */
  readonly wanted: WantedProvider;
  /** Every provider that was passed over, in order, with the reason. */
  readonly rejected: readonly RejectedProvider[];

  /** Builds the error; the message lists every reason. */
  constructor(wanted: WantedProvider, rejected: readonly RejectedProvider[], options?: ErrorCause) {
    const reasons = rejected.map((entry) => `\n  ${entry.provider}: ${entry.reason}`).join("");
    super(
      `No security provider can serve ${inWords(wanted)}:${reasons || " the registry is empty"}`,
      options,
    );
    this.wanted = Object.freeze({ ...wanted });
    this.rejected = rejected;
  }
}

/** `mutual authentication, impersonation "identify"`; what is `false` is not wanted. */
function inWords(wanted: WantedProvider): string {
  const parts = Object.entries(wanted).filter(([, value]) => value !== false && value !== undefined);
  return parts.map(([name, value]) => {
    const words = name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
    return value === true ? words : `${words} ${JSON.stringify(value)}`;
  }).join(", ");
}

/** A sandboxed provider's module was refused before it ran. */
export class ProviderRejectedError extends SecureSocketError {
  /** Always `"ProviderRejectedError"`. */
  override readonly name = "ProviderRejectedError";
  /** Always `"PROVIDER_REJECTED"`. */
  readonly code = "PROVIDER_REJECTED";
  /** The rule that was broken, as a word to branch on. */
  readonly rule: string;
  /** Where in the module, in bytes from its start; -1 where the rule has no place. */
  readonly offset: number;

  /** Builds the error; the message says what to change. */
  constructor(rule: string, offset: number, message: string, options?: ErrorCause) {
    super(message, options);
    this.rule = rule;
    this.offset = offset;
  }
}

/** A sandboxed provider trapped; its instance is gone. */
export class ProviderTrapError extends SecureSocketError {
  /** Always `"ProviderTrapError"`. */
  override readonly name = "ProviderTrapError";
  /** Always `"PROVIDER_TRAP"`. */
  readonly code = "PROVIDER_TRAP";

  /** Builds the error. */
  constructor(message: string, options?: ErrorCause) {
    super(message, options);
  }
}

/** A sandboxed provider used up what it was allowed; its instance is gone. */
export class ProviderLimitError extends SecureSocketError {
  /** Always `"ProviderLimitError"`. */
  override readonly name = "ProviderLimitError";
  /** Always `"PROVIDER_LIMIT"`. */
  readonly code = "PROVIDER_LIMIT";
  /** Which limit, for instance `"fuel"`. */
  readonly limit: string;
  /** The limit's value. */
  readonly value: number;
  /** The value's unit, for instance `"units"` or `"bytes"`. */
  readonly unit: string;

  /** Builds the error. */
  constructor(limit: string, value: number, unit: string, options?: ErrorCause) {
    super(`The provider reached its limit of ${value} ${unit} (${limit}); its instance was dropped`, options);
    this.limit = limit;
    this.value = value;
    this.unit = unit;
  }
}

/** The object is not in a state that allows the call: closed, not yet authenticated, or busy. */
export class StateError extends SecureSocketError {
  /** Always `"StateError"`. */
  override readonly name = "StateError";
  /** Always `"STATE"`. */
  readonly code = "STATE";

  /** Builds the error; the message says which state and what to do. */
  constructor(message: string, options?: ErrorCause) {
    super(message, options);
  }
}

/** The oldest Node with all that the library uses; its errors elsewhere would name functions, and not the cause. */
const OLDEST_NODE = [22, 3] as const;

const { Deno, process } = globalThis as { Deno?: unknown; process?: { versions?: { node?: string } } };
const node = Deno === undefined ? process?.versions?.node : undefined;
if (node !== undefined) {
  const [major, minor] = node.split(".").map(Number);
  if (major < OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor < OLDEST_NODE[1])) {
    throw new UnsupportedPlatformError(
      `Cannot run on Node ${node}: @winsock/secure-sockets needs Node ${OLDEST_NODE.join(".")} or later`,
      { instead: "Update Node" },
    );
  }
}
