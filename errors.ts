/**
 * All errors that this library throws, except `TypeError` and `RangeError` for invalid arguments.
 *
 * Compare `error.name` or `error.code` and do not rely on `instanceof` alone: one process may load two copies of the
 * package, and their classes differ.
 *
 * @module
 */

/** Options of every error class. */
export interface ErrorCause {
  /** The error that caused this one: usually the {@linkcode NativeError} of a system call. */
  cause?: unknown;
}

/** The base class of all errors of this library, except those for invalid arguments. */
export abstract class SecureSocketError extends Error {
  /** A code that stays the same in every release; safe to compare and to log. */
  abstract readonly code: string;

  /** Not called by applications. */
  constructor(message: string, options?: ErrorCause) {
    super(message, options);
  }
}

/** The failure of one system function. Always the `cause` of another error. */
export class NativeError extends SecureSocketError {
  /** Always `"NativeError"`. */
  override readonly name = "NativeError";
  /** Always `"NATIVE"`. */
  readonly code = "NATIVE";
  /** The function's name as in its header, for instance `gss_init_sec_context`. */
  readonly fn: string;
  /** The status that the function returned; for GSS-API the minor status where there is one. */
  readonly status: number;
  /** The status's symbolic name, or its hexadecimal form where no name is known. */
  readonly codeName: string;

  /** Builds the error from the function's status. */
  constructor(fn: string, status: number, codeName: string, text: string, options?: ErrorCause) {
    super(`${fn} failed with ${codeName} (${formatStatus(status)})${text ? `: ${text}` : ""}`, options);
    this.fn = fn;
    this.status = status;
    this.codeName = codeName;
  }
}

/** Formats a status as its system's documentation writes it. */
function formatStatus(status: number): string {
  return status > 0xffff || status < 0 ? `0x${(status >>> 0).toString(16).padStart(8, "0")}` : String(status);
}

/** Why authentication failed, as a code to branch on. */
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

/** Authentication failed, the peer refused it, or its credentials or context have expired. */
export class AuthenticationError extends SecureSocketError {
  /** Always `"AuthenticationError"`. */
  override readonly name = "AuthenticationError";
  /** Always `"AUTHENTICATION"`. */
  readonly code = "AUTHENTICATION";
  /** Why it failed, as a code to branch on. */
  readonly reason: AuthenticationReason;

  /** Builds the error; the message says what to do. */
  constructor(reason: AuthenticationReason, message: string, options?: ErrorCause) {
    super(message, options);
    this.reason = reason;
  }
}

/** The connection did not meet a requirement and nothing was sent, or it no longer meets one. */
export class SecurityRequirementError extends SecureSocketError {
  /** Always `"SecurityRequirementError"`. */
  override readonly name = "SecurityRequirementError";
  /** Always `"SECURITY_REQUIREMENT"`. */
  readonly code = "SECURITY_REQUIREMENT";
  /** The requirement that was not met, for instance `"mutualAuthentication"`. */
  readonly required: string;
  /** What the connection provided instead. */
  readonly got: string;

  /** Builds the error; the message says what to do. */
  constructor(required: string, got: string, message: string, options?: ErrorCause) {
    super(message, options);
    this.required = required;
    this.got = got;
  }
}

/** How the peer, or an attacker on the network, violated the protocol. */
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

/** Bytes that were received, or were about to be sent, violate the protocol. */
export class ProtocolError extends SecureSocketError {
  /** Always `"ProtocolError"`. */
  override readonly name = "ProtocolError";
  /** Always `"PROTOCOL"`. */
  readonly code = "PROTOCOL";
  /** What was wrong, as a code to branch on. */
  readonly reason: ProtocolReason;

  /** Builds the error; the message says what to do. */
  constructor(reason: ProtocolReason, message: string, options?: ErrorCause) {
    super(message, options);
    this.reason = reason;
  }
}

/** An operation did not end within its time-out. */
export class TimeoutError extends SecureSocketError {
  /** Always `"TimeoutError"`. */
  override readonly name = "TimeoutError";
  /** Always `"TIMEOUT"`. */
  readonly code = "TIMEOUT";
  /** The time-out, in milliseconds. */
  readonly timeoutMs: number;

  /** Builds the error. */
  constructor(message: string, timeoutMs: number, options?: ErrorCause) {
    super(message, options);
    this.timeoutMs = timeoutMs;
  }
}

/** The underlying plain connection could not be made, or failed. */
export class TransportError extends SecureSocketError {
  /** Always `"TransportError"`. */
  override readonly name = "TransportError";
  /** Always `"TRANSPORT"`. */
  readonly code = "TRANSPORT";
  /**
   * The system's name of the failure, for instance `"ECONNREFUSED"`; `"closed"` where this end had closed the
   * connection.
   */
  readonly codeName: string;

  /** Builds the error; the message says what to do. */
  constructor(codeName: string, message: string, options?: ErrorCause) {
    super(message, options);
    this.codeName = codeName;
  }
}

/** A directory refused an operation, or its answer cannot be used. */
export class DirectoryError extends SecureSocketError {
  /** Always `"DirectoryError"`. */
  override readonly name = "DirectoryError";
  /** Always `"DIRECTORY"`. */
  readonly code = "DIRECTORY";
  /** The LDAP result code (RFC 4511, 4.1.9), for instance 50; 0 where the directory refused nothing. */
  readonly resultCode: number;
  /** The result code's name, for instance `"insufficientAccessRights"`. */
  readonly resultName: string;

  /** Builds the error; the message says what to do. */
  constructor(resultCode: number, resultName: string, message: string, options?: ErrorCause) {
    super(message, options);
    this.resultCode = resultCode;
    this.resultName = resultName;
  }
}

/** A permission of the runtime, or a privilege of the operating system, is missing. */
export class PermissionError extends SecureSocketError {
  /** Always `"PermissionError"`. */
  override readonly name = "PermissionError";
  /** Always `"PERMISSION"`. */
  readonly code = "PERMISSION";
  /** The grant of `openSystem` that needs it, for instance `"sspi"`. */
  readonly grant: string;
  /**
   * The flag to add to the command line, sufficient for everything the grant opens; or the group or privilege that is
   * needed.
   */
  readonly flag: string;

  /** Builds the error; the message names the flag. */
  constructor(grant: string, flag: string, message: string, options?: ErrorCause) {
    super(message, options);
    this.grant = grant;
    this.flag = flag;
  }
}

/** What is missing, for an {@linkcode UnsupportedPlatformError}. */
export interface Missing {
  /** The library that could not be opened, or that lacks the symbol. */
  dll?: string;
  /** The missing symbol. */
  symbol?: string;
  /** What to use or to install instead. */
  instead: string;
}

/** This operating system, or this version of a library, does not support the operation. */
export class UnsupportedPlatformError extends SecureSocketError {
  /** Always `"UnsupportedPlatformError"`. */
  override readonly name = "UnsupportedPlatformError";
  /** Always `"UNSUPPORTED_PLATFORM"`. */
  readonly code = "UNSUPPORTED_PLATFORM";
  /** The library that could not be opened, or that lacks the symbol. */
  readonly dll?: string;
  /** The missing symbol. */
  readonly symbol?: string;
  /** What to use or to install instead. */
  readonly instead: string;

  /** Builds the error. */
  constructor(message: string, missing: Missing, options?: ErrorCause) {
    super(`${message}. ${missing.instead}`, options);
    if (missing.dll !== undefined) this.dll = missing.dll;
    if (missing.symbol !== undefined) this.symbol = missing.symbol;
    this.instead = missing.instead;
  }
}

/** A provider that was not selected, and why. */
export interface RejectedProvider {
  /** The provider's name. */
  provider: string;
  /** Why it was not selected, as a sentence. */
  reason: string;
  /** The error that caused it, where there was one. */
  cause?: unknown;
}

/** The requirements of a {@linkcode ProviderNotFoundError}, by name. */
export interface WantedProvider {
  /** Whether it is required, or which value is required. */
  readonly [requirement: string]: boolean | string | undefined;
}

/** No provider of the registry is available, allowed, and meets the requirements. */
export class ProviderNotFoundError extends SecureSocketError {
  /** Always `"ProviderNotFoundError"`. */
  override readonly name = "ProviderNotFoundError";
  /** Always `"PROVIDER_NOT_FOUND"`. */
  readonly code = "PROVIDER_NOT_FOUND";
  /** The requirements, as raised by the policies. */
  readonly wanted: WantedProvider;
  /** Every provider that was not selected, in order, with the reason. */
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

/** `mutual authentication, impersonation "identify"`; what is `false` is left out. */
function inWords(wanted: WantedProvider): string {
  const parts = Object.entries(wanted).filter(([, value]) => value !== false && value !== undefined);
  return parts.map(([name, value]) => {
    const words = name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
    return value === true ? words : `${words} ${JSON.stringify(value)}`;
  }).join(", ");
}

/** A sandboxed provider's module was rejected before it ran. */
export class ProviderRejectedError extends SecureSocketError {
  /** Always `"ProviderRejectedError"`. */
  override readonly name = "ProviderRejectedError";
  /** Always `"PROVIDER_REJECTED"`. */
  readonly code = "PROVIDER_REJECTED";
  /** The rule that the module violates, as a code to branch on. */
  readonly rule: string;
  /** The offset in the module, in bytes; -1 where the violation has no offset. */
  readonly offset: number;

  /** Builds the error; the message says what to change. */
  constructor(rule: string, offset: number, message: string, options?: ErrorCause) {
    super(message, options);
    this.rule = rule;
    this.offset = offset;
  }
}

/** A sandboxed provider trapped; its instance was discarded. */
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

/** A sandboxed provider exceeded a limit; its instance was discarded. */
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

/** The object's state does not allow the call: it is closed, not yet authenticated, or busy. */
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

/**
 * The oldest supported Node. Checked here: on an older one, errors elsewhere would name a missing function and not
 * the cause.
 */
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
