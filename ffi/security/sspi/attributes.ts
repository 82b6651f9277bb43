/**
 * Reads all attributes of an established context with QueryContextAttributesW, for diagnosis. An attribute that the
 * package or the version of Windows does not support is `null`.
 *
 * @see https://learn.microsoft.com/windows/win32/api/sspi/nf-sspi-querycontextattributesw
 * @module
 */

import {
  SECPKG_ATTR,
  SecPkgContext_ClientSpecifiedTarget,
  SecPkgContext_Flags,
  SecPkgContext_LastClientTokenStatus,
  SecPkgContext_Lifespan,
  SecPkgContext_NamesW,
  SecPkgContext_NativeNamesW,
  SecPkgContext_NegotiationInfoW,
  SecPkgContext_PackageInfoW,
  SecPkgContext_Sizes,
  SecPkgContext_StreamSizes,
} from "../../raw/secur32.ts";
import type { Values } from "../../memory/struct.ts";
import type { Sspi } from "./sspi.ts";

/** The attributes of one context. Times are in units of 100 ns since 1601, in local time, as SSPI returns them. */
export interface SspiAttributes {
  /** `SECPKG_ATTR_SIZES`, in bytes. */
  readonly sizes: Values<typeof SecPkgContext_Sizes.fields> | null;
  /** `SECPKG_ATTR_STREAM_SIZES`, in bytes; stream packages such as Schannel only. */
  readonly streamSizes: Values<typeof SecPkgContext_StreamSizes.fields> | null;
  /** `SECPKG_ATTR_NAMES`: the authenticated user. */
  readonly userName: string | null;
  /** `SECPKG_ATTR_NATIVE_NAMES`: both ends, as the package writes them. */
  readonly nativeNames: { readonly client: string; readonly server: string } | null;
  /** `SECPKG_ATTR_LIFESPAN` */
  readonly lifespan: Values<typeof SecPkgContext_Lifespan.fields> | null;
  /** `SECPKG_ATTR_PACKAGE_INFO`: the package's name. */
  readonly packageName: string | null;
  /** `SECPKG_ATTR_NEGOTIATION_INFO`: the package that Negotiate chose, and the state of the negotiation. */
  readonly negotiation: { readonly packageName: string; readonly state: number } | null;
  /** `SECPKG_ATTR_FLAGS` */
  readonly flags: number | null;
  /** `SECPKG_ATTR_CLIENT_SPECIFIED_TARGET`: the target that the client requested. */
  readonly clientSpecifiedTarget: string | null;
  /** `SECPKG_ATTR_LAST_CLIENT_TOKEN_STATUS`: 0 maybe, 1 no, 2 yes. */
  readonly lastClientTokenStatus: number | null;
}

/** Reads every attribute of `context`. */
export function queryAttributes(sspi: Sspi, context: Uint8Array): SspiAttributes {
  const names = sspi.attribute(context, SECPKG_ATTR.NAMES, SecPkgContext_NamesW);
  const native = sspi.attribute(context, SECPKG_ATTR.NATIVE_NAMES, SecPkgContext_NativeNamesW);
  const info = sspi.attribute(context, SECPKG_ATTR.PACKAGE_INFO, SecPkgContext_PackageInfoW);
  const negotiation = sspi.attribute(context, SECPKG_ATTR.NEGOTIATION_INFO, SecPkgContext_NegotiationInfoW);
  const target = sspi.attribute(
    context,
    SECPKG_ATTR.CLIENT_SPECIFIED_TARGET,
    SecPkgContext_ClientSpecifiedTarget,
  );
  const last = sspi.attribute(
    context,
    SECPKG_ATTR.LAST_CLIENT_TOKEN_STATUS,
    SecPkgContext_LastClientTokenStatus,
  );
  return {
    sizes: sspi.attribute(context, SECPKG_ATTR.SIZES, SecPkgContext_Sizes),
    streamSizes: sspi.attribute(context, SECPKG_ATTR.STREAM_SIZES, SecPkgContext_StreamSizes),
    userName: names && sspi.takeText(names.sUserName),
    nativeNames: native &&
      { client: sspi.takeText(native.sClientName), server: sspi.takeText(native.sServerName) },
    lifespan: sspi.attribute(context, SECPKG_ATTR.LIFESPAN, SecPkgContext_Lifespan),
    packageName: info && sspi.takePackageName(info.PackageInfo),
    negotiation: negotiation && {
      packageName: sspi.takePackageName(negotiation.PackageInfo),
      state: negotiation.NegotiationState,
    },
    flags: sspi.attribute(context, SECPKG_ATTR.FLAGS, SecPkgContext_Flags)?.Flags ?? null,
    clientSpecifiedTarget: target && sspi.takeText(target.sTargetName),
    lastClientTokenStatus: last?.LastClientTokenStatus ?? null,
  };
}
