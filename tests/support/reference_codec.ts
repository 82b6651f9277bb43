/** A socket provider in plain TypeScript, over the layouts: the sandboxed codec must return the same bytes. */

import {
  SOCKET_SECURITY_PROTOCOL,
  SOCKET_SECURITY_QUERY_TEMPLATE_IPSEC2,
  SOCKET_SECURITY_SETTINGS_IPSEC,
  SOCKET_SETTINGS,
} from "../../ffi/raw/fwpuclnt.ts";
import type {
  AssociationField,
  ResolvedRequirements,
  SettingsIdentity,
  SocketCodec,
  SocketProvider,
} from "../../contract.ts";
import { ipsecSettings, targetName } from "./ipsec_bytes.ts";

/** Options of the codec. */
export interface ReferenceOptions {
  readonly allowInsecure?: boolean;
  readonly mainModePolicy?: string;
  readonly quickModePolicy?: string;
  readonly optionalPeerName?: boolean;
  readonly abortOnAssociationChange?: readonly AssociationField[];
  readonly skipFilters?: boolean;
  readonly firstPacketInClear?: boolean;
}

/** What a hostile codec does instead. */
export interface CodecFaults {
  readonly settings?: (bytes: Uint8Array) => Uint8Array;
  readonly template?: (bytes: Uint8Array) => Uint8Array;
  readonly target?: (bytes: Uint8Array) => Uint8Array;
}

const { IPSEC, IPSEC2 } = SOCKET_SECURITY_PROTOCOL;

/** The settings for requirements. */
export function referenceSettings(
  requirements: ResolvedRequirements,
  identity: SettingsIdentity,
  options: ReferenceOptions,
): Uint8Array {
  const { integrity, confidentiality, mutualAuthentication, impersonation } = requirements;
  const clear = options.allowInsecure && !integrity && !confidentiality && !mutualAuthentication &&
    (impersonation === "anonymous" || impersonation === "identify");
  const whole = ipsecSettings({
    flags: (requirements.confidentiality ? SOCKET_SETTINGS.GUARANTEE_ENCRYPTION : 0) |
      (clear ? SOCKET_SETTINGS.ALLOW_INSECURE : 0),
    ipsecFlags: (options.skipFilters ? 1 : 0) | (options.optionalPeerName ? 2 : 0) |
      (clear && options.firstPacketInClear ? 4 : 0),
    mainMode: options.mainModePolicy,
    quickMode: options.quickModePolicy,
    strings: [identity.username, identity.domain, ""],
  });
  const { offsets, size } = SOCKET_SECURITY_SETTINGS_IPSEC;
  new DataView(whole.buffer).setUint32(offsets.PasswordStringLen, identity.passwordBytes, true);
  // The password follows the domain directly; without any string the structure keeps its own padding.
  const strings = 2 * (identity.username.length + identity.domain.length);
  return strings + identity.passwordBytes === 0
    ? whole.subarray(0, size)
    : whole.subarray(0, offsets.AllStrings + strings);
}

/** The template of a query. */
export function referenceTemplate(
  peerAddress: Uint8Array,
  accessMask: number,
  watched: readonly AssociationField[] = [],
): Uint8Array {
  const { offsets, size } = SOCKET_SECURITY_QUERY_TEMPLATE_IPSEC2;
  const bytes = new Uint8Array(size);
  SOCKET_SECURITY_QUERY_TEMPLATE_IPSEC2.write(new DataView(bytes.buffer), {
    SecurityProtocol: IPSEC2,
    PeerTokenAccessMask: accessMask,
    Flags: watched.length === 0 ? 0 : 1,
    FieldMask: watched.length === 0
      ? 3
      : (watched.includes("mainModeSa") ? 1 : 0) | (watched.includes("quickModeSa") ? 2 : 0),
  });
  bytes.set(peerAddress, offsets.PeerAddress);
  return bytes;
}

/** A provider of layer `socket` that counts its open codecs. */
export function referenceProvider(
  options: ReferenceOptions = {},
  faults: CodecFaults = {},
): SocketProvider & { readonly open: { count: number } } {
  const open = { count: 0 };
  const name = "reference";
  const { mainModePolicy, quickModePolicy, ...grants } = options;
  return {
    ...grants,
    ...(mainModePolicy === undefined ? {} : { mainModePolicies: [mainModePolicy] }),
    ...(quickModePolicy === undefined ? {} : { quickModePolicies: [quickModePolicy] }),
    layer: "socket",
    name,
    open,
    description: {
      name,
      layer: "socket",
      isolation: "native",
      offers: {
        integrity: true,
        confidentiality: true,
        mutualAuthentication: true,
        impersonation: "impersonate",
        delegation: false,
      },
    },
    available: (capabilities) => capabilities.ipsec,
    codec() {
      open.count++;
      let closed = false;
      const close = (): void => {
        if (!closed) open.count--;
        closed = true;
      };
      const codec: SocketCodec = {
        settings: (requirements, identity) => {
          const bytes = referenceSettings(requirements, identity, options);
          return faults.settings?.(bytes) ?? bytes;
        },
        target: (peer, target) => {
          const bytes = targetName(peer, target, IPSEC);
          return faults.target?.(bytes) ?? bytes;
        },
        queryTemplate: (peer, access, watched) => {
          const bytes = referenceTemplate(peer, access, watched);
          return faults.template?.(bytes) ?? bytes;
        },
        close,
        [Symbol.dispose]: close,
      };
      return Promise.resolve(codec);
    },
  };
}
