/**
 * ws2_32.dll: Winsock, as winsock2.h and ws2tcpip.h declare it. No logic.
 *
 * Arguments whose memory must stay until an overlapped operation completes are addresses (`usize`) of memory that the
 * caller keeps; the others are buffers.
 *
 * @see https://learn.microsoft.com/windows/win32/api/winsock2/
 * @module
 */

import type { LibrarySpec } from "../abi.ts";
import { type Struct, struct } from "../memory/struct.ts";

const SEND = [
  ["s", "usize"],
  ["lpBuffers", "usize"],
  ["dwBufferCount", "u32"],
  ["lpNumberOfBytesSent", "usize"],
  ["dwFlags", "u32"],
] as const;
const RECEIVE = [
  ["s", "usize"],
  ["lpBuffers", "usize"],
  ["dwBufferCount", "u32"],
  ["lpNumberOfBytesRecvd", "usize"],
  ["lpFlags", "usize"],
] as const;
const WSA_COMPLETION = [["lpOverlapped", "usize"], ["lpCompletionRoutine", "usize"]] as const;

/** Winsock. */
export const WS2_32 = {
  name: "ws2_32.dll",
  instead: "It is part of Windows 8 and later",
  files: { windows: ["ws2_32.dll"] },
  fns: {
    WSAStartup: { params: [["wVersionRequested", "u32"], ["lpWSAData", "buf"]], result: "i32" },
    WSACleanup: { params: [], result: "i32" },
    WSAGetLastError: { params: [], result: "i32" },
    WSASocketW: {
      params: [
        ["af", "i32"],
        ["type", "i32"],
        ["protocol", "i32"],
        ["lpProtocolInfo", "usize"],
        ["g", "u32"],
        ["dwFlags", "u32"],
      ],
      result: "usize",
    },
    bind: { params: [["s", "usize"], ["name", "buf"], ["namelen", "i32"]], result: "i32" },
    listen: { params: [["s", "usize"], ["backlog", "i32"]], result: "i32" },
    WSASend: { params: [...SEND, ...WSA_COMPLETION], result: "i32" },
    WSARecv: { params: [...RECEIVE, ...WSA_COMPLETION], result: "i32" },
    WSASendTo: { params: [...SEND, ["lpTo", "usize"], ["iTolen", "i32"], ...WSA_COMPLETION], result: "i32" },
    WSARecvFrom: {
      params: [...RECEIVE, ["lpFrom", "usize"], ["lpFromlen", "usize"], ...WSA_COMPLETION],
      result: "i32",
    },
    shutdown: { params: [["s", "usize"], ["how", "i32"]], result: "i32" },
    closesocket: { params: [["s", "usize"]], result: "i32" },
    getsockname: { params: [["s", "usize"], ["name", "buf"], ["namelen", "buf"]], result: "i32" },
    getpeername: { params: [["s", "usize"], ["name", "buf"], ["namelen", "buf"]], result: "i32" },
    setsockopt: {
      params: [["s", "usize"], ["level", "i32"], ["optname", "i32"], ["optval", "buf"], ["optlen", "i32"]],
      result: "i32",
    },
    getsockopt: {
      params: [["s", "usize"], ["level", "i32"], ["optname", "i32"], ["optval", "buf"], ["optlen", "buf"]],
      result: "i32",
    },
    WSAIoctl: {
      params: [
        ["s", "usize"],
        ["dwIoControlCode", "u32"],
        ["lpvInBuffer", "buf"],
        ["cbInBuffer", "u32"],
        ["lpvOutBuffer", "buf"],
        ["cbOutBuffer", "u32"],
        ["lpcbBytesReturned", "buf"],
        ...WSA_COMPLETION,
      ],
      result: "i32",
    },
    /**
     * Its result is its error. With `lpOverlapped`, whose `hEvent` must be a manual-reset event, it does not wait:
     * `WSA_IO_PENDING` then means that the event will be set at the end. All arguments but `lpNspId` are addresses,
     * because the documentation does not exclude that their memory is read later.
     *
     * @see https://learn.microsoft.com/windows/win32/api/ws2tcpip/nf-ws2tcpip-getaddrinfoexw
     */
    GetAddrInfoExW: {
      params: [
        ["pName", "usize"],
        ["pServiceName", "usize"],
        ["dwNameSpace", "u32"],
        ["lpNspId", "buf"],
        ["hints", "usize"],
        ["ppResult", "usize"],
        ["timeout", "usize"],
        ...WSA_COMPLETION,
        ["lpHandle", "usize"],
      ],
      result: "i32",
    },
    /** Returns the result of an overlapped query; `WSAEINPROGRESS` before its end. Windows 8 and later. */
    GetAddrInfoExOverlappedResult: { params: [["lpOverlapped", "usize"]], result: "i32" },
    /**
     * Cancels an overlapped query, which ends with `WSA_E_CANCELLED`, and does not wait. `lpHandle` is where
     * GetAddrInfoExW wrote the query's handle. `WSA_INVALID_HANDLE`: it had ended already. Windows 8 and later.
     *
     * @see https://learn.microsoft.com/windows/win32/api/ws2tcpip/nf-ws2tcpip-getaddrinfoexcancel
     */
    GetAddrInfoExCancel: { params: [["lpHandle", "usize"]], result: "i32" },
    /** Frees a list of GetAddrInfoExW. */
    FreeAddrInfoExW: { params: [["pAddrInfoEx", "usize"]], result: "void" },
  },
} as const satisfies LibrarySpec;

/** Fields of {@linkcode WSABUF}. */
export const WSABUF_FIELDS = { len: "u32", buf: "ptr" } as const;
/** `WSABUF`: read by the call itself; only the memory it points to must stay. */
export const WSABUF: Struct<typeof WSABUF_FIELDS> = struct("WSABUF", WSABUF_FIELDS);

/** Fields of {@linkcode WSADATA}. */
export const WSADATA_FIELDS = {
  wVersion: "u16",
  wHighVersion: "u16",
  iMaxSockets: "u16",
  iMaxUdpDg: "u16",
  lpVendorInfo: "ptr",
  szDescription: ["u8", 257],
  szSystemStatus: ["u8", 129],
} as const;
/** `WSADATA` */
export const WSADATA: Struct<typeof WSADATA_FIELDS> = struct("WSADATA", WSADATA_FIELDS);

/** Fields of {@linkcode SOCKADDR_IN}. */
export const SOCKADDR_IN_FIELDS = {
  sin_family: "u16",
  sin_port: ["u8", 2],
  sin_addr: ["u8", 4],
  sin_zero: ["u8", 8],
} as const;
/** `SOCKADDR_IN`; port and address in network order. */
export const SOCKADDR_IN: Struct<typeof SOCKADDR_IN_FIELDS> = struct("SOCKADDR_IN", SOCKADDR_IN_FIELDS);

/** Fields of {@linkcode SOCKADDR_IN6}. */
export const SOCKADDR_IN6_FIELDS = {
  sin6_family: "u16",
  sin6_port: ["u8", 2],
  sin6_flowinfo: "u32",
  sin6_addr: ["u8", 16],
  sin6_scope_id: "u32",
} as const;
/** `SOCKADDR_IN6`; port and address in network order. */
export const SOCKADDR_IN6: Struct<typeof SOCKADDR_IN6_FIELDS> = struct("SOCKADDR_IN6", SOCKADDR_IN6_FIELDS);

/** Fields of {@linkcode SOCKADDR_STORAGE}. */
export const SOCKADDR_STORAGE_FIELDS = {
  ss_family: "u16",
  __ss_pad1: ["u8", 6],
  __ss_align: "i64",
  __ss_pad2: ["u8", 112],
} as const;
/** `SOCKADDR_STORAGE`: large enough for any address. */
export const SOCKADDR_STORAGE: Struct<typeof SOCKADDR_STORAGE_FIELDS> = struct(
  "SOCKADDR_STORAGE",
  SOCKADDR_STORAGE_FIELDS,
);

/** Fields of {@linkcode ADDRINFOEXW}. */
export const ADDRINFOEXW_FIELDS = {
  ai_flags: "i32",
  ai_family: "i32",
  ai_socktype: "i32",
  ai_protocol: "i32",
  ai_addrlen: "usize",
  ai_canonname: "ptr",
  ai_addr: "ptr",
  ai_blob: "ptr",
  ai_bloblen: "usize",
  ai_provider: "ptr",
  ai_next: "ptr",
} as const;
/** `ADDRINFOEXW` */
export const ADDRINFOEXW: Struct<typeof ADDRINFOEXW_FIELDS> = struct("ADDRINFOEXW", ADDRINFOEXW_FIELDS);

/** Fields of {@linkcode WSAPROTOCOL_INFOW}. */
export const WSAPROTOCOL_INFOW_FIELDS = {
  dwServiceFlags1: "u32",
  dwServiceFlags2: "u32",
  dwServiceFlags3: "u32",
  dwServiceFlags4: "u32",
  dwProviderFlags: "u32",
  ProviderId: "guid",
  dwCatalogEntryId: "u32",
  ProtocolChain: ["u32", 8],
  iVersion: "i32",
  iAddressFamily: "i32",
  iMaxSockAddr: "i32",
  iMinSockAddr: "i32",
  iSocketType: "i32",
  iProtocol: "i32",
  iProtocolMaxOffset: "i32",
  iNetworkByteOrder: "i32",
  iSecurityScheme: "i32",
  dwMessageSize: "u32",
  dwProviderReserved: "u32",
  szProtocol: ["u8", 512],
} as const;
/** `WSAPROTOCOL_INFOW`: the transport provider of a socket. */
export const WSAPROTOCOL_INFOW: Struct<typeof WSAPROTOCOL_INFOW_FIELDS> = struct(
  "WSAPROTOCOL_INFOW",
  WSAPROTOCOL_INFOW_FIELDS,
);

/** Address families. */
export const AF = { UNSPEC: 0, INET: 2, INET6: 23 } as const;
/** Socket types. */
export const SOCK = { STREAM: 1, DGRAM: 2, RAW: 3 } as const;
/** Protocols, and the levels of their options. */
export const IPPROTO = { TCP: 6, UDP: 17, IPV6: 41 } as const;
/** `SOL_SOCKET`: the level of a socket's own options. */
export const SOL_SOCKET = 0xffff;
/** Options of a socket. */
export const SO = {
  PROTOCOL_INFOW: 0x2005,
  UPDATE_ACCEPT_CONTEXT: 0x700b,
  UPDATE_CONNECT_CONTEXT: 0x7010,
} as const;
/** A provider's sockets are file system handles; a flag of {@linkcode WSAPROTOCOL_INFOW}. */
export const XP1_IFS_HANDLES = 0x0002_0000;
/** Options of TCP. */
export const TCP = { NODELAY: 1 } as const;
/** Options of IPv6. */
export const IPV6 = { V6ONLY: 27 } as const;
/** Flags of `WSASocketW`. */
export const WSA_FLAG = { OVERLAPPED: 0x1, NO_HANDLE_INHERIT: 0x80 } as const;
/** Directions of `shutdown`. */
export const SD = { RECEIVE: 0, SEND: 1, BOTH: 2 } as const;
/** The longest backlog the system allows. */
export const SOMAXCONN = 0x7fff_ffff;
/** Control codes of `WSAIoctl`; the secure socket functions use four of them. */
export const SIO = {
  GET_EXTENSION_FUNCTION_POINTER: 0xc800_0006,
  UDP_CONNRESET: 0x9800_000c,
  SET_SECURITY: 0x9800_00c8,
  QUERY_SECURITY: 0xd800_00c9,
  SET_PEER_TARGET_NAME: 0x9800_00ca,
  DELETE_PEER_TARGET_NAME: 0x9800_00cb,
  QUERY_WFP_ALE_ENDPOINT_HANDLE: 0x5800_00cd,
} as const;
/** Name spaces of `GetAddrInfoExW`. */
export const NS = { ALL: 0 } as const;
/** Flags of `GetAddrInfoExW`. */
export const AI = { PASSIVE: 0x1, NUMERICHOST: 0x4 } as const;
/** `INVALID_SOCKET` */
export const INVALID_SOCKET = 0xffff_ffff_ffff_ffffn;
