/**
 * The error codes of Winsock and of the Win32 functions below it. No logic.
 *
 * An overlapped operation ends with an NTSTATUS, which `RtlNtStatusToDosError` converts to a Win32 code. So the same
 * failure has a Winsock name where a call fails immediately, and a Win32 name where it fails later. Both are here.
 *
 * @see https://learn.microsoft.com/windows/win32/winsock/windows-sockets-error-codes-2
 * @see https://learn.microsoft.com/windows/win32/debug/system-error-codes
 * @module
 */

/** What a code means. */
export interface StatusEntry {
  /** The symbolic name. */
  readonly name: string;
  /** What to do, as sentences; empty where the code is sufficient. */
  readonly advice: string;
}

const REFUSED = "Is the server running, and listening on this port?";
const RESET =
  "The peer closed the connection, or a firewall or another device between the two ends refused it.";
const TIMED_OUT =
  "Nothing answered. Where IPsec is required, the negotiation may have failed: check UDP 500 and 4500 in both " +
  "firewalls, the services BFE, IKEEXT and MpsSvc, and both computers' credentials.";
const UNREACHABLE = "Check the address, and the route to it.";
const IN_USE = "Another process listens there: stop it, or choose another port.";
const RESERVED = "The system reserves this port, or another process uses it exclusively: choose another.";
const NOT_HERE = "This machine has no such address.";
const NO_MEMORY = "Close what is not needed.";

/** Codes by value. */
export const WINSOCK_STATUS: { readonly [code: number]: StatusEntry } = {
  5: { name: "ERROR_ACCESS_DENIED", advice: "This account is not permitted to do that." },
  6: { name: "ERROR_INVALID_HANDLE", advice: "The socket was closed." },
  8: { name: "ERROR_NOT_ENOUGH_MEMORY", advice: NO_MEMORY },
  50: { name: "ERROR_NOT_SUPPORTED", advice: "" },
  64: { name: "ERROR_NETNAME_DELETED", advice: RESET },
  87: { name: "ERROR_INVALID_PARAMETER", advice: "" },
  121: { name: "ERROR_SEM_TIMEOUT", advice: TIMED_OUT },
  234: { name: "ERROR_MORE_DATA", advice: "The datagram is longer than the buffer." },
  995: { name: "ERROR_OPERATION_ABORTED", advice: "" },
  996: { name: "ERROR_IO_INCOMPLETE", advice: "" },
  997: { name: "ERROR_IO_PENDING", advice: "" },
  1225: { name: "ERROR_CONNECTION_REFUSED", advice: REFUSED },
  1229: { name: "ERROR_CONNECTION_INVALID", advice: "" },
  1231: { name: "ERROR_NETWORK_UNREACHABLE", advice: UNREACHABLE },
  1232: { name: "ERROR_HOST_UNREACHABLE", advice: UNREACHABLE },
  1233: { name: "ERROR_PROTOCOL_UNREACHABLE", advice: UNREACHABLE },
  1234: { name: "ERROR_PORT_UNREACHABLE", advice: REFUSED },
  1236: { name: "ERROR_CONNECTION_ABORTED", advice: RESET },
  1460: { name: "ERROR_TIMEOUT", advice: TIMED_OUT },
  10004: { name: "WSAEINTR", advice: "" },
  10009: { name: "WSAEBADF", advice: "" },
  10013: { name: "WSAEACCES", advice: RESERVED },
  10014: { name: "WSAEFAULT", advice: "" },
  10022: { name: "WSAEINVAL", advice: "" },
  10024: { name: "WSAEMFILE", advice: NO_MEMORY },
  10035: { name: "WSAEWOULDBLOCK", advice: "" },
  10036: { name: "WSAEINPROGRESS", advice: "" },
  10037: { name: "WSAEALREADY", advice: "" },
  10038: { name: "WSAENOTSOCK", advice: "The socket was closed." },
  10039: { name: "WSAEDESTADDRREQ", advice: "" },
  10040: {
    name: "WSAEMSGSIZE",
    advice: "The datagram is longer than the protocol allows, or than the buffer.",
  },
  10041: { name: "WSAEPROTOTYPE", advice: "" },
  10042: { name: "WSAENOPROTOOPT", advice: "" },
  10043: { name: "WSAEPROTONOSUPPORT", advice: "" },
  10044: { name: "WSAESOCKTNOSUPPORT", advice: "" },
  10045: { name: "WSAEOPNOTSUPP", advice: "" },
  10047: {
    name: "WSAEAFNOSUPPORT",
    advice: "Use an IPv4 or IPv6 address that this machine has a protocol for.",
  },
  10048: { name: "WSAEADDRINUSE", advice: IN_USE },
  10049: { name: "WSAEADDRNOTAVAIL", advice: NOT_HERE },
  10050: { name: "WSAENETDOWN", advice: "" },
  10051: { name: "WSAENETUNREACH", advice: UNREACHABLE },
  10052: { name: "WSAENETRESET", advice: RESET },
  10053: { name: "WSAECONNABORTED", advice: RESET },
  10054: { name: "WSAECONNRESET", advice: RESET },
  10055: { name: "WSAENOBUFS", advice: NO_MEMORY },
  10056: { name: "WSAEISCONN", advice: "" },
  10057: { name: "WSAENOTCONN", advice: "" },
  10058: { name: "WSAESHUTDOWN", advice: "This direction was closed." },
  10060: { name: "WSAETIMEDOUT", advice: TIMED_OUT },
  10061: { name: "WSAECONNREFUSED", advice: REFUSED },
  10064: { name: "WSAEHOSTDOWN", advice: UNREACHABLE },
  10065: { name: "WSAEHOSTUNREACH", advice: UNREACHABLE },
  10067: { name: "WSAEPROCLIM", advice: NO_MEMORY },
  10091: { name: "WSASYSNOTREADY", advice: "The network subsystem is not ready." },
  10092: { name: "WSAVERNOTSUPPORTED", advice: "" },
  10093: { name: "WSANOTINITIALISED", advice: "" },
  10107: { name: "WSASYSCALLFAILURE", advice: "A system call that normally never fails has failed." },
  10108: { name: "WSASERVICE_NOT_FOUND", advice: "" },
  10109: { name: "WSATYPE_NOT_FOUND", advice: "" },
  10111: { name: "WSA_E_CANCELLED", advice: "" },
  11001: { name: "WSAHOST_NOT_FOUND", advice: "Check the spelling of the name, and the name server." },
  11002: { name: "WSATRY_AGAIN", advice: "The name server did not answer; try again." },
  11003: { name: "WSANO_RECOVERY", advice: "The name server failed." },
  11004: { name: "WSANO_DATA", advice: "The name has no address of this kind." },
  13801: { name: "ERROR_IPSEC_IKE_AUTH_FAIL", advice: "The computers' credentials do not match the policy." },
  13805: { name: "ERROR_IPSEC_IKE_TIMED_OUT", advice: TIMED_OUT },
  13806: { name: "ERROR_IPSEC_IKE_NO_CERT", advice: "The policy requires a certificate, and there is none." },
  13816: { name: "ERROR_IPSEC_IKE_ERROR", advice: "" },
  13848: { name: "ERROR_IPSEC_IKE_PEER_CRL_FAILED", advice: "The peer's certificate could not be checked." },
  13868: {
    name: "ERROR_IPSEC_IKE_POLICY_MATCH",
    advice: "The two computers' policies have no proposal in common.",
  },
};

/**
 * The errors that the documentation of each of the six functions lists, under
 * https://learn.microsoft.com/windows/win32/api/ws2tcpip/
 */
export const SECURE_SOCKET_ERRORS = {
  WSASetSocketSecurity: ["WSAEAFNOSUPPORT", "WSAEINVAL", "WSAEISCONN", "WSAEMSGSIZE", "WSAENOTSOCK"],
  WSAQuerySocketSecurity: [
    "WSAEAFNOSUPPORT",
    "WSAECONNRESET",
    "WSAEFAULT",
    "WSAEINVAL",
    "WSAEMSGSIZE",
    "WSAENOTSOCK",
  ],
  WSASetSocketPeerTargetName: [
    "WSAEAFNOSUPPORT",
    "WSAEFAULT",
    "WSAEINVAL",
    "WSAEISCONN",
    "WSAEMSGSIZE",
    "WSAENOTSOCK",
  ],
  WSADeleteSocketPeerTargetName: ["WSAEAFNOSUPPORT", "WSAEFAULT", "WSAEINVAL", "WSAEMSGSIZE", "WSAENOTSOCK"],
  WSAImpersonateSocketPeer: ["WSAEAFNOSUPPORT", "WSAEFAULT", "WSAEMSGSIZE", "WSAENOTSOCK"],
  WSARevertImpersonation: ["WSASYSCALLFAILURE"],
} as const;
