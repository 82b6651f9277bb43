/**
 * Where the names in `ffi/raw` are not simply those of the Windows headers: the C expression for each.
 *
 * @module
 */

/** Modules of `ffi/raw` that are not about Windows. */
export const NOT_WINDOWS: readonly string[] = ["libcrypto.ts", "gssapi.ts", "gss_status.ts", "signal.ts"];

/** Exports of `ffi/raw` that hold no constants: names of constants that others define. */
export const WITHOUT_CONSTANTS: readonly string[] = ["SECURE_SOCKET_ERRORS"];

/** `Group.NAME` or `NAME` in `ffi/raw`, and what a C compiler is asked instead of `Group_NAME`. */
export const C_EXPRESSIONS: { readonly [name: string]: string } = {
  "ISC.DELEGATE": "ISC_REQ_DELEGATE",
  "ISC.MUTUAL_AUTH": "ISC_REQ_MUTUAL_AUTH",
  "ISC.REPLAY_DETECT": "ISC_REQ_REPLAY_DETECT",
  "ISC.SEQUENCE_DETECT": "ISC_REQ_SEQUENCE_DETECT",
  "ISC.CONFIDENTIALITY": "ISC_REQ_CONFIDENTIALITY",
  "ISC.CONNECTION": "ISC_REQ_CONNECTION",
  "ISC.INTEGRITY": "ISC_REQ_INTEGRITY",
  "ISC.IDENTIFY": "ISC_REQ_IDENTIFY",
  "ISC.NULL_SESSION": "ISC_REQ_NULL_SESSION",
  "ASC.DELEGATE": "ASC_REQ_DELEGATE",
  "ASC.MUTUAL_AUTH": "ASC_REQ_MUTUAL_AUTH",
  "ASC.REPLAY_DETECT": "ASC_REQ_REPLAY_DETECT",
  "ASC.SEQUENCE_DETECT": "ASC_REQ_SEQUENCE_DETECT",
  "ASC.CONFIDENTIALITY": "ASC_REQ_CONFIDENTIALITY",
  "ASC.CONNECTION": "ASC_REQ_CONNECTION",
  "ASC.INTEGRITY": "ASC_REQ_INTEGRITY",
  "ASC.IDENTIFY": "ASC_REQ_IDENTIFY",
  "ASC.NULL_SESSION": "ASC_REQ_ALLOW_NULL_SESSION",
  "ASC.ALLOW_MISSING_BINDINGS": "ASC_REQ_ALLOW_MISSING_BINDINGS",
  "SEC_I.OK": "SEC_E_OK",
  "TOKEN.TYPE": "TokenType",
  "TOKEN.IMPERSONATION_LEVEL": "TokenImpersonationLevel",
  "TOKEN.ERROR_NO_TOKEN": "ERROR_NO_TOKEN",
  "TOKEN.CURRENT_THREAD": "GetCurrentThread()",
  "TOKEN.CURRENT_PROCESS": "GetCurrentProcess()",
};
