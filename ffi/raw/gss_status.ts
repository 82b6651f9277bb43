/**
 * GSS-API routine errors and the Kerberos minor codes that have a meaning of their own here. No logic.
 *
 * @see https://www.rfc-editor.org/rfc/rfc2744#section-3.9.1
 * @module
 */

import type { AuthenticationReason } from "../../errors.ts";

/** What a status means: its name, the reason to branch on, and what to do. */
export interface StatusEntry {
  /** The symbolic name. */
  readonly name: string;
  /** The reason an `AuthenticationError` carries. */
  readonly reason: AuthenticationReason;
  /** What to do, as a sentence. */
  readonly advice: string;
}

/** Routine errors, by the upper half of the major status. */
export const GSS_ROUTINE_ERRORS: { readonly [code: number]: StatusEntry } = {
  1: { name: "GSS_S_BAD_MECH", reason: "mechanism", advice: "Install or enable the mechanism." },
  2: { name: "GSS_S_BAD_NAME", reason: "unknown-target", advice: "Write the name as class/host." },
  3: { name: "GSS_S_BAD_NAMETYPE", reason: "unknown-target", advice: "Write the name as class/host." },
  4: {
    name: "GSS_S_BAD_BINDINGS",
    reason: "channel-bindings",
    advice: "Give the same channel bindings on both ends; where they are the same, something stands between.",
  },
  5: { name: "GSS_S_BAD_STATUS", reason: "other", advice: "" },
  6: {
    name: "GSS_S_BAD_SIG",
    reason: "bad-token",
    advice: "The token was changed, or made with another key.",
  },
  7: { name: "GSS_S_NO_CRED", reason: "no-credentials", advice: "Log in with kinit, or give credentials." },
  8: { name: "GSS_S_NO_CONTEXT", reason: "other", advice: "" },
  9: {
    name: "GSS_S_DEFECTIVE_TOKEN",
    reason: "bad-token",
    advice: "The peer speaks another mechanism, or the token was damaged.",
  },
  10: {
    name: "GSS_S_DEFECTIVE_CREDENTIAL",
    reason: "no-credentials",
    advice: "Get fresh credentials with kinit.",
  },
  11: {
    name: "GSS_S_CREDENTIALS_EXPIRED",
    reason: "credentials-expired",
    advice: "Get fresh credentials with kinit.",
  },
  12: { name: "GSS_S_CONTEXT_EXPIRED", reason: "context-expired", advice: "Connect again." },
  13: { name: "GSS_S_FAILURE", reason: "other", advice: "" },
  14: { name: "GSS_S_BAD_QOP", reason: "other", advice: "" },
  15: { name: "GSS_S_UNAUTHORIZED", reason: "peer-refused", advice: "" },
  16: { name: "GSS_S_UNAVAILABLE", reason: "mechanism", advice: "" },
  17: { name: "GSS_S_DUPLICATE_ELEMENT", reason: "other", advice: "" },
  18: { name: "GSS_S_NAME_NOT_MN", reason: "other", advice: "" },
};

/** The base of the Kerberos error table (`ERROR_TABLE_BASE_krb5`), as an unsigned number. */
export const KRB5_BASE = 0x96c73a00;

/** Kerberos codes, by their distance from {@linkcode KRB5_BASE}. */
export const KRB5_ERRORS: { readonly [code: number]: StatusEntry } = {
  6: {
    name: "KRB5KDC_ERR_C_PRINCIPAL_UNKNOWN",
    reason: "bad-credentials",
    advice: "The user is not known to the Kerberos server; check the name and the realm.",
  },
  7: {
    name: "KRB5KDC_ERR_S_PRINCIPAL_UNKNOWN",
    reason: "unknown-target",
    advice: "The SPN is not registered; check the target, or register it (setspn on Windows).",
  },
  8: {
    name: "KRB5KDC_ERR_PRINCIPAL_NOT_UNIQUE",
    reason: "unknown-target",
    advice: "Two accounts hold the SPN; remove one registration.",
  },
  14: {
    name: "KRB5KDC_ERR_ETYPE_NOSUPP",
    reason: "mechanism",
    advice: "Client, server and Kerberos server share no encryption type.",
  },
  18: {
    name: "KRB5KDC_ERR_CLIENT_REVOKED",
    reason: "bad-credentials",
    advice: "The account is locked or disabled.",
  },
  23: {
    name: "KRB5KDC_ERR_KEY_EXP",
    reason: "credentials-expired",
    advice: "The password has expired; change it.",
  },
  24: { name: "KRB5KDC_ERR_PREAUTH_FAILED", reason: "bad-credentials", advice: "The password is wrong." },
  31: {
    name: "KRB5KRB_AP_ERR_BAD_INTEGRITY",
    reason: "wrong-target",
    advice:
      "The key does not fit: the password is wrong, or the SPN belongs to another account than the server's.",
  },
  32: {
    name: "KRB5KRB_AP_ERR_TKT_EXPIRED",
    reason: "credentials-expired",
    advice: "The ticket has expired; get a fresh one with kinit.",
  },
  33: {
    name: "KRB5KRB_AP_ERR_TKT_NYV",
    reason: "clock-skew",
    advice: "The ticket is not valid yet; set the clocks.",
  },
  34: {
    name: "KRB5KRB_AP_ERR_REPEAT",
    reason: "bad-token",
    advice: "The first token had been used before: a replay.",
  },
  35: { name: "KRB5KRB_AP_ERR_NOT_US", reason: "wrong-target", advice: "The ticket is for another service." },
  36: {
    name: "KRB5KRB_AP_ERR_BADMATCH",
    reason: "wrong-target",
    advice: "Ticket and token do not belong together.",
  },
  37: {
    name: "KRB5KRB_AP_ERR_SKEW",
    reason: "clock-skew",
    advice: "The clocks differ by more than Kerberos allows, which is five minutes by default; set them.",
  },
  44: {
    name: "KRB5KRB_AP_ERR_BADKEYVER",
    reason: "wrong-target",
    advice: "The key table holds an older key than the ticket; export it again.",
  },
  45: {
    name: "KRB5KRB_AP_ERR_NOKEY",
    reason: "wrong-target",
    advice: "The key table has no key for the ticket.",
  },
  46: {
    name: "KRB5KRB_AP_ERR_MUT_FAIL",
    reason: "wrong-target",
    advice: "The server did not prove its identity.",
  },
  60: { name: "KRB5KRB_ERR_GENERIC", reason: "other", advice: "The Kerberos server's log says more." },
  135: {
    name: "KRB5_CONFIG_CANTOPEN",
    reason: "other",
    advice: "This account cannot open krb5.conf; see KRB5_CONFIG.",
  },
  136: {
    name: "KRB5_CONFIG_BADFORMAT",
    reason: "other",
    advice: "krb5.conf is no Kerberos configuration; correct it, or set KRB5_CONFIG to another.",
  },
  144: {
    name: "KRB5KRB_AP_WRONG_PRINC",
    reason: "wrong-target",
    advice: "The key table has no key for the service the client asked for.",
  },
  156: {
    name: "KRB5_KDC_UNREACH",
    reason: "authority-unreachable",
    advice: "No Kerberos server answers; check krb5.conf and the network.",
  },
  141: {
    name: "KRB5_CC_NOTFOUND",
    reason: "no-credentials",
    advice: "The credential cache does not hold what is needed; log in with kinit.",
  },
  220: {
    name: "KRB5_REALM_CANT_RESOLVE",
    reason: "authority-unreachable",
    advice: "The Kerberos server's name cannot be resolved; check krb5.conf and DNS.",
  },
  224: {
    name: "KRB5_CONFIG_NODEFREALM",
    reason: "no-credentials",
    advice: "krb5.conf names no default realm; set one, or write the target with its @REALM.",
  },
  181: {
    name: "KRB5_KT_NOTFOUND",
    reason: "no-credentials",
    advice:
      "There is no such key table, or it does not hold the principal; check its path and what klist -k lists.",
  },
  195: {
    name: "KRB5_FCC_NOFILE",
    reason: "no-credentials",
    advice: "There is no credential cache; log in with kinit.",
  },
  154: {
    name: "KRB5_REALM_UNKNOWN",
    reason: "authority-unreachable",
    advice: "krb5.conf names no Kerberos server for the realm.",
  },
  155: {
    name: "KRB5_SERVICE_UNKNOWN",
    reason: "authority-unreachable",
    advice: "No Kerberos server is known for the realm.",
  },
};

/** {@linkcode KRB5_ERRORS} as they are meant while credentials are acquired: no service is asked for yet. */
export const KRB5_ACQUIRE_ERRORS: { readonly [code: number]: StatusEntry } = {
  ...KRB5_ERRORS,
  31: {
    name: "KRB5KRB_AP_ERR_BAD_INTEGRITY",
    reason: "bad-credentials",
    advice: "The password, or the key in the key table, is wrong.",
  },
};
