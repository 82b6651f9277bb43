/**
 * secur32.dll: the Security Support Provider Interface, as sspi.h declares it. No logic.
 *
 * @see https://learn.microsoft.com/windows/win32/api/sspi/
 * @module
 */

import type { LibrarySpec } from "../abi.ts";
import { type Struct, struct } from "../memory/struct.ts";

/** SSPI. Every function returns its `SECURITY_STATUS`; handles are 16-byte `SecHandle` buffers. */
export const SECUR32 = {
  name: "secur32.dll",
  instead: "It is part of Windows",
  files: { windows: ["secur32.dll"] },
  fns: {
    AcquireCredentialsHandleW: {
      params: [
        ["pszPrincipal", "buf"],
        ["pszPackage", "buf"],
        ["fCredentialUse", "u32"],
        ["pvLogonId", "buf"],
        ["pAuthData", "buf"],
        ["pGetKeyFn", "usize"],
        ["pvGetKeyArgument", "usize"],
        ["phCredential", "buf"],
        ["ptsExpiry", "buf"],
      ],
      result: "u32",
      threaded: true,
    },
    InitializeSecurityContextW: {
      params: [
        ["phCredential", "buf"],
        ["phContext", "buf"],
        ["pszTargetName", "buf"],
        ["fContextReq", "u32"],
        ["Reserved1", "u32"],
        ["TargetDataRep", "u32"],
        ["pInput", "buf"],
        ["Reserved2", "u32"],
        ["phNewContext", "buf"],
        ["pOutput", "buf"],
        ["pfContextAttr", "buf"],
        ["ptsExpiry", "buf"],
      ],
      result: "u32",
      threaded: true,
    },
    AcceptSecurityContext: {
      params: [
        ["phCredential", "buf"],
        ["phContext", "buf"],
        ["pInput", "buf"],
        ["fContextReq", "u32"],
        ["TargetDataRep", "u32"],
        ["phNewContext", "buf"],
        ["pOutput", "buf"],
        ["pfContextAttr", "buf"],
        ["ptsExpiry", "buf"],
      ],
      result: "u32",
      threaded: true,
    },
    CompleteAuthToken: { params: [["phContext", "buf"], ["pToken", "buf"]], result: "u32" },
    QueryContextAttributesW: {
      params: [["phContext", "buf"], ["ulAttribute", "u32"], ["pBuffer", "buf"]],
      result: "u32",
    },
    MakeSignature: {
      params: [["phContext", "buf"], ["fQOP", "u32"], ["pMessage", "buf"], ["MessageSeqNo", "u32"]],
      result: "u32",
    },
    VerifySignature: {
      params: [["phContext", "buf"], ["pMessage", "buf"], ["MessageSeqNo", "u32"], ["pfQOP", "buf"]],
      result: "u32",
    },
    EncryptMessage: {
      params: [["phContext", "buf"], ["fQOP", "u32"], ["pMessage", "buf"], ["MessageSeqNo", "u32"]],
      result: "u32",
    },
    DecryptMessage: {
      params: [["phContext", "buf"], ["pMessage", "buf"], ["MessageSeqNo", "u32"], ["pfQOP", "buf"]],
      result: "u32",
    },
    ImpersonateSecurityContext: { params: [["phContext", "buf"]], result: "u32" },
    RevertSecurityContext: { params: [["phContext", "buf"]], result: "u32" },
    QuerySecurityContextToken: { params: [["phContext", "buf"], ["Token", "buf"]], result: "u32" },
    EnumerateSecurityPackagesW: { params: [["pcPackages", "buf"], ["ppPackageInfo", "buf"]], result: "u32" },
    QuerySecurityPackageInfoW: {
      params: [["pszPackageName", "buf"], ["ppPackageInfo", "buf"]],
      result: "u32",
    },
    DeleteSecurityContext: { params: [["phContext", "buf"]], result: "u32" },
    FreeCredentialsHandle: { params: [["phCredential", "buf"]], result: "u32" },
    FreeContextBuffer: { params: [["pvContextBuffer", "usize"]], result: "u32" },
  },
} as const satisfies LibrarySpec;

/** Fields of {@linkcode SecHandle}. */
export const SEC_HANDLE_FIELDS = { dwLower: "usize", dwUpper: "usize" } as const;
/** `SecHandle`: `CredHandle` and `CtxtHandle`. */
export const SecHandle: Struct<typeof SEC_HANDLE_FIELDS> = struct("SecHandle", SEC_HANDLE_FIELDS);

/** Fields of {@linkcode SecBuffer}. */
export const SEC_BUFFER_FIELDS = { cbBuffer: "u32", BufferType: "u32", pvBuffer: "ptr" } as const;
/** `SecBuffer` */
export const SecBuffer: Struct<typeof SEC_BUFFER_FIELDS> = struct("SecBuffer", SEC_BUFFER_FIELDS);

/** Fields of {@linkcode SecBufferDesc}. */
export const SEC_BUFFER_DESC_FIELDS = { ulVersion: "u32", cBuffers: "u32", pBuffers: "ptr" } as const;
/** `SecBufferDesc` */
export const SecBufferDesc: Struct<typeof SEC_BUFFER_DESC_FIELDS> = struct(
  "SecBufferDesc",
  SEC_BUFFER_DESC_FIELDS,
);

/** Fields of {@linkcode SEC_CHANNEL_BINDINGS}. */
export const SEC_CHANNEL_BINDINGS_FIELDS = {
  dwInitiatorAddrType: "u32",
  cbInitiatorLength: "u32",
  dwInitiatorOffset: "u32",
  dwAcceptorAddrType: "u32",
  cbAcceptorLength: "u32",
  dwAcceptorOffset: "u32",
  cbApplicationDataLength: "u32",
  dwApplicationDataOffset: "u32",
} as const;
/** `SEC_CHANNEL_BINDINGS`: offsets count from its own start. */
export const SEC_CHANNEL_BINDINGS: Struct<typeof SEC_CHANNEL_BINDINGS_FIELDS> = struct(
  "SEC_CHANNEL_BINDINGS",
  SEC_CHANNEL_BINDINGS_FIELDS,
);

/** Fields of {@linkcode SEC_WINNT_AUTH_IDENTITY_EXW}. */
export const SEC_WINNT_AUTH_IDENTITY_EXW_FIELDS = {
  Version: "u32",
  Length: "u32",
  User: "ptr",
  UserLength: "u32",
  Domain: "ptr",
  DomainLength: "u32",
  Password: "ptr",
  PasswordLength: "u32",
  Flags: "u32",
  PackageList: "ptr",
  PackageListLength: "u32",
} as const;
/** `SEC_WINNT_AUTH_IDENTITY_EXW`; lengths count UTF-16 units. */
export const SEC_WINNT_AUTH_IDENTITY_EXW: Struct<typeof SEC_WINNT_AUTH_IDENTITY_EXW_FIELDS> = struct(
  "SEC_WINNT_AUTH_IDENTITY_EXW",
  SEC_WINNT_AUTH_IDENTITY_EXW_FIELDS,
);

/** Fields of {@linkcode SecPkgInfoW}. */
export const SEC_PKG_INFO_FIELDS = {
  fCapabilities: "u32",
  wVersion: "u16",
  wRPCID: "u16",
  cbMaxToken: "u32",
  Name: "ptr",
  Comment: "ptr",
} as const;
/** `SecPkgInfoW` */
export const SecPkgInfoW: Struct<typeof SEC_PKG_INFO_FIELDS> = struct("SecPkgInfoW", SEC_PKG_INFO_FIELDS);

/** Fields of {@linkcode SecPkgContext_Sizes}. */
export const SEC_PKG_CONTEXT_SIZES_FIELDS = {
  cbMaxToken: "u32",
  cbMaxSignature: "u32",
  cbBlockSize: "u32",
  cbSecurityTrailer: "u32",
} as const;
/** `SecPkgContext_Sizes` */
export const SecPkgContext_Sizes: Struct<typeof SEC_PKG_CONTEXT_SIZES_FIELDS> = struct(
  "SecPkgContext_Sizes",
  SEC_PKG_CONTEXT_SIZES_FIELDS,
);

/** Fields of {@linkcode SecPkgContext_StreamSizes}. */
export const SEC_PKG_CONTEXT_STREAM_SIZES_FIELDS = {
  cbHeader: "u32",
  cbTrailer: "u32",
  cbMaximumMessage: "u32",
  cBuffers: "u32",
  cbBlockSize: "u32",
} as const;
/** `SecPkgContext_StreamSizes` */
export const SecPkgContext_StreamSizes: Struct<typeof SEC_PKG_CONTEXT_STREAM_SIZES_FIELDS> = struct(
  "SecPkgContext_StreamSizes",
  SEC_PKG_CONTEXT_STREAM_SIZES_FIELDS,
);

/** Fields of {@linkcode SecPkgContext_NamesW}. */
export const SEC_PKG_CONTEXT_NAMES_FIELDS = { sUserName: "ptr" } as const;
/** `SecPkgContext_NamesW` */
export const SecPkgContext_NamesW: Struct<typeof SEC_PKG_CONTEXT_NAMES_FIELDS> = struct(
  "SecPkgContext_NamesW",
  SEC_PKG_CONTEXT_NAMES_FIELDS,
);

/** Fields of {@linkcode SecPkgContext_NativeNamesW}. */
export const SEC_PKG_CONTEXT_NATIVE_NAMES_FIELDS = { sClientName: "ptr", sServerName: "ptr" } as const;
/** `SecPkgContext_NativeNamesW` */
export const SecPkgContext_NativeNamesW: Struct<typeof SEC_PKG_CONTEXT_NATIVE_NAMES_FIELDS> = struct(
  "SecPkgContext_NativeNamesW",
  SEC_PKG_CONTEXT_NATIVE_NAMES_FIELDS,
);

/** Fields of {@linkcode SecPkgContext_Lifespan}. */
export const SEC_PKG_CONTEXT_LIFESPAN_FIELDS = { tsStart: "i64", tsExpiry: "i64" } as const;
/** `SecPkgContext_Lifespan`: 100 ns units since 1601, in local time. */
export const SecPkgContext_Lifespan: Struct<typeof SEC_PKG_CONTEXT_LIFESPAN_FIELDS> = struct(
  "SecPkgContext_Lifespan",
  SEC_PKG_CONTEXT_LIFESPAN_FIELDS,
);

/** Fields of {@linkcode SecPkgContext_PackageInfoW}. */
export const SEC_PKG_CONTEXT_PACKAGE_INFO_FIELDS = { PackageInfo: "ptr" } as const;
/** `SecPkgContext_PackageInfoW` */
export const SecPkgContext_PackageInfoW: Struct<typeof SEC_PKG_CONTEXT_PACKAGE_INFO_FIELDS> = struct(
  "SecPkgContext_PackageInfoW",
  SEC_PKG_CONTEXT_PACKAGE_INFO_FIELDS,
);

/** Fields of {@linkcode SecPkgContext_NegotiationInfoW}. */
export const SEC_PKG_CONTEXT_NEGOTIATION_INFO_FIELDS = {
  PackageInfo: "ptr",
  NegotiationState: "u32",
} as const;
/** `SecPkgContext_NegotiationInfoW` */
export const SecPkgContext_NegotiationInfoW: Struct<typeof SEC_PKG_CONTEXT_NEGOTIATION_INFO_FIELDS> = struct(
  "SecPkgContext_NegotiationInfoW",
  SEC_PKG_CONTEXT_NEGOTIATION_INFO_FIELDS,
);

/** Fields of {@linkcode SecPkgContext_SessionKey}. */
export const SEC_PKG_CONTEXT_SESSION_KEY_FIELDS = { SessionKeyLength: "u32", SessionKey: "ptr" } as const;
/** `SecPkgContext_SessionKey` */
export const SecPkgContext_SessionKey: Struct<typeof SEC_PKG_CONTEXT_SESSION_KEY_FIELDS> = struct(
  "SecPkgContext_SessionKey",
  SEC_PKG_CONTEXT_SESSION_KEY_FIELDS,
);

/** Fields of {@linkcode SecPkgContext_Flags}. */
export const SEC_PKG_CONTEXT_FLAGS_FIELDS = { Flags: "u32" } as const;
/** `SecPkgContext_Flags` */
export const SecPkgContext_Flags: Struct<typeof SEC_PKG_CONTEXT_FLAGS_FIELDS> = struct(
  "SecPkgContext_Flags",
  SEC_PKG_CONTEXT_FLAGS_FIELDS,
);

/** Fields of {@linkcode SecPkgContext_ClientSpecifiedTarget}. */
export const SEC_PKG_CONTEXT_CLIENT_SPECIFIED_TARGET_FIELDS = { sTargetName: "ptr" } as const;
/** `SecPkgContext_ClientSpecifiedTarget` */
export const SecPkgContext_ClientSpecifiedTarget: Struct<
  typeof SEC_PKG_CONTEXT_CLIENT_SPECIFIED_TARGET_FIELDS
> = struct("SecPkgContext_ClientSpecifiedTarget", SEC_PKG_CONTEXT_CLIENT_SPECIFIED_TARGET_FIELDS);

/** Fields of {@linkcode SecPkgContext_LastClientTokenStatus}. */
export const SEC_PKG_CONTEXT_LAST_CLIENT_TOKEN_STATUS_FIELDS = { LastClientTokenStatus: "u32" } as const;
/** `SecPkgContext_LastClientTokenStatus` */
export const SecPkgContext_LastClientTokenStatus: Struct<
  typeof SEC_PKG_CONTEXT_LAST_CLIENT_TOKEN_STATUS_FIELDS
> = struct("SecPkgContext_LastClientTokenStatus", SEC_PKG_CONTEXT_LAST_CLIENT_TOKEN_STATUS_FIELDS);

/** `fCredentialUse` */
export const SECPKG_CRED = { INBOUND: 1, OUTBOUND: 2, BOTH: 3 } as const;

/** `fContextReq` and `pfContextAttr` of InitializeSecurityContext: requested and returned with the same bit. */
export const ISC = {
  DELEGATE: 0x1,
  MUTUAL_AUTH: 0x2,
  REPLAY_DETECT: 0x4,
  SEQUENCE_DETECT: 0x8,
  CONFIDENTIALITY: 0x10,
  CONNECTION: 0x800,
  INTEGRITY: 0x10000,
  IDENTIFY: 0x20000,
  NULL_SESSION: 0x40000,
} as const;

/** `fContextReq` and `pfContextAttr` of AcceptSecurityContext. */
export const ASC = {
  DELEGATE: 0x1,
  MUTUAL_AUTH: 0x2,
  REPLAY_DETECT: 0x4,
  SEQUENCE_DETECT: 0x8,
  CONFIDENTIALITY: 0x10,
  CONNECTION: 0x800,
  INTEGRITY: 0x20000,
  IDENTIFY: 0x80000,
  NULL_SESSION: 0x100000,
  ALLOW_MISSING_BINDINGS: 0x10000000,
} as const;

/** `SecBuffer.BufferType` */
export const SECBUFFER = {
  VERSION: 0,
  EMPTY: 0,
  DATA: 1,
  TOKEN: 2,
  PADDING: 9,
  STREAM: 10,
  CHANNEL_BINDINGS: 14,
} as const;

/** `ulAttribute` of QueryContextAttributesW. */
export const SECPKG_ATTR = {
  SIZES: 0,
  NAMES: 1,
  LIFESPAN: 2,
  STREAM_SIZES: 4,
  SESSION_KEY: 9,
  PACKAGE_INFO: 10,
  NEGOTIATION_INFO: 12,
  NATIVE_NAMES: 13,
  FLAGS: 14,
  CLIENT_SPECIFIED_TARGET: 27,
  LAST_CLIENT_TOKEN_STATUS: 30,
} as const;

/** `TargetDataRep` */
export const SECURITY_NATIVE_DREP = 0x10;
/** `fQOP`: sign without encrypting. */
export const SECQOP_WRAP_NO_ENCRYPT = 0x80000001;
/** `SEC_WINNT_AUTH_IDENTITY_EXW.Version` */
export const SEC_WINNT_AUTH_IDENTITY_VERSION = 0x200;
/** `SEC_WINNT_AUTH_IDENTITY_EXW.Flags` */
export const SEC_WINNT_AUTH_IDENTITY_UNICODE = 2;

/** Statuses that are results, not errors. */
export const SEC_I = {
  OK: 0,
  CONTINUE_NEEDED: 0x90312,
  COMPLETE_NEEDED: 0x90313,
  COMPLETE_AND_CONTINUE: 0x90314,
} as const;
