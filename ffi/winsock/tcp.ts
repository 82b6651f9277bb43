/**
 * TCP over overlapped sockets. Every wait is a promise that can be cancelled.
 *
 * @module
 */

import { MAX_CHUNK, type PooledBuffer } from "./buffers.ts";
import { BLOCK } from "./completion_port.ts";
import { pinned } from "../memory/memory.ts";
import { describe, OverlappedSocket } from "./overlapped.ts";
import { IPPROTO, SD, SO, SOCKADDR_STORAGE, SOL_SOCKET, TCP } from "../raw/ws2_32.ts";
import { anyAddress, type SocketAddress } from "./address.ts";
import { socketError } from "../status.ts";
import type { Winsock } from "./winsock.ts";

/** AcceptEx needs 16 bytes more than an address for each of the two addresses. */
const ACCEPT_ADDRESS = SOCKADDR_STORAGE.size + 16;

/** A TCP socket, listening or connected. */
export class TcpSocket extends OverlappedSocket {
  #held: PooledBuffer | null = null;

  /** Makes a socket that is neither bound nor connected. */
  constructor(winsock: Winsock, version: 4 | 6) {
    super(winsock, version, "stream");
  }

  /** Listens for connections. */
  listen(backlog: number): void {
    const { call } = this.live("listen");
    if (call.listen(this.handle, backlog) !== 0) {
      throw socketError("listen", call.WSAGetLastError(), "listen");
    }
  }

  /** Connects to `peer`, from any address of this machine. */
  async connect(peer: SocketAddress, signal?: AbortSignal): Promise<void> {
    this.bind(anyAddress(this.version));
    const winsock = this.live("connect");
    await this.run({
      fn: "ConnectEx",
      doing: `connect to ${describe(peer)}`,
      signal,
      begin: (block) => {
        new Uint8Array(block.view.buffer, block.view.byteOffset + BLOCK.address).set(peer.bytes);
        return winsock.connectEx({
          socket: this.handle,
          name: block.address + BigInt(BLOCK.address),
          nameLength: peer.bytes.length,
          overlapped: block.address,
        });
      },
      read: () => {},
    });
    this.setOption(SOL_SOCKET, SO.UPDATE_CONNECT_CONTEXT, new Uint8Array());
  }

  /** Accepts one connection. */
  async accept(signal?: AbortSignal): Promise<TcpSocket> {
    const winsock = this.live("accept");
    const accepted = new TcpSocket(winsock, this.version);
    try {
      const addresses = pinned(2 * ACCEPT_ADDRESS);
      const at = winsock.memory.addressOf(addresses);
      await this.run({
        fn: "AcceptEx",
        doing: "accept",
        signal,
        keep: { bytes: addresses },
        begin: ({ address }) => {
          const ok = winsock.extensions.AcceptEx(
            this.handle,
            accepted.handle,
            at,
            0,
            ACCEPT_ADDRESS,
            ACCEPT_ADDRESS,
            address + BigInt(BLOCK.bytes),
            address,
          );
          return winsock.begun(ok !== 0);
        },
        read: () => {},
      });
      const listener = new Uint8Array(8);
      new DataView(listener.buffer).setBigUint64(0, this.handle, true);
      accepted.setOption(SOL_SOCKET, SO.UPDATE_ACCEPT_CONTEXT, listener);
      return accepted;
    } catch (error) {
      await accepted.close();
      throw error;
    }
  }

  /** Sends all of `p`, which is copied before the call returns. */
  async send(p: Uint8Array, signal?: AbortSignal): Promise<void> {
    const winsock = this.live("send");
    for (let sent = 0; sent < p.length;) {
      const copy = winsock.buffers.take(Math.min(p.length - sent, MAX_CHUNK));
      copy.bytes.set(p.subarray(sent, sent + copy.bytes.length));
      sent += await this.run({
        fn: "WSASend",
        doing: "send",
        signal,
        keep: copy,
        begin: (block) => {
          const buffers = this.describeBuffer(block, copy);
          const moved = block.address + BigInt(BLOCK.bytes);
          const failed = winsock.call.WSASend(this.handle, buffers, 1, moved, 0, block.address, 0n);
          return winsock.begun(failed === 0);
        },
        read: ({ bytes }) => bytes,
      });
    }
  }

  /** Receives up to `p.length` bytes into `p`; 0 at the end of the stream. */
  async receive(p: Uint8Array, signal?: AbortSignal): Promise<number> {
    const winsock = this.live("receive");
    const held = this.#held;
    const into = this.#roomFor(Math.min(p.length, MAX_CHUNK), winsock);
    // A kept buffer still contains the previous data, independent of what arrives now.
    const clean = into !== held;
    let full = false;
    return await this.run({
      fn: "WSARecv",
      doing: "receive",
      signal,
      keep: { bytes: into.bytes, release: () => full ? this.#hold(into) : into.release() },
      begin: (block) => {
        const buffers = this.describeBuffer(block, into);
        const [moved, flags] = [BLOCK.bytes, BLOCK.flags].map((place) => block.address + BigInt(place));
        const failed = winsock.call.WSARecv(this.handle, buffers, 1, moved, flags, block.address, 0n);
        return winsock.begun(failed === 0);
      },
      read: ({ bytes }) => {
        if (clean) into.used = bytes;
        full = bytes > 0 && bytes === into.bytes.length;
        p.set(into.bytes.subarray(0, bytes));
        return bytes;
      },
    });
  }

  #roomFor(length: number, winsock: Winsock): PooledBuffer {
    const held = this.#held;
    this.#held = null;
    if (held?.bytes.length === length) return held;
    held?.release();
    return winsock.buffers.take(length);
  }

  /**
   * Keeps a buffer that was filled completely for the next receive: more data is probably waiting and will overwrite
   * it.
   */
  #hold(buffer: PooledBuffer): void {
    if (this.closed) return buffer.release();
    this.#held?.release();
    this.#held = buffer;
  }

  override close(): Promise<void> {
    this.#held?.release();
    this.#held = null;
    return super.close();
  }

  /** Sends the end of the stream; receiving stays possible. */
  closeWrite(): void {
    const { call } = this.live("half-close");
    if (call.shutdown(this.handle, SD.SEND) !== 0) {
      throw socketError("shutdown", call.WSAGetLastError(), "half-close the connection");
    }
  }

  /** Sends small writes without delay (`TCP_NODELAY`). */
  setNoDelay(): void {
    this.setOption(IPPROTO.TCP, TCP.NODELAY, Uint8Array.of(1, 0, 0, 0));
  }
}
