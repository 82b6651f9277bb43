/**
 * UDP over overlapped sockets.
 *
 * @module
 */

import { MAX_CHUNK } from "./buffer_pool.ts";
import { BLOCK } from "./completion_port.ts";
import { describe, OverlappedSocket } from "./overlapped_socket.ts";
import { SOCKADDR_STORAGE } from "./raw/ws2_32.ts";
import { readAddress, type SocketAddress } from "./socket_address.ts";
import type { Winsock } from "./winsock.ts";

/** A UDP socket. */
export class UdpSocket extends OverlappedSocket {
  /** Makes a socket that is not bound. */
  constructor(winsock: Winsock, version: 4 | 6) {
    super(winsock, version, "datagram");
  }

  /** Sends one datagram, which is copied before this returns. */
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
        const error = winsock.call.WSAGetLastError();
        return failed === 0 ? 0 : error;
      },
      read: () => {},
    });
  }

  /** Receives one datagram into `p`. One that is longer is an error, and lost. */
  async receiveFrom(p: Uint8Array, signal?: AbortSignal): Promise<{ bytes: number; from: SocketAddress }> {
    const winsock = this.live("receive");
    const into = winsock.buffers.take(Math.min(p.length, MAX_CHUNK));
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
        const error = winsock.call.WSAGetLastError();
        return failed === 0 ? 0 : error;
      },
      read: ({ bytes, block }) => {
        p.set(into.bytes.subarray(0, bytes));
        const place = block.view.byteOffset + BLOCK.address;
        const from = new Uint8Array(block.view.buffer, place, SOCKADDR_STORAGE.size);
        return { bytes, from: readAddress(from) };
      },
    });
  }
}
