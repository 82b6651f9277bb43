/** Byte streams in memory, which can be shortened, delayed, observed and made to fail. */

import type { ByteTransport, NetAddress } from "../../sockets/transport.ts";

/** How a pair behaves. */
export interface MemoryOptions {
  /** The most bytes that one read returns. */
  readLimit?: number;
  /** The most bytes that one write accepts. */
  writeLimit?: number;
  /** The most unread bytes before a write waits. */
  capacity?: number;
}

/** One end of a connection in memory. */
export class MemoryTransport implements ByteTransport {
  /** Every byte that was written to this end. */
  readonly sent: number[] = [];
  /** How often close was called. */
  closes = 0;
  /** How often read was called. */
  reads = 0;
  /** How often write was called. */
  writes = 0;
  /** Replaces what arrives at the peer. */
  tamper: ((chunk: Uint8Array) => Uint8Array) | null = null;
  /** Called before each read and write: may throw, or return a promise that is awaited. */
  onCall: ((call: "read" | "write", count: number) => void | Promise<void>) | null = null;
  /** This end. */
  readonly localAddr: NetAddress = { transport: "tcp", hostname: "192.0.2.1", port: 1 };
  /** The other end. */
  readonly remoteAddr: NetAddress = { transport: "tcp", hostname: "192.0.2.2", port: 2 };
  readonly #options: MemoryOptions;
  #peer!: MemoryTransport;
  #arrived: Uint8Array[] = [];
  #ended = false;
  #changed: (() => void)[] = [];

  constructor(options: MemoryOptions) {
    this.#options = options;
  }

  /** Makes two ends of one connection. */
  static pair(options: MemoryOptions = {}): [MemoryTransport, MemoryTransport] {
    const ends: [MemoryTransport, MemoryTransport] = [
      new MemoryTransport(options),
      new MemoryTransport(options),
    ];
    ends[0].#peer = ends[1];
    ends[1].#peer = ends[0];
    return ends;
  }

  get #waiting(): number {
    return this.#arrived.reduce((sum, chunk) => sum + chunk.length, 0);
  }

  #change(): void {
    for (const wake of this.#changed.splice(0)) wake();
  }

  #wait(): Promise<void> {
    return new Promise((resolve) => this.#changed.push(resolve));
  }

  #checkOpen(): void {
    if (this.closes > 0) throw new Error("the transport is closed");
  }

  async read(p: Uint8Array): Promise<number | null> {
    const count = this.reads++;
    await this.onCall?.("read", count);
    this.#checkOpen();
    while (this.#arrived.length === 0) {
      if (this.#ended) return null;
      await this.#wait();
      this.#checkOpen();
    }
    const room = p.subarray(0, this.#options.readLimit ?? Infinity);
    let taken = 0;
    while (taken < room.length && this.#arrived.length > 0) {
      const chunk = this.#arrived[0];
      const part = chunk.subarray(0, room.length - taken);
      room.set(part, taken);
      taken += part.length;
      if (part.length === chunk.length) this.#arrived.shift();
      else this.#arrived[0] = chunk.subarray(part.length);
    }
    this.#peer.#change();
    return taken;
  }

  async write(p: Uint8Array): Promise<number> {
    const count = this.writes++;
    await this.onCall?.("write", count);
    this.#checkOpen();
    const peer = this.#peer;
    while (peer.#waiting >= (this.#options.capacity ?? Infinity) && peer.closes === 0) {
      await this.#wait();
      this.#checkOpen();
    }
    if (peer.closes > 0) throw new Error("the peer is gone");
    const part = p.slice(0, this.#options.writeLimit ?? Infinity);
    for (const byte of part) this.sent.push(byte);
    const arrives = this.tamper ? this.tamper(part) : part;
    if (arrives.length > 0) peer.#arrived.push(arrives);
    peer.#change();
    return part.length;
  }

  /** Delivers bytes to the peer as if this end had written them. */
  inject(bytes: Uint8Array): void {
    this.#peer.#arrived.push(bytes.slice());
    this.#peer.#change();
  }

  // deno-lint-ignore require-await
  async closeWrite(): Promise<void> {
    this.#checkOpen();
    this.#peer.#ended = true;
    this.#peer.#change();
  }

  close(): void {
    this.closes++;
    this.#peer.#ended = true;
    this.#peer.#change();
    this.#change();
  }
}

/** Waits until all pending work that does not depend on timers is done. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setTimeout(resolve, 0));
}
