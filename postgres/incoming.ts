/**
 * What a socket delivers, in the pieces that a protocol asks for, with a bound on what waits.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import type { Socket } from "node:net";
import { ProtocolError } from "../errors.ts";

/** The socket is paused while so many bytes wait that nobody has asked for. */
const MAX_WAITING = 256 * 1024;

/** Reads a socket piece by piece. One read at a time. */
export class Incoming {
  readonly #socket: Socket;
  #chunks: Buffer[] = [];
  #length = 0;
  #wanted = 0;
  #ended = false;
  #wake: (() => void) | null = null;

  /** Takes over the socket's data from now on; its errors are left to the caller. */
  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", (chunk: Buffer) => {
      this.#chunks.push(chunk);
      this.#length += chunk.length;
      if (this.#length >= Math.max(MAX_WAITING, this.#wanted)) socket.pause();
      if (this.#length >= this.#wanted) this.#notify();
    });
    socket.on("end", () => this.end());
    socket.on("close", () => this.end());
  }

  /** How many bytes wait. */
  get waiting(): number {
    return this.#length;
  }

  /** Nothing more will come; a read that waits ends. */
  end(): void {
    this.#ended = true;
    this.#notify();
  }

  /**
   * The next `length` bytes; `null` where the connection ended before the first of them.
   *
   * @param what stands in the error's message.
   * @throws ProtocolError where it ended among them.
   */
  async read(length: number, what: string): Promise<Buffer | null> {
    if (this.#length < length) await this.#wait(length);
    if (this.#length >= length) return this.#take(length);
    if (this.#length === 0) return null;
    throw truncated(what);
  }

  /** As {@linkcode Incoming.read}, where the connection may not end. */
  async must(length: number, what: string): Promise<Buffer> {
    const bytes = await this.read(length, what);
    if (bytes === null) throw truncated(what);
    return bytes;
  }

  /** Whatever has come, at least one byte; `null` at the end. */
  async any(): Promise<Buffer | null> {
    if (this.#length === 0) await this.#wait(1);
    return this.#length === 0 ? null : this.#take(this.#chunks[0].length);
  }

  async #wait(length: number): Promise<void> {
    this.#wanted = length;
    while (this.#length < length && !this.#ended) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      this.#socket.resume();
      await promise;
    }
    this.#wanted = 0;
  }

  #notify(): void {
    this.#wake?.();
    this.#wake = null;
  }

  #take(length: number): Buffer {
    this.#length -= length;
    const first = this.#chunks[0];
    if (first.length === length) return this.#chunks.shift()!;
    if (first.length > length) {
      this.#chunks[0] = first.subarray(length);
      return first.subarray(0, length);
    }
    const taken = Buffer.alloc(length);
    let filled = 0;
    while (filled < length) {
      const chunk = this.#chunks[0];
      const copied = chunk.copy(taken, filled, 0, length - filled);
      filled += copied;
      if (copied === chunk.length) this.#chunks.shift();
      else this.#chunks[0] = chunk.subarray(copied);
    }
    return taken;
  }
}

function truncated(what: string): ProtocolError {
  return new ProtocolError(
    "truncated",
    `The server closed the connection before the end of ${what}. Its log says why`,
  );
}
