/**
 * Reads ahead from a wire into one buffer, so that many small records cost few reads and no allocation; and the
 * buffers that connections reuse for this. A connection that waits for its peer, as most of a server's do, borrows
 * none.
 *
 * @module
 */

import { StateError } from "../errors.ts";
import type { Wire } from "./transport.ts";
import { DATA_HEADER_SIZE, MAX_RECEIVED_SIZE } from "./framing.ts";

/**
 * Enough for a ticket and for most messages. An unauthenticated peer gets no more memory than the bytes it sends
 * need.
 */
const OWN_CAPACITY = 4096;

/**
 * A buffer in front of a wire. The views it returns are valid until the next {@linkcode WireReader.fill}.
 *
 * While it waits for the first byte of a record it keeps a small buffer only, unless the last read returned all the
 * bytes that it had room for.
 */
export class WireReader {
  readonly #wire: Wire;
  #buffer: Uint8Array<ArrayBuffer> | null = null;
  #start = 0;
  #end = 0;
  /** The small buffer while a borrowed one is in use; else `null`. */
  #aside: Uint8Array<ArrayBuffer> | null = null;
  #borrowed = false;
  /** How far the borrowed buffer has been written. */
  #used = 0;
  #ahead = false;
  #reading = false;
  /** Whether the last read filled its buffer, so that more bytes are probably waiting. */
  #more = false;
  #wiped = false;
  /** The read that {@linkcode WireReader.ended} started, until a fill has used its result. */
  #early: { readonly byte: Uint8Array; readonly read: Promise<number | null> } | null = null;

  /** Allocates nothing before the first fill. */
  constructor(wire: Wire) {
    this.#wire = wire;
  }

  /** How many bytes have arrived and were not taken yet. */
  get buffered(): number {
    return this.#end - this.#start;
  }

  /** Waits until `size` bytes have arrived; false if the stream ended before. */
  async fill(size: number): Promise<boolean> {
    while (this.buffered < size) {
      const room = this.#makeRoom(size).subarray(this.#end);
      const early = this.#early;
      this.#reading = true;
      const read = await (early?.read ?? this.#wire.read(room));
      this.#reading = false;
      this.#early = null;
      this.#more = early === null && read === room.length;
      if (this.#wiped) throw new StateError("The connection was closed during a read");
      if (read === null) return false;
      if (early !== null) room[0] = early.byte[0];
      this.#end += read;
      if (this.#end > this.#used) this.#used = this.#end;
    }
    return true;
  }

  /**
   * Resolves when the stream ends, and rejects when reading fails, before more bytes have arrived; never settles if
   * bytes arrive. It reads one byte at most, which the next fill uses. Do not call it during a fill.
   */
  async ended(): Promise<void> {
    if (this.buffered === 0) {
      const byte = new Uint8Array(1);
      const read = this.#wire.read(byte);
      this.#early = { byte, read };
      if (await read === null) return;
    }
    await new Promise(() => {});
  }

  /** Returns the next `size` bytes, which must have arrived, without taking them. */
  peek(size: number): Uint8Array {
    return this.#buffer!.subarray(this.#start, this.#start + size);
  }

  /** Takes the next `size` bytes, which must have arrived. */
  take(size: number): Uint8Array {
    const taken = this.peek(size);
    this.#start += size;
    return taken;
  }

  /** Lets later fills read ahead. */
  readAhead(): void {
    this.#ahead = true;
  }

  /** Releases the buffer until the next fill if all bytes were taken. Do not call it during a fill. */
  rest(): void {
    if (this.buffered > 0 || this.#buffer === null) return;
    if (this.#borrowed) returnBuffer(this.#buffer, this.#used);
    else this.#buffer.fill(0);
    this.#buffer = null;
    this.#borrowed = false;
    this.#start = this.#end = 0;
  }

  /** Discards and overwrites everything; a pending fill rejects. */
  wipe(): void {
    this.#wiped = true;
    // A buffer that an unsettled call may still write to is not reused.
    if (this.#borrowed && !this.#reading) returnBuffer(this.#buffer!, this.#used);
    else this.#buffer?.fill(0);
    this.#aside?.fill(0);
    this.#early?.byte.fill(0);
    this.#buffer = this.#aside = null;
    this.#borrowed = false;
    this.#start = this.#end = 0;
  }

  #makeRoom(size: number): Uint8Array<ArrayBuffer> {
    if (this.#start === this.#end) this.#beginAnew();
    const buffer = this.#buffer!;
    const short = this.#end === buffer.length || this.#start + size > buffer.length;
    if (!short) return buffer;
    if (this.#ahead && !this.#borrowed && this.buffered > 0) return this.#borrow();
    // The buffer grows as bytes arrive, not as the peer announces them.
    if (this.#start === 0) return this.#end === buffer.length ? this.#grow() : buffer;
    buffer.copyWithin(0, this.#start, this.#end);
    this.#end -= this.#start;
    this.#start = 0;
    return buffer;
  }

  /** Called when all bytes were taken: a small buffer is enough until bytes arrive, unless more are waiting. */
  #beginAnew(): void {
    this.#start = this.#end = 0;
    if (this.#ahead && this.#more) {
      if (!this.#borrowed) this.#borrow();
      return;
    }
    if (this.#buffer?.length === OWN_CAPACITY) return;
    if (this.#borrowed) returnBuffer(this.#buffer!, this.#used);
    else this.#buffer?.fill(0);
    this.#borrowed = false;
    this.#buffer = this.#aside ?? new Uint8Array(OWN_CAPACITY);
    this.#aside = null;
  }

  #borrow(): Uint8Array<ArrayBuffer> {
    const old = this.#buffer!;
    this.#move(borrowBuffer());
    this.#borrowed = true;
    if (old.length === OWN_CAPACITY) this.#aside = old;
    else old.fill(0);
    return this.#buffer!;
  }

  #grow(): Uint8Array<ArrayBuffer> {
    const old = this.#buffer!;
    this.#move(new Uint8Array(2 * old.length));
    old.fill(0);
    return this.#buffer!;
  }

  #move(to: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
    to.set(this.#buffer!.subarray(this.#start, this.#end));
    this.#end -= this.#start;
    this.#start = 0;
    this.#used = this.#end;
    return this.#buffer = to;
  }
}

/** The size of two of the longest records. */
const SIZE = 2 * (MAX_RECEIVED_SIZE + DATA_HEADER_SIZE);
/** How many buffers are kept for reuse: 2 MiB. */
const MOST_KEPT = 16;

const spare: Uint8Array<ArrayBuffer>[] = [];

/** Returns a zeroed buffer. The borrower may use it until it returns it, or keep it. */
export function borrowBuffer(): Uint8Array<ArrayBuffer> {
  return spare.pop() ?? new Uint8Array(SIZE);
}

/**
 * Takes a borrowed buffer back. Nothing may use it any more, not even a call of a transport that never settled; a
 * connection that is cut off therefore keeps its buffer.
 *
 * @param used How many bytes from its start may have been written; they are overwritten.
 */
export function returnBuffer(buffer: Uint8Array<ArrayBuffer>, used: number): void {
  buffer.fill(0, 0, used);
  if (spare.length < MOST_KEPT) spare.push(buffer);
}
