/**
 * fwpuclnt.dll: the Winsock secure socket extensions and the part of the Windows Filtering Platform that they use. No
 * logic.
 *
 * @see https://learn.microsoft.com/windows/win32/winsock/winsock-secure-socket-extensions
 * @see https://learn.microsoft.com/windows/win32/api/fwpmu/
 * @module
 */

import type { LibrarySpec } from "../abi.ts";
import { type Struct, struct } from "../memory/struct.ts";
import { SOCKADDR_STORAGE } from "./ws2_32.ts";

const FWP_COMPLETION = [["Overlapped", "usize"], ["CompletionRoutine", "usize"]] as const;

/** The six secure socket functions (whose error is `WSAGetLastError`), and WFP (whose result is the error). */
export const FWPUCLNT = {
  name: "fwpuclnt.dll",
  instead: "It is part of Windows Vista and later, with the service BFE",
  files: { windows: ["fwpuclnt.dll"] },
  fns: {
    /**
     * Applies `SOCKET_SECURITY_SETTINGS`, or the system's default policy where none are given. Once for each socket,
     * before it is bound or connected.
     *
     * @see https://learn.microsoft.com/windows/win32/api/ws2tcpip/nf-ws2tcpip-wsasetsocketsecurity
     */
    WSASetSocketSecurity: {
      params: [
        ["Socket", "usize"],
        ["SecuritySettings", "buf"],
        ["SecuritySettingsLen", "u32"],
        ...FWP_COMPLETION,
      ],
      result: "i32",
    },
    /**
     * Fills a `SOCKET_SECURITY_QUERY_INFO`, or its `IPSEC2` form where the template has that form; where the buffer
     * is too short, returns the size needed. Any number of times after the socket is connected; UDP needs a template
     * with the peer's address.
     *
     * @see https://learn.microsoft.com/windows/win32/api/ws2tcpip/nf-ws2tcpip-wsaquerysocketsecurity
     */
    WSAQuerySocketSecurity: {
      params: [
        ["Socket", "usize"],
        ["SecurityQueryTemplate", "buf"],
        ["SecurityQueryTemplateLen", "u32"],
        ["SecurityQueryInfo", "buf"],
        ["SecurityQueryInfoLen", "buf"],
        ...FWP_COMPLETION,
      ],
      result: "i32",
    },
    /**
     * Sets the principal of a peer's computer. TCP: before the socket connects; UDP: for each peer, before the first
     * datagram to it.
     *
     * @see https://learn.microsoft.com/windows/win32/api/ws2tcpip/nf-ws2tcpip-wsasetsocketpeertargetname
     */
    WSASetSocketPeerTargetName: {
      params: [
        ["Socket", "usize"],
        ["PeerTargetName", "buf"],
        ["PeerTargetNameLen", "u32"],
        ...FWP_COMPLETION,
      ],
      result: "i32",
    },
    /**
     * Deletes the name of a UDP peer, which is given by its address.
     *
     * @see https://learn.microsoft.com/windows/win32/api/ws2tcpip/nf-ws2tcpip-wsadeletesocketpeertargetname
     */
    WSADeleteSocketPeerTargetName: {
      params: [["Socket", "usize"], ["PeerAddr", "buf"], ["PeerAddrLen", "u32"], ...FWP_COMPLETION],
      result: "i32",
    },
    /**
     * Makes the calling thread impersonate the peer's user, or its computer where the peer gave no user. Only for
     * blocking sockets that are not overlapped; the library's are overlapped, so it uses the token of a query
     * instead. `PeerAddress` is used for UDP only. End it with `WSARevertImpersonation` on the same thread.
     *
     * @see https://learn.microsoft.com/windows/win32/api/ws2tcpip/nf-ws2tcpip-wsaimpersonatesocketpeer
     */
    WSAImpersonateSocketPeer: {
      params: [["Socket", "usize"], ["PeerAddress", "buf"], ["peerAddressLen", "u32"]],
      result: "i32",
    },
    /**
     * Ends an impersonation of `WSAImpersonateSocketPeer` on the calling thread; without one it does nothing. It does
     * not end other impersonations: the library, which does not use `WSAImpersonateSocketPeer`, does not call it.
     *
     * @see https://learn.microsoft.com/windows/win32/api/ws2tcpip/nf-ws2tcpip-wsarevertimpersonation
     */
    WSARevertImpersonation: { params: [], result: "i32" },

    FwpmEngineOpen0: {
      params: [
        ["serverName", "buf"],
        ["authnService", "u32"],
        ["authIdentity", "buf"],
        ["session", "buf"],
        ["engineHandle", "buf"],
      ],
      result: "u32",
    },
    FwpmEngineClose0: { params: [["engineHandle", "usize"]], result: "u32" },
    FwpmTransactionBegin0: { params: [["engineHandle", "usize"], ["flags", "u32"]], result: "u32" },
    FwpmTransactionCommit0: { params: [["engineHandle", "usize"]], result: "u32" },
    FwpmTransactionAbort0: { params: [["engineHandle", "usize"]], result: "u32" },
    FwpmProviderContextAdd1: {
      params: [["engineHandle", "usize"], ["providerContext", "buf"], ["sd", "usize"], ["id", "buf"]],
      result: "u32",
      optional: true,
    },
    FwpmProviderContextDeleteByKey0: { params: [["engineHandle", "usize"], ["key", "buf"]], result: "u32" },
    IkeextSaGetById1: {
      params: [["engineHandle", "usize"], ["id", "u64"], ["saLookupContext", "buf"], ["sa", "buf"]],
      result: "u32",
      optional: true,
    },
    IPsecSaContextCreateEnumHandle0: {
      params: [["engineHandle", "usize"], ["enumTemplate", "buf"], ["enumHandle", "buf"]],
      result: "u32",
      optional: true,
    },
    IPsecSaContextEnum1: {
      params: [
        ["engineHandle", "usize"],
        ["enumHandle", "usize"],
        ["numEntriesRequested", "u32"],
        ["entries", "buf"],
        ["numEntriesReturned", "buf"],
      ],
      result: "u32",
      optional: true,
    },
    IPsecSaContextDestroyEnumHandle0: {
      params: [["engineHandle", "usize"], ["enumHandle", "usize"]],
      result: "u32",
      optional: true,
    },
    FwpmFreeMemory0: { params: [["p", "buf"]], result: "void" },
  },
} as const satisfies LibrarySpec;

/** Fields of {@linkcode SOCKET_SECURITY_SETTINGS}. */
export const SOCKET_SECURITY_SETTINGS_FIELDS = { SecurityProtocol: "u32", SecurityFlags: "u32" } as const;
/** `SOCKET_SECURITY_SETTINGS` */
export const SOCKET_SECURITY_SETTINGS: Struct<typeof SOCKET_SECURITY_SETTINGS_FIELDS> = struct(
  "SOCKET_SECURITY_SETTINGS",
  SOCKET_SECURITY_SETTINGS_FIELDS,
);

/** Fields of {@linkcode SOCKET_SECURITY_SETTINGS_IPSEC}. */
export const SOCKET_SECURITY_SETTINGS_IPSEC_FIELDS = {
  SecurityProtocol: "u32",
  SecurityFlags: "u32",
  IpsecFlags: "u32",
  AuthipMMPolicyKey: "guid",
  AuthipQMPolicyKey: "guid",
  Reserved: "guid",
  Reserved2: "u64",
  UserNameStringLen: "u32",
  DomainNameStringLen: "u32",
  PasswordStringLen: "u32",
  AllStrings: ["u16", "*"],
} as const;
/** `SOCKET_SECURITY_SETTINGS_IPSEC`: `AllStrings` is user name, domain name, password, without terminators. */
export const SOCKET_SECURITY_SETTINGS_IPSEC: Struct<typeof SOCKET_SECURITY_SETTINGS_IPSEC_FIELDS> = struct(
  "SOCKET_SECURITY_SETTINGS_IPSEC",
  SOCKET_SECURITY_SETTINGS_IPSEC_FIELDS,
);

/** Fields of {@linkcode SOCKET_PEER_TARGET_NAME}. */
export const SOCKET_PEER_TARGET_NAME_FIELDS = {
  SecurityProtocol: "u32",
  PeerAddress: SOCKADDR_STORAGE,
  PeerTargetNameStringLen: "u32",
  AllStrings: ["u16", "*"],
} as const;
/** `SOCKET_PEER_TARGET_NAME` */
export const SOCKET_PEER_TARGET_NAME: Struct<typeof SOCKET_PEER_TARGET_NAME_FIELDS> = struct(
  "SOCKET_PEER_TARGET_NAME",
  SOCKET_PEER_TARGET_NAME_FIELDS,
);

/** Fields of {@linkcode SOCKET_SECURITY_QUERY_TEMPLATE}. */
export const SOCKET_SECURITY_QUERY_TEMPLATE_FIELDS = {
  SecurityProtocol: "u32",
  PeerAddress: SOCKADDR_STORAGE,
  PeerTokenAccessMask: "u32",
} as const;
/** `SOCKET_SECURITY_QUERY_TEMPLATE` */
export const SOCKET_SECURITY_QUERY_TEMPLATE: Struct<typeof SOCKET_SECURITY_QUERY_TEMPLATE_FIELDS> = struct(
  "SOCKET_SECURITY_QUERY_TEMPLATE",
  SOCKET_SECURITY_QUERY_TEMPLATE_FIELDS,
);

/** Fields of {@linkcode SOCKET_SECURITY_QUERY_TEMPLATE_IPSEC2}. */
export const SOCKET_SECURITY_QUERY_TEMPLATE_IPSEC2_FIELDS = {
  ...SOCKET_SECURITY_QUERY_TEMPLATE_FIELDS,
  Flags: "u32",
  FieldMask: "u32",
} as const;
/** `SOCKET_SECURITY_QUERY_TEMPLATE_IPSEC2` */
export const SOCKET_SECURITY_QUERY_TEMPLATE_IPSEC2: Struct<
  typeof SOCKET_SECURITY_QUERY_TEMPLATE_IPSEC2_FIELDS
> = struct("SOCKET_SECURITY_QUERY_TEMPLATE_IPSEC2", SOCKET_SECURITY_QUERY_TEMPLATE_IPSEC2_FIELDS);

/** Fields of {@linkcode SOCKET_SECURITY_QUERY_INFO}. */
export const SOCKET_SECURITY_QUERY_INFO_FIELDS = {
  SecurityProtocol: "u32",
  Flags: "u32",
  PeerApplicationAccessTokenHandle: "u64",
  PeerMachineAccessTokenHandle: "u64",
} as const;
/** `SOCKET_SECURITY_QUERY_INFO`: the caller closes both handles. */
export const SOCKET_SECURITY_QUERY_INFO: Struct<typeof SOCKET_SECURITY_QUERY_INFO_FIELDS> = struct(
  "SOCKET_SECURITY_QUERY_INFO",
  SOCKET_SECURITY_QUERY_INFO_FIELDS,
);

/** Fields of {@linkcode SOCKET_SECURITY_QUERY_INFO_IPSEC2}. */
export const SOCKET_SECURITY_QUERY_INFO_IPSEC2_FIELDS = {
  ...SOCKET_SECURITY_QUERY_INFO_FIELDS,
  MmSaId: "u64",
  QmSaId: "u64",
  NegotiationWinerr: "u32",
  SaLookupContext: "guid",
} as const;
/** `SOCKET_SECURITY_QUERY_INFO_IPSEC2` */
export const SOCKET_SECURITY_QUERY_INFO_IPSEC2: Struct<typeof SOCKET_SECURITY_QUERY_INFO_IPSEC2_FIELDS> =
  struct("SOCKET_SECURITY_QUERY_INFO_IPSEC2", SOCKET_SECURITY_QUERY_INFO_IPSEC2_FIELDS);

/** `SOCKET_SECURITY_PROTOCOL`. `INVALID` was 2 before Windows 7, which had no `IPSEC2`. */
export const SOCKET_SECURITY_PROTOCOL = { DEFAULT: 0, IPSEC: 1, IPSEC2: 2, INVALID: 3 } as const;
/** `SecurityFlags` of the settings. */
export const SOCKET_SETTINGS = { GUARANTEE_ENCRYPTION: 0x1, ALLOW_INSECURE: 0x2 } as const;
/** `IpsecFlags` of the settings. */
export const SOCKET_SETTINGS_IPSEC = {
  SKIP_FILTER_INSTANTIATION: 0x1,
  OPTIONAL_PEER_NAME_VERIFICATION: 0x2,
  ALLOW_FIRST_INBOUND_PKT_UNENCRYPTED: 0x4,
  PEER_NAME_IS_RAW_FORMAT: 0x8,
} as const;
/** `Flags` of the `IPSEC2` template. */
export const SOCKET_QUERY_IPSEC2 = { ABORT_CONNECTION_ON_FIELD_CHANGE: 0x1 } as const;
/** `FieldMask` of the `IPSEC2` template. */
export const SOCKET_QUERY_IPSEC2_FIELD_MASK = { MM_SA_ID: 0x1, QM_SA_ID: 0x2 } as const;
/** `Flags` of a query's answer. */
export const SOCKET_INFO_CONNECTION = { SECURED: 0x1, ENCRYPTED: 0x2, IMPERSONATED: 0x4 } as const;
