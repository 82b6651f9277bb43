/**
 * The structs of the Windows Filtering Platform for writing IPsec policies and reading security associations
 * (fwpmtypes.h, iketypes.h, ipsectypes.h). Version 1 throughout: version 0 is Vista's. A union is named by the member
 * that is used, or by its longest. No logic.
 *
 * @see https://learn.microsoft.com/windows/win32/api/fwpmtypes/
 * @see https://learn.microsoft.com/windows/win32/api/iketypes/
 * @see https://learn.microsoft.com/windows/win32/api/ipsectypes/
 * @module
 */

import { type Struct, struct } from "../memory/struct.ts";

/** Fields of {@linkcode FWPM_DISPLAY_DATA0}. */
export const FWPM_DISPLAY_DATA0_FIELDS = { name: "ptr", description: "ptr" } as const;
/** `FWPM_DISPLAY_DATA0` */
export const FWPM_DISPLAY_DATA0: Struct<typeof FWPM_DISPLAY_DATA0_FIELDS> = struct(
  "FWPM_DISPLAY_DATA0",
  FWPM_DISPLAY_DATA0_FIELDS,
);

/** Fields of {@linkcode FWP_BYTE_BLOB}. */
export const FWP_BYTE_BLOB_FIELDS = { size: "u32", data: "ptr" } as const;
/** `FWP_BYTE_BLOB` */
export const FWP_BYTE_BLOB: Struct<typeof FWP_BYTE_BLOB_FIELDS> = struct(
  "FWP_BYTE_BLOB",
  FWP_BYTE_BLOB_FIELDS,
);

/** Fields of {@linkcode FWPM_SESSION0}. */
export const FWPM_SESSION0_FIELDS = {
  sessionKey: "guid",
  displayData: FWPM_DISPLAY_DATA0,
  flags: "u32",
  txnWaitTimeoutInMSec: "u32",
  processId: "u32",
  sid: "ptr",
  username: "ptr",
  kernelMode: "i32",
} as const;
/** `FWPM_SESSION0` */
export const FWPM_SESSION0: Struct<typeof FWPM_SESSION0_FIELDS> = struct(
  "FWPM_SESSION0",
  FWPM_SESSION0_FIELDS,
);

/** Fields of {@linkcode FWPM_PROVIDER_CONTEXT1}. */
export const FWPM_PROVIDER_CONTEXT1_FIELDS = {
  providerContextKey: "guid",
  displayData: FWPM_DISPLAY_DATA0,
  flags: "u32",
  providerKey: "ptr",
  providerData: FWP_BYTE_BLOB,
  type: "u32",
  authIpMmPolicy: "ptr",
  providerContextId: "u64",
} as const;
/** `FWPM_PROVIDER_CONTEXT1`: `authIpMmPolicy` is at the offset of every kind of policy. */
export const FWPM_PROVIDER_CONTEXT1: Struct<typeof FWPM_PROVIDER_CONTEXT1_FIELDS> = struct(
  "FWPM_PROVIDER_CONTEXT1",
  FWPM_PROVIDER_CONTEXT1_FIELDS,
);

/** Fields of {@linkcode IKEEXT_AUTHENTICATION_METHOD1}. */
export const IKEEXT_AUTHENTICATION_METHOD1_FIELDS = {
  authenticationMethodType: "u32",
  // The union's longest member; Kerberos' and NTLM's is one u32 of flags in its first word.
  certificateAuthentication: ["u64", 9],
} as const;
/** `IKEEXT_AUTHENTICATION_METHOD1` */
export const IKEEXT_AUTHENTICATION_METHOD1: Struct<typeof IKEEXT_AUTHENTICATION_METHOD1_FIELDS> = struct(
  "IKEEXT_AUTHENTICATION_METHOD1",
  IKEEXT_AUTHENTICATION_METHOD1_FIELDS,
);

/** Fields of {@linkcode IKEEXT_CIPHER_ALGORITHM0}. */
export const IKEEXT_CIPHER_ALGORITHM0_FIELDS = {
  algoIdentifier: "u32",
  keyLen: "u32",
  rounds: "u32",
} as const;
/** `IKEEXT_CIPHER_ALGORITHM0` */
export const IKEEXT_CIPHER_ALGORITHM0: Struct<typeof IKEEXT_CIPHER_ALGORITHM0_FIELDS> = struct(
  "IKEEXT_CIPHER_ALGORITHM0",
  IKEEXT_CIPHER_ALGORITHM0_FIELDS,
);

/** Fields of {@linkcode IKEEXT_INTEGRITY_ALGORITHM0}. */
export const IKEEXT_INTEGRITY_ALGORITHM0_FIELDS = { algoIdentifier: "u32" } as const;
/** `IKEEXT_INTEGRITY_ALGORITHM0` */
export const IKEEXT_INTEGRITY_ALGORITHM0: Struct<typeof IKEEXT_INTEGRITY_ALGORITHM0_FIELDS> = struct(
  "IKEEXT_INTEGRITY_ALGORITHM0",
  IKEEXT_INTEGRITY_ALGORITHM0_FIELDS,
);

/** Fields of {@linkcode IKEEXT_PROPOSAL0}. */
export const IKEEXT_PROPOSAL0_FIELDS = {
  cipherAlgorithm: IKEEXT_CIPHER_ALGORITHM0,
  integrityAlgorithm: IKEEXT_INTEGRITY_ALGORITHM0,
  maxLifetimeSeconds: "u32",
  dhGroup: "u32",
  quickModeLimit: "u32",
} as const;
/** `IKEEXT_PROPOSAL0` */
export const IKEEXT_PROPOSAL0: Struct<typeof IKEEXT_PROPOSAL0_FIELDS> = struct(
  "IKEEXT_PROPOSAL0",
  IKEEXT_PROPOSAL0_FIELDS,
);

/** Fields of {@linkcode IKEEXT_POLICY1}. */
export const IKEEXT_POLICY1_FIELDS = {
  softExpirationTime: "u32",
  numAuthenticationMethods: "u32",
  authenticationMethods: "ptr",
  initiatorImpersonationType: "u32",
  numIkeProposals: "u32",
  ikeProposals: "ptr",
  flags: "u32",
  maxDynamicFilters: "u32",
  retransmitDurationSecs: "u32",
} as const;
/** `IKEEXT_POLICY1`: a main-mode policy. */
export const IKEEXT_POLICY1: Struct<typeof IKEEXT_POLICY1_FIELDS> = struct(
  "IKEEXT_POLICY1",
  IKEEXT_POLICY1_FIELDS,
);

/** Fields of {@linkcode IKEEXT_EM_POLICY1}. */
export const IKEEXT_EM_POLICY1_FIELDS = {
  numAuthenticationMethods: "u32",
  authenticationMethods: "ptr",
  initiatorImpersonationType: "u32",
} as const;
/** `IKEEXT_EM_POLICY1`: an extended-mode policy, inside a quick-mode policy. */
export const IKEEXT_EM_POLICY1: Struct<typeof IKEEXT_EM_POLICY1_FIELDS> = struct(
  "IKEEXT_EM_POLICY1",
  IKEEXT_EM_POLICY1_FIELDS,
);

/** Fields of {@linkcode IPSEC_SA_LIFETIME0}. */
export const IPSEC_SA_LIFETIME0_FIELDS = {
  lifetimeSeconds: "u32",
  lifetimeKilobytes: "u32",
  lifetimePackets: "u32",
} as const;
/** `IPSEC_SA_LIFETIME0` */
export const IPSEC_SA_LIFETIME0: Struct<typeof IPSEC_SA_LIFETIME0_FIELDS> = struct(
  "IPSEC_SA_LIFETIME0",
  IPSEC_SA_LIFETIME0_FIELDS,
);

/** Fields of {@linkcode IPSEC_SA_IDLE_TIMEOUT0}. */
export const IPSEC_SA_IDLE_TIMEOUT0_FIELDS = {
  idleTimeoutSeconds: "u32",
  idleTimeoutSecondsFailOver: "u32",
} as const;
/** `IPSEC_SA_IDLE_TIMEOUT0` */
export const IPSEC_SA_IDLE_TIMEOUT0: Struct<typeof IPSEC_SA_IDLE_TIMEOUT0_FIELDS> = struct(
  "IPSEC_SA_IDLE_TIMEOUT0",
  IPSEC_SA_IDLE_TIMEOUT0_FIELDS,
);

/** Fields of {@linkcode IPSEC_AUTH_TRANSFORM_ID0}. */
export const IPSEC_AUTH_TRANSFORM_ID0_FIELDS = { authType: "u32", authConfig: "u8" } as const;
/** `IPSEC_AUTH_TRANSFORM_ID0` */
export const IPSEC_AUTH_TRANSFORM_ID0: Struct<typeof IPSEC_AUTH_TRANSFORM_ID0_FIELDS> = struct(
  "IPSEC_AUTH_TRANSFORM_ID0",
  IPSEC_AUTH_TRANSFORM_ID0_FIELDS,
);

/** Fields of {@linkcode IPSEC_AUTH_TRANSFORM0}. */
export const IPSEC_AUTH_TRANSFORM0_FIELDS = {
  authTransformId: IPSEC_AUTH_TRANSFORM_ID0,
  cryptoModuleId: "ptr",
} as const;
/** `IPSEC_AUTH_TRANSFORM0` */
export const IPSEC_AUTH_TRANSFORM0: Struct<typeof IPSEC_AUTH_TRANSFORM0_FIELDS> = struct(
  "IPSEC_AUTH_TRANSFORM0",
  IPSEC_AUTH_TRANSFORM0_FIELDS,
);

/** Fields of {@linkcode IPSEC_CIPHER_TRANSFORM_ID0}. */
export const IPSEC_CIPHER_TRANSFORM_ID0_FIELDS = { cipherType: "u32", cipherConfig: "u8" } as const;
/** `IPSEC_CIPHER_TRANSFORM_ID0` */
export const IPSEC_CIPHER_TRANSFORM_ID0: Struct<typeof IPSEC_CIPHER_TRANSFORM_ID0_FIELDS> = struct(
  "IPSEC_CIPHER_TRANSFORM_ID0",
  IPSEC_CIPHER_TRANSFORM_ID0_FIELDS,
);

/** Fields of {@linkcode IPSEC_CIPHER_TRANSFORM0}. */
export const IPSEC_CIPHER_TRANSFORM0_FIELDS = {
  cipherTransformId: IPSEC_CIPHER_TRANSFORM_ID0,
  cryptoModuleId: "ptr",
} as const;
/** `IPSEC_CIPHER_TRANSFORM0` */
export const IPSEC_CIPHER_TRANSFORM0: Struct<typeof IPSEC_CIPHER_TRANSFORM0_FIELDS> = struct(
  "IPSEC_CIPHER_TRANSFORM0",
  IPSEC_CIPHER_TRANSFORM0_FIELDS,
);

/** Fields of {@linkcode IPSEC_AUTH_AND_CIPHER_TRANSFORM0}. */
export const IPSEC_AUTH_AND_CIPHER_TRANSFORM0_FIELDS = {
  authTransform: IPSEC_AUTH_TRANSFORM0,
  cipherTransform: IPSEC_CIPHER_TRANSFORM0,
} as const;
/** `IPSEC_AUTH_AND_CIPHER_TRANSFORM0` */
export const IPSEC_AUTH_AND_CIPHER_TRANSFORM0: Struct<typeof IPSEC_AUTH_AND_CIPHER_TRANSFORM0_FIELDS> =
  struct(
    "IPSEC_AUTH_AND_CIPHER_TRANSFORM0",
    IPSEC_AUTH_AND_CIPHER_TRANSFORM0_FIELDS,
  );

/** Fields of {@linkcode IPSEC_SA_TRANSFORM0}. */
export const IPSEC_SA_TRANSFORM0_FIELDS = {
  ipsecTransformType: "u32",
  espAuthAndCipherTransform: "ptr",
} as const;
/** `IPSEC_SA_TRANSFORM0`: the pointer's target follows `ipsecTransformType`. */
export const IPSEC_SA_TRANSFORM0: Struct<typeof IPSEC_SA_TRANSFORM0_FIELDS> = struct(
  "IPSEC_SA_TRANSFORM0",
  IPSEC_SA_TRANSFORM0_FIELDS,
);

/** Fields of {@linkcode IPSEC_PROPOSAL0}. */
export const IPSEC_PROPOSAL0_FIELDS = {
  lifetime: IPSEC_SA_LIFETIME0,
  numSaTransforms: "u32",
  saTransforms: "ptr",
  pfsGroup: "u32",
} as const;
/** `IPSEC_PROPOSAL0` */
export const IPSEC_PROPOSAL0: Struct<typeof IPSEC_PROPOSAL0_FIELDS> = struct(
  "IPSEC_PROPOSAL0",
  IPSEC_PROPOSAL0_FIELDS,
);

/** Fields of {@linkcode IPSEC_TRANSPORT_POLICY1}. */
export const IPSEC_TRANSPORT_POLICY1_FIELDS = {
  numIpsecProposals: "u32",
  ipsecProposals: "ptr",
  flags: "u32",
  ndAllowClearTimeoutSeconds: "u32",
  saIdleTimeout: IPSEC_SA_IDLE_TIMEOUT0,
  emPolicy: "ptr",
} as const;
/** `IPSEC_TRANSPORT_POLICY1`: a quick-mode policy. */
export const IPSEC_TRANSPORT_POLICY1: Struct<typeof IPSEC_TRANSPORT_POLICY1_FIELDS> = struct(
  "IPSEC_TRANSPORT_POLICY1",
  IPSEC_TRANSPORT_POLICY1_FIELDS,
);

/** Fields of {@linkcode IKEEXT_TRAFFIC0}. */
export const IKEEXT_TRAFFIC0_FIELDS = {
  ipVersion: "u32",
  localV6Address: ["u8", 16],
  remoteV6Address: ["u8", 16],
  authIpFilterId: "u64",
} as const;
/** `IKEEXT_TRAFFIC0` */
export const IKEEXT_TRAFFIC0: Struct<typeof IKEEXT_TRAFFIC0_FIELDS> = struct(
  "IKEEXT_TRAFFIC0",
  IKEEXT_TRAFFIC0_FIELDS,
);

/** Fields of {@linkcode IKEEXT_COOKIE_PAIR0}. */
export const IKEEXT_COOKIE_PAIR0_FIELDS = { initiator: "u64", responder: "u64" } as const;
/** `IKEEXT_COOKIE_PAIR0` */
export const IKEEXT_COOKIE_PAIR0: Struct<typeof IKEEXT_COOKIE_PAIR0_FIELDS> = struct(
  "IKEEXT_COOKIE_PAIR0",
  IKEEXT_COOKIE_PAIR0_FIELDS,
);

/** Fields of {@linkcode IKEEXT_CREDENTIAL1}. */
export const IKEEXT_CREDENTIAL1_FIELDS = {
  authenticationMethodType: "u32",
  impersonationType: "u32",
  name: "ptr",
} as const;
/** `IKEEXT_CREDENTIAL1`: `name` is for names and Kerberos; a certificate's is at the same offset. */
export const IKEEXT_CREDENTIAL1: Struct<typeof IKEEXT_CREDENTIAL1_FIELDS> = struct(
  "IKEEXT_CREDENTIAL1",
  IKEEXT_CREDENTIAL1_FIELDS,
);

/** Fields of {@linkcode IKEEXT_CREDENTIAL_PAIR1}. */
export const IKEEXT_CREDENTIAL_PAIR1_FIELDS = {
  localCredentials: IKEEXT_CREDENTIAL1,
  peerCredentials: IKEEXT_CREDENTIAL1,
} as const;
/** `IKEEXT_CREDENTIAL_PAIR1`: how each end was authenticated, once for each mode that ran. */
export const IKEEXT_CREDENTIAL_PAIR1: Struct<typeof IKEEXT_CREDENTIAL_PAIR1_FIELDS> = struct(
  "IKEEXT_CREDENTIAL_PAIR1",
  IKEEXT_CREDENTIAL_PAIR1_FIELDS,
);

/** Fields of {@linkcode IKEEXT_CREDENTIALS1}. */
export const IKEEXT_CREDENTIALS1_FIELDS = { numCredentials: "u32", credentials: "ptr" } as const;
/** `IKEEXT_CREDENTIALS1` */
export const IKEEXT_CREDENTIALS1: Struct<typeof IKEEXT_CREDENTIALS1_FIELDS> = struct(
  "IKEEXT_CREDENTIALS1",
  IKEEXT_CREDENTIALS1_FIELDS,
);

/** Fields of {@linkcode IKEEXT_SA_DETAILS1}. */
export const IKEEXT_SA_DETAILS1_FIELDS = {
  saId: "u64",
  keyModuleType: "u32",
  ipVersion: "u32",
  v4UdpEncapsulation: "ptr",
  ikeTraffic: IKEEXT_TRAFFIC0,
  ikeProposal: IKEEXT_PROPOSAL0,
  cookiePair: IKEEXT_COOKIE_PAIR0,
  ikeCredentials: IKEEXT_CREDENTIALS1,
  ikePolicyKey: "guid",
  virtualIfTunnelId: "u64",
  correlationKey: FWP_BYTE_BLOB,
} as const;
/** `IKEEXT_SA_DETAILS1`: a main-mode security association. */
export const IKEEXT_SA_DETAILS1: Struct<typeof IKEEXT_SA_DETAILS1_FIELDS> = struct(
  "IKEEXT_SA_DETAILS1",
  IKEEXT_SA_DETAILS1_FIELDS,
);

/** Fields of {@linkcode IPSEC_TRAFFIC1}. */
export const IPSEC_TRAFFIC1_FIELDS = {
  ipVersion: "u32",
  localV6Address: ["u8", 16],
  remoteV6Address: ["u8", 16],
  trafficType: "u32",
  ipsecFilterId: "u64",
  remotePort: "u16",
  localPort: "u16",
  ipProtocol: "u8",
  localIfLuid: "u64",
  realIfProfileId: "u32",
} as const;
/** `IPSEC_TRAFFIC1` */
export const IPSEC_TRAFFIC1: Struct<typeof IPSEC_TRAFFIC1_FIELDS> = struct(
  "IPSEC_TRAFFIC1",
  IPSEC_TRAFFIC1_FIELDS,
);

/** Fields of {@linkcode IPSEC_SA_AUTH_INFORMATION0}. */
export const IPSEC_SA_AUTH_INFORMATION0_FIELDS = {
  authTransform: IPSEC_AUTH_TRANSFORM0,
  authKey: FWP_BYTE_BLOB,
} as const;
/** `IPSEC_SA_AUTH_INFORMATION0`: the key it points to is never read. */
export const IPSEC_SA_AUTH_INFORMATION0: Struct<typeof IPSEC_SA_AUTH_INFORMATION0_FIELDS> = struct(
  "IPSEC_SA_AUTH_INFORMATION0",
  IPSEC_SA_AUTH_INFORMATION0_FIELDS,
);

/** Fields of {@linkcode IPSEC_SA_CIPHER_INFORMATION0}. */
export const IPSEC_SA_CIPHER_INFORMATION0_FIELDS = {
  cipherTransform: IPSEC_CIPHER_TRANSFORM0,
  cipherKey: FWP_BYTE_BLOB,
} as const;
/** `IPSEC_SA_CIPHER_INFORMATION0`: the key it points to is never read. */
export const IPSEC_SA_CIPHER_INFORMATION0: Struct<typeof IPSEC_SA_CIPHER_INFORMATION0_FIELDS> = struct(
  "IPSEC_SA_CIPHER_INFORMATION0",
  IPSEC_SA_CIPHER_INFORMATION0_FIELDS,
);

/** Fields of {@linkcode IPSEC_SA_AUTH_AND_CIPHER_INFORMATION0}. */
export const IPSEC_SA_AUTH_AND_CIPHER_INFORMATION0_FIELDS = {
  saCipherInformation: IPSEC_SA_CIPHER_INFORMATION0,
  saAuthInformation: IPSEC_SA_AUTH_INFORMATION0,
} as const;
/** `IPSEC_SA_AUTH_AND_CIPHER_INFORMATION0` */
export const IPSEC_SA_AUTH_AND_CIPHER_INFORMATION0: Struct<
  typeof IPSEC_SA_AUTH_AND_CIPHER_INFORMATION0_FIELDS
> = struct("IPSEC_SA_AUTH_AND_CIPHER_INFORMATION0", IPSEC_SA_AUTH_AND_CIPHER_INFORMATION0_FIELDS);

/** Fields of {@linkcode IPSEC_SA0}. */
export const IPSEC_SA0_FIELDS = {
  spi: "u32",
  saTransformType: "u32",
  espAuthAndCipherInformation: "ptr",
} as const;
/** `IPSEC_SA0`: the pointer's target follows `saTransformType`. */
export const IPSEC_SA0: Struct<typeof IPSEC_SA0_FIELDS> = struct("IPSEC_SA0", IPSEC_SA0_FIELDS);

/** Fields of {@linkcode IPSEC_SA_BUNDLE1}. */
export const IPSEC_SA_BUNDLE1_FIELDS = {
  flags: "u32",
  lifetime: IPSEC_SA_LIFETIME0,
  idleTimeoutSeconds: "u32",
  ndAllowClearTimeoutSeconds: "u32",
  ipsecId: "ptr",
  napContext: "u32",
  qmSaId: "u32",
  numSAs: "u32",
  saList: "ptr",
  keyModuleState: "ptr",
  ipVersion: "u32",
  peerV4PrivateAddress: "u32",
  mmSaId: "u64",
  pfsGroup: "u32",
  saLookupContext: "guid",
  qmFilterId: "u64",
} as const;
/** `IPSEC_SA_BUNDLE1` */
export const IPSEC_SA_BUNDLE1: Struct<typeof IPSEC_SA_BUNDLE1_FIELDS> = struct(
  "IPSEC_SA_BUNDLE1",
  IPSEC_SA_BUNDLE1_FIELDS,
);

/** Fields of {@linkcode IPSEC_SA_DETAILS1}. */
export const IPSEC_SA_DETAILS1_FIELDS = {
  ipVersion: "u32",
  saDirection: "u32",
  traffic: IPSEC_TRAFFIC1,
  saBundle: IPSEC_SA_BUNDLE1,
  udpEncapsulation: "ptr",
  transportFilter: "ptr",
  virtualIfTunnelInfo: "ptr",
} as const;
/** `IPSEC_SA_DETAILS1`: one direction of a quick-mode security association. */
export const IPSEC_SA_DETAILS1: Struct<typeof IPSEC_SA_DETAILS1_FIELDS> = struct(
  "IPSEC_SA_DETAILS1",
  IPSEC_SA_DETAILS1_FIELDS,
);

/** Fields of {@linkcode IPSEC_SA_CONTEXT1}. */
export const IPSEC_SA_CONTEXT1_FIELDS = { saContextId: "u64", inboundSa: "ptr", outboundSa: "ptr" } as const;
/** `IPSEC_SA_CONTEXT1` */
export const IPSEC_SA_CONTEXT1: Struct<typeof IPSEC_SA_CONTEXT1_FIELDS> = struct(
  "IPSEC_SA_CONTEXT1",
  IPSEC_SA_CONTEXT1_FIELDS,
);

/** `FWPM_SESSION_FLAG_DYNAMIC`: the end of the session removes what it added. */
export const FWPM_SESSION_FLAG_DYNAMIC = 0x1;
/** `RPC_C_AUTHN_WINNT`: how the engine is opened. */
export const RPC_C_AUTHN_WINNT = 10;
/** Types of a provider context. */
export const FWPM_IPSEC = { AUTHIP_QM_TRANSPORT_CONTEXT: 3, AUTHIP_MM_CONTEXT: 6 } as const;
/** `IKEEXT_AUTHENTICATION_METHOD_TYPE`, `IKEEXT_AUTHENTICATION_IMPERSONATION_TYPE`. */
export const IKEEXT = {
  PRESHARED_KEY: 0,
  CERTIFICATE: 1,
  KERBEROS: 2,
  ANONYMOUS: 3,
  SSL: 4,
  NTLM_V2: 5,
  IMPERSONATION_NONE: 0,
  IMPERSONATION_SOCKET_PRINCIPAL: 1,
  CIPHER_AES_128: 2,
  CIPHER_AES_192: 3,
  CIPHER_AES_256: 4,
  INTEGRITY_SHA_256: 2,
  INTEGRITY_SHA_384: 3,
  DH_GROUP_14: 3,
  DH_ECP_256: 4,
  DH_ECP_384: 5,
} as const;
/** `IPSEC_TRANSFORM_TYPE` */
export const IPSEC_TRANSFORM = {
  AH: 1,
  ESP_AUTH: 2,
  ESP_CIPHER: 3,
  ESP_AUTH_AND_CIPHER: 4,
  ESP_AUTH_FW: 5,
} as const;
/** `IPSEC_TRAFFIC_TYPE` */
export const IPSEC_TRAFFIC_TYPE = { TRANSPORT: 0, TUNNEL: 1 } as const;
/** `IPSEC_AUTH_CONFIG` */
export const IPSEC_AUTH_CONFIG = {
  HMAC_MD5_96: 0,
  HMAC_SHA_1_96: 1,
  HMAC_SHA_256_128: 2,
  GCM_AES_128: 3,
  GCM_AES_192: 4,
  GCM_AES_256: 5,
} as const;
/** `IPSEC_CIPHER_CONFIG` */
export const IPSEC_CIPHER_CONFIG = {
  CBC_DES: 1,
  CBC_3DES: 2,
  CBC_AES_128: 3,
  CBC_AES_192: 4,
  CBC_AES_256: 5,
  GCM_AES_128: 6,
  GCM_AES_192: 7,
  GCM_AES_256: 8,
} as const;
/** `IPSEC_AUTH_TYPE` */
export const IPSEC_AUTH = { MD5: 0, SHA_1: 1, SHA_256: 2, AES_128: 3, AES_192: 4, AES_256: 5 } as const;
/** `IPSEC_CIPHER_TYPE` */
export const IPSEC_CIPHER_TYPE = { "DES": 1, "3DES": 2, AES_128: 3, AES_192: 4, AES_256: 5 } as const;
