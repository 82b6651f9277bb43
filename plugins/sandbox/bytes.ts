/**
 * Reads and writes the WebAssembly binary format: bytes, LEB128 integers, names.
 *
 * @module
 */

import { ProviderRejectedError } from "../../errors.ts";

// ignoreBOM keeps a leading U+FEFF: without it two different export names would look the same.
const DECODER = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Refuses the module. `context` says what to change. */
export function reject(rule: string, offset: number, message: string): never {
  const place = offset < 0 ? "" : ` at byte ${offset}`;
  throw new ProviderRejectedError(
    rule,
    offset,
    `The provider's module was refused${place} (${rule}): ${message}`,
  );
}

/** Reads a part of a module from front to back; offsets count from the module's start. */
export class ByteReader {
  /** The whole module. */
  readonly bytes: Uint8Array;
  /** The offset of this part's first byte. */
  readonly start: number;
  /** The offset of the next byte. */
  at: number;
  /** The offset of the end of this part. */
  readonly end: number;

  /** Reads `bytes` from `at` up to `end`. */
  constructor(bytes: Uint8Array, at: number, end: number) {
    this.bytes = bytes;
    this.start = at;
    this.at = at;
    this.end = end;
  }

  /** True if no bytes are left. */
  get done(): boolean {
    return this.at === this.end;
  }

  /** The bytes that are left: a view. */
  get left(): Uint8Array {
    return this.bytes.subarray(this.at, this.end);
  }

  /** All of this part: a view. */
  get whole(): Uint8Array {
    return this.bytes.subarray(this.start, this.end);
  }

  /** Reads one byte. */
  byte(): number {
    if (this.at >= this.end) this.#truncated();
    return this.bytes[this.at++];
  }

  /** Reads an unsigned 32-bit LEB128. */
  u32(): number {
    const start = this.at;
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.byte();
      if (shift === 28 && byte > 15) break;
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    return reject("malformed", start, "an integer is longer than 32 bits; rebuild the module");
  }

  /** Skips a LEB128 of any size. */
  skipLeb(): void {
    while (this.byte() >= 0x80);
  }

  /** Skips `count` bytes. */
  skip(count: number): void {
    if (count > this.end - this.at) this.#truncated();
    this.at += count;
  }

  /** Reads a name. */
  name(): string {
    const length = this.u32();
    const start = this.at;
    this.skip(length);
    try {
      return DECODER.decode(this.bytes.subarray(start, start + length));
    } catch {
      return reject("malformed", start, "a name is not UTF-8; rebuild the module");
    }
  }

  /** A reader of the next `length` bytes, which this reader skips. */
  part(length: number): ByteReader {
    const start = this.at;
    this.skip(length);
    return new ByteReader(this.bytes, start, this.at);
  }

  #truncated(): never {
    reject("malformed", this.at, "the module ends in the middle of a structure; rebuild the module");
  }
}

/** Collects the bytes of the rewritten module. */
export class ByteWriter {
  #buffer: Uint8Array;
  #length = 0;

  /** Starts with room for `capacity` bytes. */
  constructor(capacity = 1024) {
    this.#buffer = new Uint8Array(capacity);
  }

  /** How many bytes were written. */
  get length(): number {
    return this.#length;
  }

  /** The bytes written: a view. */
  get written(): Uint8Array<ArrayBuffer> {
    return this.#buffer.subarray(0, this.#length) as Uint8Array<ArrayBuffer>;
  }

  /** Appends bytes. */
  bytes(value: ArrayLike<number>): this {
    const end = this.#length + value.length;
    if (end > this.#buffer.length) {
      const larger = new Uint8Array(Math.max(end, this.#buffer.length * 2));
      larger.set(this.written);
      this.#buffer = larger;
    }
    this.#buffer.set(value, this.#length);
    this.#length = end;
    return this;
  }

  /** Appends an unsigned LEB128. */
  u32(value: number): this {
    return this.bytes(unsigned(value));
  }

  /** Appends bytes, preceded by their length. */
  sized(value: ArrayLike<number>): this {
    return this.u32(value.length).bytes(value);
  }

  /** Discards what was written and keeps the memory. */
  reset(): void {
    this.#length = 0;
  }
}

/** `value` as unsigned LEB128. */
export function unsigned(value: number): number[] {
  const out: number[] = [];
  while (value >= 0x80) {
    out.push((value % 0x80) | 0x80);
    value = Math.floor(value / 0x80);
  }
  out.push(value);
  return out;
}

/** A 32-bit integer as signed LEB128. */
export function signed(value: number): number[] {
  const out: number[] = [];
  for (;;) {
    const low = value & 0x7f;
    value >>= 7;
    if ((value === 0 && low < 0x40) || (value === -1 && low >= 0x40)) return [...out, low];
    out.push(low | 0x80);
  }
}
