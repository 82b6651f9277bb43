/**
 * Reads ahead from a wire into one buffer, so that many small records cost few reads and no allocation.
 *
 * @module
 */

import { StateError } from "../errors.ts";
import { DATA_HEADER_SIZE, MAX_RECEIVED_SIZE } from "./framing.ts";
import type { Wire } from "./transport.ts";

/** Enough for a ticket; a peer that has proved nothing yet gets no more than it fills. */
const FIRST_CAPACITY = 4096;
/** Two of the longest records. */
const FULL_CAPACITY = 2 * (MAX_RECEIVED_SIZE + DATA_HEADER_SIZE);

/** A buffer before a wire. What it hands out is a view that holds until the next {@linkcode WireReader.fill}. */
export class WireReader {
  readonly #wire: Wire;
  #buffer: Uint8Array | null = null;
  #start = 0;
  #end = 0;
  #wiped = false;

  /** Nothing is allocated before the first fill. */
  constructor(wire: Wire) {
    this.#wire = wire;
  }

  /** How many bytes have arrived and are not taken yet. */
  get buffered(): number {
    return this.#end - this.#start;
  }

  /** Waits until `size` bytes have arrived; false where the stream ended before. */
  async fill(size: number): Promise<boolean> {
    while (this.buffered < size) {
      const buffer = this.#makeRoom(size);
      const read = await this.#wire.read(buffer.subarray(this.#end));
      if (this.#wiped) throw new StateError("The connection was closed while it was read");
      if (read === null) return false;
      this.#end += read;
    }
    return true;
  }

  /** The next `size` bytes, which must have arrived, without taking them. */
  peek(size: number): Uint8Array {
    return this.#buffer!.subarray(this.#start, this.#start + size);
  }

  /** Takes the next `size` bytes, which must have arrived. */
  take(size: number): Uint8Array {
    const taken = this.peek(size);
    this.#start += size;
    return taken;
  }

  /** From here on reads as far ahead as pays off. */
  readAhead(): void {
    this.#move(FULL_CAPACITY);
  }

  /** Forgets and overwrites everything; a fill that waits will reject. */
  wipe(): void {
    this.#wiped = true;
    this.#buffer?.fill(0);
    this.#buffer = null;
    this.#start = this.#end = 0;
  }

  #makeRoom(size: number): Uint8Array {
    if (this.#start === this.#end) this.#start = this.#end = 0;
    const buffer = this.#buffer;
    // Grown as bytes arrive, not as they are announced.
    if (!buffer) return this.#move(FIRST_CAPACITY);
    if (this.#start === 0 && this.#end === buffer.length) return this.#move(2 * buffer.length);
    if (this.#start > 0 && this.#start + size > buffer.length) {
      buffer.copyWithin(0, this.#start, this.#end);
      this.#end -= this.#start;
      this.#start = 0;
    }
    return buffer;
  }

  #move(capacity: number): Uint8Array {
    const buffer = new Uint8Array(capacity);
    if (this.#buffer) {
      buffer.set(this.#buffer.subarray(this.#start, this.#end));
      this.#buffer.fill(0);
    }
    this.#end -= this.#start;
    this.#start = 0;
    this.#buffer = buffer;
    return buffer;
  }
}
