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
   * Allows Negotiate to fall back to NTLM, which cannot authenticate the server. Default `false`. Effective only
   * where the requirements also have `mutualAuthentication: false`, and no policy denies `ntlm`.
   */
  allowNtlm?: boolean;
}

/**
 * Returns the provider of Negotiate (SPNEGO) with Kerberos, compatible with Windows' Negotiate and .NET's
 * NegotiateStream. It uses SSPI's `Negotiate` package on Windows and GSS-API's SPNEGO elsewhere.
 *
 * @throws TypeError where an option is unknown or has the wrong type.
 */
export function negotiate(options: NegotiateOptions = {}): ContextProvider {
  for (const key of Object.keys(options)) {
    if (key !== "allowNtlm") throw new TypeError(`Unknown option ${key} of negotiate(); use allowNtlm`);
  }
  const { allowNtlm = false } = options;
  if (typeof allowNtlm !== "boolean") throw new TypeError("negotiate()'s allowNtlm must be true or false");
  return nativeProvider({ name: "negotiate", allowNtlm });
}

/** Returns the provider of Kerberos without SPNEGO. Both ends must list it in their registries. */
export function kerberos(): ContextProvider {
  return nativeProvider({ name: "kerberos", allowNtlm: false });
}
