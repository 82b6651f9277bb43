/**
 * The `SECURITY_STATUS` values with their reasons and advice. No logic.
 *
 * @see https://learn.microsoft.com/windows/win32/com/com-error-codes-4
 * @module
 */

import type { AuthenticationReason, ProtocolReason } from "../../errors.ts";

/** What a status means. */
export interface SecurityStatusEntry {
  /** The symbolic name. */
  readonly name: string;
  /** The reason an `AuthenticationError` carries. */
  readonly reason: AuthenticationReason;
  /** The reason a `ProtocolError` carries where the status is that of a record. */
  readonly record?: ProtocolReason;
  /** What to do, as a sentence. */
  readonly advice: string;
}

/** Statuses by value, unsigned. */
export const SECURITY_STATUS: { readonly [status: number]: SecurityStatusEntry } = {
  0x80090300: { name: "SEC_E_INSUFFICIENT_MEMORY", reason: "other", advice: "" },
  0x80090301: { name: "SEC_E_INVALID_HANDLE", reason: "other", advice: "" },
  0x80090302: {
    name: "SEC_E_UNSUPPORTED_FUNCTION",
    reason: "mechanism",
    advice: "The package does not support this.",
  },
  0x80090303: {
    name: "SEC_E_TARGET_UNKNOWN",
    reason: "unknown-target",
    advice: "The SPN is not registered; check the target, or register it with setspn.",
  },
  0x80090304: { name: "SEC_E_INTERNAL_ERROR", reason: "other", advice: "" },
  0x80090305: {
    name: "SEC_E_SECPKG_NOT_FOUND",
    reason: "mechanism",
    advice: "The package is not installed.",
  },
  0x80090308: {
    name: "SEC_E_INVALID_TOKEN",
    reason: "bad-token",
    record: "malformed",
    advice: "The peer uses another package, or the token was damaged.",
  },
  0x8009030c: {
    name: "SEC_E_LOGON_DENIED",
    reason: "bad-credentials",
    advice: "The user name or the password is wrong, or the account may not log on.",
  },
  0x8009030d: { name: "SEC_E_UNKNOWN_CREDENTIALS", reason: "no-credentials", advice: "Give credentials." },
  0x8009030e: {
    name: "SEC_E_NO_CREDENTIALS",
    reason: "no-credentials",
    advice: "Log on to the domain, or give credentials.",
  },
  0x8009030f: {
    name: "SEC_E_MESSAGE_ALTERED",
    reason: "bad-token",
    record: "altered",
    advice: "It was changed in transit.",
  },
  0x80090310: {
    name: "SEC_E_OUT_OF_SEQUENCE",
    reason: "bad-token",
    record: "out-of-order",
    advice: "It is a replay, or an earlier record is missing.",
  },
  0x80090311: {
    name: "SEC_E_NO_AUTHENTICATING_AUTHORITY",
    reason: "authority-unreachable",
    advice: "No domain controller answers.",
  },
  0x80090317: { name: "SEC_E_CONTEXT_EXPIRED", reason: "context-expired", advice: "Connect again." },
  0x80090318: {
    name: "SEC_E_INCOMPLETE_MESSAGE",
    reason: "bad-token",
    record: "malformed",
    advice: "It is incomplete.",
  },
  0x80090321: { name: "SEC_E_BUFFER_TOO_SMALL", reason: "other", advice: "" },
  0x80090322: {
    name: "SEC_E_WRONG_PRINCIPAL",
    reason: "wrong-target",
    advice: "The SPN belongs to another account than the server runs under.",
  },
  0x80090324: { name: "SEC_E_TIME_SKEW", reason: "clock-skew", advice: "Set the clocks." },
  0x80090329: { name: "SEC_E_ENCRYPT_FAILURE", reason: "other", advice: "" },
  0x80090330: {
    name: "SEC_E_DECRYPT_FAILURE",
    reason: "bad-token",
    record: "altered",
    advice: "It was changed in transit, or made with another key.",
  },
  0x80090331: {
    name: "SEC_E_ALGORITHM_MISMATCH",
    reason: "mechanism",
    advice: "The two ends have no algorithm in common.",
  },
  0x80090342: {
    name: "SEC_E_KDC_UNKNOWN_ETYPE",
    reason: "mechanism",
    advice: "The domain controller and the account have no encryption type in common.",
  },
  0x80090346: {
    name: "SEC_E_BAD_BINDINGS",
    reason: "channel-bindings",
    advice:
      "Give the same channel bindings on both ends; where they are the same, a proxy or an attacker may be between them.",
  },
  0x80090347: {
    name: "SEC_E_MULTIPLE_ACCOUNTS",
    reason: "unknown-target",
    advice: "Two accounts have the SPN; remove one registration.",
  },
  0x8009035d: { name: "SEC_E_INVALID_PARAMETER", reason: "other", advice: "" },
  0x80090363: {
    name: "SEC_E_MUTUAL_AUTH_FAILED",
    reason: "wrong-target",
    advice: "The server did not prove its identity.",
  },
  0x80090357: {
    name: "SEC_E_CROSSREALM_DELEGATION_FAILURE",
    reason: "other",
    advice: "The domain does not allow this delegation.",
  },
};
