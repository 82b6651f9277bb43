/**
 * GSS-API routine errors and the Kerberos minor codes with their reasons and advice. No logic.
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
  /**
   * Another reason and advice, used where the library's text contains these words: one status may have several
   * causes.
   */
  readonly variants?: readonly {
    readonly words: string;
    readonly reason?: AuthenticationReason;
    readonly advice: string;
  }[];
}

/** Routine errors, by the upper half of the major status. */
export const GSS_ROUTINE_ERRORS: { readonly [code: number]: StatusEntry } = {
  1: { name: "GSS_S_BAD_MECH", reason: "mechanism", advice: "Install or enable the mechanism." },
  2: { name: "GSS_S_BAD_NAME", reason: "unknown-target", advice: "Write the name as class/host." },
  3: { name: "GSS_S_BAD_NAMETYPE", reason: "unknown-target", advice: "Write the name as class/host." },
  4: {
    name: "GSS_S_BAD_BINDINGS",
    reason: "channel-bindings",
    advice:
      "Give the same channel bindings on both ends; where they are the same, a proxy or an attacker may be between them.",
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
    advice: "The peer uses another mechanism, or the token was damaged.",
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
  1: {
    name: "KRB5KDC_ERR_NAME_EXP",
    reason: "account-expired",
    advice: "The account has expired; ask the administrator to extend it (kadmin: modprinc -expire).",
  },
  2: {
    name: "KRB5KDC_ERR_SERVICE_EXP",
    reason: "unknown-target",
    advice:
      "The service's account has expired; ask the administrator to extend it (kadmin: modprinc -expire).",
  },
  6: {
    name: "KRB5KDC_ERR_C_PRINCIPAL_UNKNOWN",
    reason: "bad-credentials",
    advice: "The user is not known to the KDC; check the name and the realm.",
  },
  7: {
    name: "KRB5KDC_ERR_S_PRINCIPAL_UNKNOWN",
    reason: "unknown-target",
    advice:
      "The SPN is not registered; check the target, or register it (kadmin addprinc; setspn on Windows).",
  },
  8: {
    name: "KRB5KDC_ERR_PRINCIPAL_NOT_UNIQUE",
    reason: "unknown-target",
    advice: "Two accounts have the SPN; remove one registration.",
  },
  14: {
    name: "KRB5KDC_ERR_ETYPE_NOSUPP",
    reason: "mechanism",
    advice: "Client, server and KDC have no encryption type in common.",
  },
  9: {
    name: "KRB5KDC_ERR_NULL_KEY",
    reason: "bad-credentials",
    advice: "The account has no key; ask the administrator to set a password.",
  },
  12: {
    name: "KRB5KDC_ERR_POLICY",
    reason: "other",
    advice: "A policy of the KDC forbids it; see its log.",
  },
  13: {
    name: "KRB5KDC_ERR_BADOPTION",
    reason: "other",
    advice: "The KDC does not support this use of the ticket; see its log.",
  },
  16: {
    name: "KRB5KDC_ERR_PADATA_TYPE_NOSUPP",
    reason: "preauthentication",
    advice: "The KDC does not support this kind of pre-authentication; log in with kinit.",
  },
  21: {
    name: "KRB5KDC_ERR_CLIENT_NOTYET",
    reason: "clock-skew",
    advice: "The account is not valid yet; set the clocks, or wait.",
  },
  18: {
    name: "KRB5KDC_ERR_CLIENT_REVOKED",
    reason: "account-locked",
    advice:
      "The account is locked or disabled; ask the administrator to unlock it (kadmin: modprinc -unlock, +allow_tix).",
  },
  23: {
    name: "KRB5KDC_ERR_KEY_EXP",
    reason: "password-expired",
    advice: "The password has expired; change it with kpasswd.",
  },
  24: { name: "KRB5KDC_ERR_PREAUTH_FAILED", reason: "bad-credentials", advice: "The password is wrong." },
  25: {
    name: "KRB5KDC_ERR_PREAUTH_REQUIRED",
    reason: "preauthentication",
    advice:
      "The KDC requires another pre-authentication than a password, such as a smart card; log in with kinit.",
  },
  29: {
    name: "KRB5KDC_ERR_SVC_UNAVAILABLE",
    reason: "authority-unreachable",
    advice: "The KDC is not available now; see its log.",
  },
  31: {
    name: "KRB5KRB_AP_ERR_BAD_INTEGRITY",
    reason: "wrong-target",
    advice:
      "The key is wrong: the password is wrong, or the SPN belongs to another account than the server's.",
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
    advice: "The first token was used before: it is a replay.",
  },
  35: {
    name: "KRB5KRB_AP_ERR_NOT_US",
    reason: "wrong-target",
    advice: "The ticket is for another service.",
    variants: [{
      words: "using keytab key for",
      advice:
        "The server's credentials are for one principal, and the client requested another: use that one on the client, or " +
        "leave credentials.principal out on the server.",
    }],
  },
  36: {
    name: "KRB5KRB_AP_ERR_BADMATCH",
    reason: "wrong-target",
    advice: "Ticket and token do not belong together.",
  },
  37: {
    name: "KRB5KRB_AP_ERR_SKEW",
    reason: "clock-skew",
    advice: "The clocks differ by more than Kerberos allows (five minutes by default); set them.",
  },
  44: {
    name: "KRB5KRB_AP_ERR_BADKEYVER",
    reason: "wrong-target",
    advice: "The key table has an older key than the ticket; export it again.",
    variants: [{
      words: "ticket is likely out of date",
      advice:
        "The client's ticket is for an older key than the key table has: get a new ticket on the client " +
        "(kinit), or keep the older key in the key table until such tickets have expired.",
    }, {
      words: "but not with enctype",
      advice: "The key table has no key of the ticket's encryption type; export it again.",
    }],
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
  60: { name: "KRB5KRB_ERR_GENERIC", reason: "other", advice: "The KDC's log says more." },
  68: {
    name: "KRB5KDC_ERR_WRONG_REALM",
    reason: "unknown-realm",
    advice: "The user is in another realm; give that one as the domain.",
  },
  90: {
    name: "KRB5KDC_ERR_PREAUTH_EXPIRED",
    reason: "preauthentication",
    advice: "The pre-authentication has expired; try again.",
  },
  130: {
    name: "KRB5_LIBOS_CANTREADPWD",
    reason: "preauthentication",
    advice: "The KDC asks for more than the password, which this library cannot answer; log in with kinit.",
  },
  134: {
    name: "KRB5_PARSE_MALFORMED",
    reason: "bad-credentials",
    advice: "It is not a principal; write it as klist prints it.",
  },
  135: {
    name: "KRB5_CONFIG_CANTOPEN",
    reason: "configuration",
    advice: "This account cannot open krb5.conf; see KRB5_CONFIG.",
  },
  136: {
    name: "KRB5_CONFIG_BADFORMAT",
    reason: "configuration",
    advice: "krb5.conf is not a Kerberos configuration; correct it, or set KRB5_CONFIG to another file.",
  },
  139: {
    name: "KRB5_CC_BADNAME",
    reason: "no-credentials",
    advice: "The name of the credential cache is invalid; write TYPE:name, as klist prints it.",
  },
  140: {
    name: "KRB5_CC_UNKNOWN_TYPE",
    reason: "no-credentials",
    advice: "The library has no credential caches of that type; see klist -A.",
  },
  144: {
    name: "KRB5KRB_AP_WRONG_PRINC",
    reason: "wrong-target",
    advice: "The key table has no key for the service that the client requested.",
  },
  148: {
    name: "KRB5_KDCREP_SKEW",
    reason: "clock-skew",
    advice: "This machine's clock and the KDC's differ too much; set them.",
  },
  156: {
    name: "KRB5_KDC_UNREACH",
    reason: "authority-unreachable",
    advice: "No KDC answers; check krb5.conf and the network.",
  },
  141: {
    name: "KRB5_CC_NOTFOUND",
    reason: "no-credentials",
    advice: "The credential cache does not contain the ticket that is needed; log in with kinit.",
  },
  220: {
    name: "KRB5_REALM_CANT_RESOLVE",
    reason: "authority-unreachable",
    advice: "The KDC's name cannot be resolved; check krb5.conf and DNS.",
  },
  221: {
    name: "KRB5_TKT_NOT_FORWARDABLE",
    reason: "other",
    advice:
      'The ticket cannot be forwarded: log in with kinit -f, or write "forwardable = true" under [libdefaults] ' +
      "in krb5.conf and log in again.",
  },
  224: {
    name: "KRB5_CONFIG_NODEFREALM",
    reason: "configuration",
    advice:
      'No default realm: write "default_realm = REALM" under [libdefaults] in krb5.conf, or give the realm as the ' +
      "domain; a target then needs its @REALM too.",
  },
  179: {
    name: "KRB5_KT_BADNAME",
    reason: "no-credentials",
    advice: "The name of the key table is invalid; write FILE:/path, as klist -k prints it.",
  },
  180: {
    name: "KRB5_KT_UNKNOWN_TYPE",
    reason: "no-credentials",
    advice: "The library has no key tables of that type; write FILE:/path.",
  },
  181: {
    name: "KRB5_KT_NOTFOUND",
    reason: "no-credentials",
    advice:
      "The key table does not exist, or does not contain the principal; check its path and what klist -k lists.",
  },
  182: {
    name: "KRB5_KT_END",
    reason: "no-credentials",
    advice: "The key table is empty; see klist -k.",
  },
  193: {
    name: "KRB5_CC_IO",
    reason: "no-credentials",
    advice: "The credential cache cannot be read; see klist.",
  },
  194: {
    name: "KRB5_FCC_PERM",
    reason: "no-credentials",
    advice: "This account is not permitted to read the credential cache.",
  },
  195: {
    name: "KRB5_FCC_NOFILE",
    reason: "no-credentials",
    advice: "There is no credential cache; log in with kinit.",
  },
  199: {
    name: "KRB5_CC_FORMAT",
    reason: "no-credentials",
    advice: "The credential cache is damaged; log in with kinit.",
  },
  210: {
    name: "KRB5_PREAUTH_FAILED",
    reason: "preauthentication",
    advice:
      "The KDC requires another pre-authentication than a password, such as a smart card; log in with kinit.",
  },
  212: {
    name: "KRB5_CCACHE_BADVNO",
    reason: "no-credentials",
    advice: "The credential cache is of no version that the library knows; log in with kinit.",
  },
  213: {
    name: "KRB5_KEYTAB_BADVNO",
    reason: "no-credentials",
    advice: "The file is not a key table, or of a version that the library does not know; see klist -k.",
  },
  154: {
    name: "KRB5_REALM_UNKNOWN",
    reason: "unknown-realm",
    advice: "No KDC is known for the realm, neither from krb5.conf nor from DNS: check how the realm is " +
      'written (most are in capital letters), or name its KDC with "kdc = HOST" under [realms].',
  },
  155: {
    name: "KRB5_SERVICE_UNKNOWN",
    reason: "unknown-realm",
    advice: "No KDC is known for the realm.",
  },
};

/** What differs from {@linkcode KRB5_ERRORS} while credentials are acquired: no service is requested yet. */
export const KRB5_ACQUIRE_ERRORS: { readonly [code: number]: StatusEntry } = {
  ...KRB5_ERRORS,
  31: {
    name: "KRB5KRB_AP_ERR_BAD_INTEGRITY",
    reason: "bad-credentials",
    advice: "The password, or the key in the key table, is wrong.",
  },
};
