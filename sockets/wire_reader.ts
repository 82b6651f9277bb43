/**
 * Reads ahead from a wire into one buffer, so that many small records cost few reads and no allocation.
 *
 * @module
 */

import { StateError } from "../errors.ts";
import { borrowBuffer, giveBackBuffer } from "./spare_buffers.ts";
import type { Wire } from "./transport.ts";

/** Enough for a ticket, and for most messages; a peer that has proved nothing yet gets no more than it fills. */
const OWN_CAPACITY = 4096;

/**
 * A buffer before a wire. What it hands out is a view that holds until the next {@linkcode WireReader.fill}.
 *
 * While it waits for the first byte of something it holds a small buffer, however much has passed before, unless
 * the last read gave all that it was asked for.
 */
export class WireReader {
  readonly #wire: Wire;
  #buffer: Uint8Array<ArrayBuffer> | null = null;
  #start = 0;
  #end = 0;
  /** The small buffer, set aside while a borrowed one is in use; `null` where there is none, or it is in use. */
  #aside: Uint8Array<ArrayBuffer> | null = null;
  #borrowed = false;
  /** How far the borrowed buffer has been written to. */
  #used = 0;
  #ahead = false;
  #reading = false;
  /** Whether the last read filled all the room it was given: there is more where that came from. */
  #more = false;
  #wiped = false;
  /** The read that {@linkcode WireReader.ended} began, until a fill has had what came of it. */
  #early: { readonly byte: Uint8Array; readonly read: Promise<number | null> } | null = null;

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
      const room = this.#makeRoom(size).subarray(this.#end);
      const early = this.#early;
      this.#reading = true;
      const read = await (early?.read ?? this.#wire.read(room));
      this.#reading = false;
      this.#early = null;
      this.#more = early === null && read === room.length;
      if (this.#wiped) throw new StateError("The connection was closed while it was read");
      if (read === null) return false;
      if (early !== null) room[0] = early.byte[0];
      this.#end += read;
      if (this.#end > this.#used) this.#used = this.#end;
    }
    return true;
  }

  /**
   * Resolves once the stream has ended, and rejects once reading has failed, before anything more has arrived; settles
   * no more where something has. It reads one byte at the most, which is the next fill's; not while one waits.
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
    this.#ahead = true;
  }

  /** Gives up its memory until more is read, where nothing has arrived that is not taken; not while it is filled. */
  rest(): void {
    if (this.buffered > 0 || this.#buffer === null) return;
    if (this.#borrowed) giveBackBuffer(this.#buffer, this.#used);
    else this.#buffer.fill(0);
    this.#buffer = null;
    this.#borrowed = false;
    this.#start = this.#end = 0;
  }

  /** Forgets and overwrites everything; a fill that waits will reject. */
  wipe(): void {
    this.#wiped = true;
    // What a call that has not settled may write to is given to nobody else.
    if (this.#borrowed && !this.#reading) giveBackBuffer(this.#buffer!, this.#used);
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
    // Room is made as bytes arrive, not as they are announced.
    if (this.#start === 0) return this.#end === buffer.length ? this.#grow() : buffer;
    buffer.copyWithin(0, this.#start, this.#end);
    this.#end -= this.#start;
    this.#start = 0;
    return buffer;
  }

  /** Nothing has arrived that is not taken: a small buffer will do until something has, unless more is there. */
  #beginAnew(): void {
    this.#start = this.#end = 0;
    if (this.#ahead && this.#more) {
      if (!this.#borrowed) this.#borrow();
      return;
    }
    if (this.#buffer?.length === OWN_CAPACITY) return;
    if (this.#borrowed) giveBackBuffer(this.#buffer!, this.#used);
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
