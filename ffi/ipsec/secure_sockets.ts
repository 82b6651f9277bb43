/**
 * The Winsock secure socket functions over the library's sockets. Arguments and results are bytes, whose contents are
 * the codec's; this file defines when the functions are called.
 *
 * @see https://learn.microsoft.com/windows/win32/winsock/winsock-secure-socket-extensions
 * @module
 */

import type { Calls } from "../abi.ts";
import { ProtocolError } from "../../errors.ts";
import { pinned } from "../memory/memory.ts";
import type { OverlappedSocket } from "../winsock/overlapped.ts";
import { FWPUCLNT, SOCKET_SECURITY_QUERY_INFO } from "../raw/fwpuclnt.ts";
import { KERNEL32 } from "../raw/kernel32.ts";
import { WS2_32 } from "../raw/ws2_32.ts";
import type { SocketAddress } from "../winsock/address.ts";
import { readAnswer } from "./query.ts";
import { socketError } from "../status.ts";
import type { NativeSystem } from "../system.ts";

const WSAEFAULT = 10014;
const WSAEMSGSIZE = 10040;
/** The longest answer; a longer one is refused. */
const MAX_ANSWER = 4096;

/** Advice for errors of each function, from its documentation. */
const ADVICE: { readonly [fn: string]: { readonly [code: number]: string } } = {
  WSASetSocketSecurity: {
    10022:
      "The settings are not valid here: check the policy keys (their provider contexts must have been added), " +
      "and that the socket has no other settings and is not bound yet",
    10056: "Set the security before the socket is connected",
  },
  WSASetSocketPeerTargetName: { 10056: "Set the peer's name before the socket is connected" },
  WSAQuerySocketSecurity: { 10054: "The peer reset the connection; its security is not known" },
};

/** The functions of a system with the grant `ipsec`. */
export class SecureSockets {
  readonly #call: Calls<typeof FWPUCLNT>;
  readonly #lastError: () => number;
  readonly #closeHandle: (handle: bigint) => number;

  /** @throws PermissionError, UnsupportedPlatformError. */
  constructor(system: NativeSystem) {
    this.#call = system.library("ipsec", FWPUCLNT).call;
    this.#lastError = system.library("ipsec", WS2_32).call.WSAGetLastError;
    this.#closeHandle = system.library("ipsec", KERNEL32).call.CloseHandle;
  }

  /**
   * Sets the security of a socket: once, before it is bound or connected.
   *
   * @param settings a `SOCKET_SECURITY_SETTINGS` or `SOCKET_SECURITY_SETTINGS_IPSEC`, not changed; `null`: the
   * system's default policy.
   * @throws TransportError
   * @see https://learn.microsoft.com/windows/win32/api/ws2tcpip/nf-ws2tcpip-wsasetsocketsecurity
   */
  setSecurity(socket: OverlappedSocket, settings: Uint8Array | null): void {
    const handle = socket.handleFor("set socket security");
    const length = settings?.length ?? 0;
    const failed = this.#call.WSASetSocketSecurity(handle, settings, length, 0n, 0n);
    this.#check(failed, "WSASetSocketSecurity", "set socket security");
  }

  /**
   * Sets the name that the peer must prove. TCP: before the socket connects. UDP: once for each peer.
   *
   * @param target a `SOCKET_PEER_TARGET_NAME`, not changed.
   * @throws TransportError
   * @see https://learn.microsoft.com/windows/win32/api/ws2tcpip/nf-ws2tcpip-wsasetsocketpeertargetname
   */
  setPeerTarget(socket: OverlappedSocket, target: Uint8Array): void {
    const handle = socket.handleFor("set the peer's name");
    const failed = this.#call.WSASetSocketPeerTargetName(handle, target, target.length, 0n, 0n);
    this.#check(failed, "WSASetSocketPeerTargetName", "set the peer's name");
  }

  /**
   * Deletes the name of a peer.
   *
   * @throws TransportError
   * @see https://learn.microsoft.com/windows/win32/api/ws2tcpip/nf-ws2tcpip-wsadeletesocketpeertargetname
   */
  deletePeerTarget(socket: OverlappedSocket, peer: SocketAddress): void {
    const handle = socket.handleFor("delete the peer's name");
    const { bytes } = peer;
    const failed = this.#call.WSADeleteSocketPeerTargetName(handle, bytes, bytes.length, 0n, 0n);
    this.#check(failed, "WSADeleteSocketPeerTargetName", "delete the peer's name");
  }

  /**
   * Queries the current security of a connection. May be called any number of times after the socket is connected.
   *
   * @param template a `SOCKET_SECURITY_QUERY_TEMPLATE` or its `IPSEC2` form, not changed; `null`: for TCP only, and
   * then only the flags are returned.
   * @returns a `SOCKET_SECURITY_QUERY_INFO` or its `IPSEC2` form. The caller closes the token handles in it.
   * @throws TransportError, ProtocolError
   * @see https://learn.microsoft.com/windows/win32/api/ws2tcpip/nf-ws2tcpip-wsaquerysocketsecurity
   */
  query(socket: OverlappedSocket, template: Uint8Array | null): Uint8Array {
    const handle = socket.handleFor("query socket security");
    const size = pinned(4);
    const view = new DataView(size.buffer);
    const ask = (into: Uint8Array | null): number => {
      const length = template?.length ?? 0;
      view.setUint32(0, into?.length ?? 0, true);
      const failed = this.#call.WSAQuerySocketSecurity(handle, template, length, into, size, 0n, 0n);
      return failed === 0 ? 0 : this.#lastError() || -1;
    };
    const probe = ask(null);
    // The function's page documents WSAEMSGSIZE; the sample of "Using Secure Socket Extensions" expects WSAEFAULT.
    if (probe !== 0 && probe !== WSAEMSGSIZE && probe !== WSAEFAULT) throw this.#queryError(probe);
    const needed = view.getUint32(0, true);
    if (needed < SOCKET_SECURITY_QUERY_INFO.size || needed > MAX_ANSWER) {
      // An error without a size is not about the buffer's length.
      if (probe !== 0 && needed === 0) throw this.#queryError(probe);
      throw unbelievable(needed);
    }
    const answer = pinned(needed);
    const error = ask(answer);
    if (error !== 0) throw this.#queryError(error);
    const filled = view.getUint32(0, true);
    if (filled < SOCKET_SECURITY_QUERY_INFO.size || filled > needed) {
      // The caller will not get the handles in it.
      const { userToken, machineToken } = readAnswer(answer);
      this.closeTokens(userToken, machineToken);
      throw unbelievable(filled);
    }
    return answer.subarray(0, filled);
  }

  /** Closes the tokens of an answer; ignores 0. */
  closeTokens(...tokens: readonly bigint[]): void {
    for (const token of tokens) if (token !== 0n) this.#closeHandle(token);
  }

  #queryError(code: number): Error {
    const fn = "WSAQuerySocketSecurity";
    return socketError(fn, code === -1 ? 0 : code, "query socket security", ADVICE[fn][code]);
  }

  #check(failed: number, fn: string, doing: string): void {
    if (failed === 0) return;
    const code = this.#lastError();
    throw socketError(fn, code, doing, ADVICE[fn]?.[code]);
  }
}

function unbelievable(size: number): ProtocolError {
  return new ProtocolError(
    "malformed",
    `WSAQuerySocketSecurity reported an answer of ${size} bytes, which is not a valid size`,
  );
}
