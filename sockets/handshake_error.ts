/**
 * The error codes that one end of a handshake sends to the other.
 *
 * @module
 */

import { AuthenticationError } from "../errors.ts";
import { decodeErrorCode } from "./framing.ts";

/** .NET sends it if the agreed protection, impersonation level or target is not as required. */
const ERROR_TRUST_FAILURE = 1790;
const SEC_E_INVALID_TOKEN = 0x80090308;
const SEC_E_LOGON_DENIED = 0x8009030c;
const SEC_E_BAD_BINDINGS = 0x80090346;
const SEC_E_INTERNAL_ERROR = 0x80090304;
const SEC_E_UNSUPPORTED_FUNCTION = 0x80090302;

const SEC_E_TARGET_UNKNOWN = 0x80090303;
const SEC_E_TIME_SKEW = 0x80090324;

const MEANINGS = new Map([
  [ERROR_TRUST_FAILURE, "it requires another protection or impersonation level, or another target name"],
  [SEC_E_INVALID_TOKEN, "SEC_E_INVALID_TOKEN: it did not understand a token"],
  [SEC_E_LOGON_DENIED, "SEC_E_LOGON_DENIED: it refused the credentials"],
  [SEC_E_BAD_BINDINGS, "SEC_E_BAD_BINDINGS: its channel bindings differ"],
  [SEC_E_INTERNAL_ERROR, "SEC_E_INTERNAL_ERROR: it failed on its own side"],
  [
    SEC_E_UNSUPPORTED_FUNCTION,
    "SEC_E_UNSUPPORTED_FUNCTION: the mechanism is not supported there; use the same provider on both " +
    "ends: kerberos() and negotiate() cannot connect to each other, and NTLM is left out by default",
  ],
  [0x80090322, "SEC_E_WRONG_PRINCIPAL: the target name is not this server's"],
  [SEC_E_TARGET_UNKNOWN, "SEC_E_TARGET_UNKNOWN: the target name is unknown"],
  [SEC_E_TIME_SKEW, "SEC_E_TIME_SKEW: the clocks differ too much"],
]);
/** The meanings of codes from a client, which checks no credentials but its own. */
const CLIENT_MEANINGS = new Map([
  [SEC_E_LOGON_DENIED, "SEC_E_LOGON_DENIED: it could not continue"],
  [SEC_E_TARGET_UNKNOWN, "SEC_E_TARGET_UNKNOWN: it could not find the target name"],
]);

/** The code to send for a failure of this end, which is `role`. A server's code reveals no more than .NET's would. */
export function codeOfFailure(error: unknown, role: "client" | "server"): number {
  // Compared by name: the error may come from another copy of this package.
  const { name, reason } = (error ?? {}) as { name?: unknown; reason?: unknown };
  if (name === "SecurityRequirementError" || reason === "target-not-accepted") return ERROR_TRUST_FAILURE;
  if (name === "ProtocolError" || reason === "bad-token") return SEC_E_INVALID_TOKEN;
  if (name !== "AuthenticationError") return SEC_E_INTERNAL_ERROR;
  if (reason === "mechanism") return SEC_E_UNSUPPORTED_FUNCTION;
  if (role === "client" && reason === "unknown-target") return SEC_E_TARGET_UNKNOWN;
  if (role === "client" && reason === "clock-skew") return SEC_E_TIME_SKEW;
  return reason === "channel-bindings" ? SEC_E_BAD_BINDINGS : SEC_E_LOGON_DENIED;
}

/** The error for a handshake that the peer ended with an error record; `role` is this end, `payload` the record's. */
export function refusedByPeer(payload: Uint8Array, role: "client" | "server"): AuthenticationError {
  const [gaveUp, log] = role === "client"
    ? ["The server refused the handshake", "The server's log has the reason"]
    : ["The client gave up the handshake", "The client's own error has the reason"];
  const code = decodeErrorCode(payload);
  if (code === null) return new AuthenticationError("peer-refused", `${gaveUp} without a code. ${log}`);
  const spelled = code > 0xffff ? `0x${code.toString(16).padStart(8, "0")}` : String(code);
  const meaning = (role === "server" ? CLIENT_MEANINGS.get(code) : undefined) ?? MEANINGS.get(code);
  const known = meaning === undefined ? "" : ` (${meaning})`;
  return new AuthenticationError("peer-refused", `${gaveUp} with ${spelled}${known}. ${log}`);
}

/** The error for a handshake whose peer closed the connection without an error record; `role` is this end. */
export function closedByPeer(role: "client" | "server"): AuthenticationError {
  const [peer, log] = role === "client"
    ? ["server", "The server's log"]
    : ["client", "The client's own error"];
  const message = `The ${peer} closed the connection during the handshake. ${log} has the reason`;
  return new AuthenticationError("peer-closed", message);
}
