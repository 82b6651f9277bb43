/**
 * The codes by which one end of a handshake tells the other why it failed.
 *
 * @module
 */

import { AuthenticationError } from "../errors.ts";
import { decodeErrorCode } from "./framing.ts";

/** ERROR_TRUST_FAILURE: what .NET sends where the agreed protection, level or target is not what it requires. */
const NOT_AS_REQUIRED = 1790;
const SEC_E_INVALID_TOKEN = 0x80090308;
const SEC_E_LOGON_DENIED = 0x8009030c;
const SEC_E_BAD_BINDINGS = 0x80090346;
const SEC_E_INTERNAL_ERROR = 0x80090304;
const SEC_E_UNSUPPORTED_FUNCTION = 0x80090302;

const MEANINGS = new Map([
  [NOT_AS_REQUIRED, "it requires another protection or impersonation level, or another target name"],
  [SEC_E_INVALID_TOKEN, "SEC_E_INVALID_TOKEN: it did not understand a token"],
  [SEC_E_LOGON_DENIED, "SEC_E_LOGON_DENIED: it refused the credentials"],
  [SEC_E_BAD_BINDINGS, "SEC_E_BAD_BINDINGS: its channel bindings differ"],
  [SEC_E_INTERNAL_ERROR, "SEC_E_INTERNAL_ERROR: it failed on its own side"],
  [
    SEC_E_UNSUPPORTED_FUNCTION,
    "SEC_E_UNSUPPORTED_FUNCTION: the mechanism does not serve there; use the same provider on both ends: " +
    "kerberos() and negotiate() do not meet, and NTLM is left out by default",
  ],
  [0x80090322, "SEC_E_WRONG_PRINCIPAL: the target name is not this server's"],
  [0x80090303, "SEC_E_TARGET_UNKNOWN: the target name is not known"],
  [0x80090324, "SEC_E_TIME_SKEW: the clocks differ too much"],
]);

/** The code to send for a failure on this side; it tells no more than .NET would. */
export function codeOfFailure(error: unknown): number {
  // Compared by name: the error may come from another copy of this package.
  const { name, reason } = (error ?? {}) as { name?: unknown; reason?: unknown };
  if (name === "SecurityRequirementError" || reason === "target-not-accepted") return NOT_AS_REQUIRED;
  if (name === "ProtocolError" || reason === "bad-token") return SEC_E_INVALID_TOKEN;
  if (name !== "AuthenticationError") return SEC_E_INTERNAL_ERROR;
  if (reason === "mechanism") return SEC_E_UNSUPPORTED_FUNCTION;
  return reason === "channel-bindings" ? SEC_E_BAD_BINDINGS : SEC_E_LOGON_DENIED;
}

/** The error for a handshake that the peer gave up, from the payload with which it did. */
export function refusedByPeer(payload: Uint8Array): AuthenticationError {
  const code = decodeErrorCode(payload);
  if (code === null) {
    return new AuthenticationError(
      "peer-refused",
      "The peer refused the handshake without a reason; see its log",
    );
  }
  const spelled = code > 0xffff ? `0x${code.toString(16).padStart(8, "0")}` : String(code);
  const meaning = MEANINGS.get(code) ?? "see its log";
  return new AuthenticationError(
    "peer-refused",
    `The peer refused the handshake with ${spelled} (${meaning})`,
  );
}
