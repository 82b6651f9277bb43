/**
 * The operating system's own providers: `negotiate()`, the default everywhere, and `kerberos()`.
 *
 * @module
 */

import type { ContextProvider } from "../../contract.ts";
import { nativeProvider } from "./native_provider.ts";

/** Options of {@linkcode negotiate}. */
export interface NegotiateOptions {
  /**
   * Lets Negotiate fall back to NTLM, which cannot authenticate the server. Default `false`. Has an effect only
   * where the connection's requirements say `mutualAuthentication: false` too, and none where a policy denies `ntlm`.
   */
  allowNtlm?: boolean;
}

/**
 * Negotiate (SPNEGO): Kerberos, wrapped so that Windows' Negotiate and .NET's NegotiateStream understand it.
 * SSPI's `Negotiate` package on Windows, GSS-API's SPNEGO elsewhere.
 *
 * @throws TypeError where an option is unknown or has the wrong type.
 */
export function negotiate(options: NegotiateOptions = {}): ContextProvider {
  for (const key of Object.keys(options)) {
    if (key !== "allowNtlm") throw new TypeError(`negotiate() has no option ${key}; it has allowNtlm`);
  }
  const { allowNtlm = false } = options;
  if (typeof allowNtlm !== "boolean") throw new TypeError("negotiate()'s allowNtlm must be true or false");
  return nativeProvider({ name: "negotiate", allowNtlm });
}

/** Kerberos alone, without SPNEGO around it; both ends must list it. */
export function kerberos(): ContextProvider {
  return nativeProvider({ name: "kerberos", allowNtlm: false });
}
