/**
 * The providers of the operating system's own mechanisms: `negotiate()`, the default everywhere, and `kerberos()`.
 *
 * @module
 */

import type { ContextProvider } from "../../contract.ts";
import { nativeProvider } from "./native_provider.ts";

/** Options of {@linkcode negotiate}. */
export interface NegotiateOptions {
  /**
   * Lets Negotiate fall back to NTLM, which cannot authenticate the server. Default `false`. It has an effect only
   * if the connection's requirements also set `mutualAuthentication: false`, and none if a policy denies `ntlm`.
   */
  allowNtlm?: boolean;
}

/**
 * Negotiate (SPNEGO): Kerberos in the form that Windows' Negotiate and .NET's NegotiateStream understand. Uses
 * SSPI's `Negotiate` package on Windows, and the SPNEGO of GSS-API elsewhere.
 *
 * @throws TypeError if an option is unknown or has the wrong type.
 */
export function negotiate(options: NegotiateOptions = {}): ContextProvider {
  for (const key of Object.keys(options)) {
    if (key !== "allowNtlm") {
      throw new TypeError(`negotiate() has no option ${key}; its only option is allowNtlm`);
    }
  }
  const { allowNtlm = false } = options;
  if (typeof allowNtlm !== "boolean") throw new TypeError("negotiate()'s allowNtlm must be true or false");
  return nativeProvider({ name: "negotiate", allowNtlm });
}

/** Kerberos only, without SPNEGO; both ends must list it. */
export function kerberos(): ContextProvider {
  return nativeProvider({ name: "kerberos", allowNtlm: false });
}
