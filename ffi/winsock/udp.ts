/**
 * UDP over overlapped sockets.
 *
 * @module
 */

import { TransportError } from "../../errors.ts";
import { MAX_CHUNK } from "./buffers.ts";
import { BLOCK } from "./completion_port.ts";
import { pinned } from "../memory/memory.ts";
import { describe, OverlappedSocket } from "./overlapped.ts";
import { SIO, SOCKADDR_STORAGE } from "../raw/ws2_32.ts";
import { readAddress, type SocketAddress } from "./address.ts";
import type { Winsock } from "./winsock.ts";

/** A datagram that has arrived. */
export interface ArrivedDatagram {
  /** The whole datagram, in its own memory. */
  readonly data: Uint8Array;
  /** The sender's address, which is not authenticated. */
  readonly from: SocketAddress;
}

/** A UDP socket. */
export class UdpSocket extends OverlappedSocket {
  /** Makes a socket that is not bound. */
  constructor(winsock: Winsock, version: 4 | 6) {
    super(winsock, version, "datagram");
    this.#ignoreResets();
  }

  /**
   * Prevents ICMP messages about earlier datagrams, which can be forged, from ending a receive. A system that does
   * not support this setting is not a failure.
   *
   * @see https://learn.microsoft.com/windows/win32/winsock/winsock-ioctls
   */
  #ignoreResets(): void {
    const [off, bytes] = [pinned(4), pinned(4)];
    const { UDP_CONNRESET } = SIO;
    this.winsock.call.WSAIoctl(this.handle, UDP_CONNRESET, off, off.length, null, 0, bytes, 0n, 0n);
  }

  /** Sends one datagram, which is copied before the call returns. */
  async sendTo(p: Uint8Array, peer: SocketAddress, signal?: AbortSignal): Promise<void> {
    const winsock = this.live("send");
    const copy = winsock.buffers.take(p.length);
    copy.bytes.set(p);
    await this.run({
      fn: "WSASendTo",
      doing: `send to ${describe(peer)}`,
      signal,
      keep: copy,
      begin: (block) => {
        const buffers = this.describeBuffer(block, copy);
        new Uint8Array(block.view.buffer, block.view.byteOffset + BLOCK.address).set(peer.bytes);
        const to = block.address + BigInt(BLOCK.address);
        const { WSASendTo } = winsock.call;
        const failed = WSASendTo(
          this.handle,
          buffers,
          1,
          0n,
          0,
          to,
          peer.bytes.length,
          block.address,
          0n,
        );
        return winsock.begun(failed === 0);
      },
      read: () => {},
    });
  }

  /**
   * Receives one whole datagram: it must not be refused for its length before its sender is known.
   *
   * @throws TransportError, also where the system reports that an earlier datagram did not arrive; see `isReset`.
   */
  async receiveFrom(signal?: AbortSignal): Promise<ArrivedDatagram> {
    const winsock = this.live("receive");
    const into = winsock.buffers.take(MAX_CHUNK);
    return await this.run({
      fn: "WSARecvFrom",
      doing: "receive",
      signal,
      keep: into,
      begin: (block) => {
        const buffers = this.describeBuffer(block, into);
        block.view.setInt32(BLOCK.addressLength, SOCKADDR_STORAGE.size, true);
        const place = (offset: number): bigint => block.address + BigInt(offset);
        const failed = winsock.call.WSARecvFrom(
          this.handle,
          buffers,
          1,
          0n,
          place(BLOCK.flags),
          place(BLOCK.address),
          place(BLOCK.addressLength),
          block.address,
          0n,
        );
        return winsock.begun(failed === 0);
      },
      read: ({ bytes, block }) => {
        const data = into.bytes.slice(0, bytes);
        const place = block.view.byteOffset + BLOCK.address;
        const from = new Uint8Array(block.view.buffer, place, SOCKADDR_STORAGE.size);
        return { data, from: readAddress(from) };
      },
    });
  }
}

/** The codes for an earlier datagram that did not arrive, as NTSTATUS and Winsock name them. */
const RESETS: readonly string[] = [
  "ERROR_NETNAME_DELETED",
  "ERROR_CONNECTION_REFUSED",
  "ERROR_NETWORK_UNREACHABLE",
  "ERROR_HOST_UNREACHABLE",
  "ERROR_PROTOCOL_UNREACHABLE",
  "ERROR_PORT_UNREACHABLE",
  "WSAENETUNREACH",
  "WSAENETRESET",
  "WSAECONNRESET",
  "WSAECONNREFUSED",
  "WSAEHOSTUNREACH",
];

/** Returns whether an error of `receiveFrom` is about a sent datagram, so that receiving can continue. */
export function isReset(error: unknown): boolean {
  return error instanceof TransportError && RESETS.includes(error.codeName);
}
