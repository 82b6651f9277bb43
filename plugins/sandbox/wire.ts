/**
 * The primitive types of the provider ABI: writes requests, reads responses.
 *
 * @module
 */

import { ProviderTrapError } from "../../errors.ts";

const ENCODER = new TextEncoder();
const DECODER = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** The error for an answer of the guest that the ABI does not allow. The caller drops the instance. */
export function breach(what: string): ProviderTrapError {
  return new ProviderTrapError(
    `The provider broke its ABI: ${what}. Its instance was dropped; fix the provider`,
  );
}

/** Replaces control and bidirectional characters with `?`, so that a guest cannot forge lines of a log. */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, "?");
}

/** Whether `text` can be encoded as UTF-8 without loss. A lone surrogate would silently become another character. */
export function isEncodable(text: string): boolean {
  return text.isWellFormed();
}

/**
 * Refuses text that would reach the guest as another text. The text may be secret and is not in the error.
 *
 * @throws TypeError that names the argument.
 */
export function refuseLoneSurrogates(name: string, text: string): void {
  if (!isEncodable(text)) {
    throw new TypeError(
      `${name} holds half of a surrogate pair, which no keyboard types; check where it is from`,
    );
  }
}

const QUOTED_CHARACTERS = 64;

/** An untrusted name for a message: in quotes, without invisible characters, and shortened. */
export function quoted(name: string): string {
  const short = name.length > QUOTED_CHARACTERS ? `${name.slice(0, QUOTED_CHARACTERS)}…` : name;
  return JSON.stringify(printable(short));
}

/** Builds one request. It may contain secrets: the owner calls {@linkcode Writer.wipe} after use. */
export class Writer {
  #buffer = new Uint8Array(256);
  #length = 0;

  /** Appends one byte. */
  u8(value: number): this {
    this.#reserve(1)[0] = value;
    return this;
  }

  /** Appends a 32-bit integer. */
  u32(value: number): this {
    view(this.#reserve(4)).setUint32(0, value, true);
    return this;
  }

  /** Appends a signed 64-bit integer; `value` is a safe integer. */
  i64(value: number): this {
    view(this.#reserve(8)).setBigInt64(0, BigInt(value), true);
    return this;
  }

  /** Appends 0 or 1. */
  flag(value: boolean): this {
    return this.u8(value ? 1 : 0);
  }

  /** Appends `value` with its length. */
  bytes(value: Uint8Array): this {
    this.u32(value.length);
    return this.rest(value);
  }

  /** Appends `value` as UTF-8 with its length. */
  text(value: string): this {
    return this.bytes(ENCODER.encode(value));
  }

  /** Appends `value` without its length. */
  rest(value: Uint8Array): this {
    this.#reserve(value.length).set(value);
    return this;
  }

  /** Appends a flag, and the value if there is one. */
  optionalBytes(value: Uint8Array | null | undefined): this {
    return value ? this.flag(true).bytes(value) : this.flag(false);
  }

  /** Appends a flag, and the value if there is one. */
  optionalText(value: string | undefined): this {
    return value === undefined ? this.flag(false) : this.flag(true).text(value);
  }

  /** The bytes written: a view, valid until the next write or wipe. */
  get written(): Uint8Array {
    return this.#buffer.subarray(0, this.#length);
  }

  /** Overwrites everything and starts again. */
  wipe(): void {
    this.#buffer.fill(0);
    this.#length = 0;
  }

  #reserve(count: number): Uint8Array {
    const start = this.#length, end = start + count;
    if (end > this.#buffer.length) {
      const larger = new Uint8Array(Math.max(end, this.#buffer.length * 2));
      larger.set(this.#buffer);
      this.#buffer.fill(0);
      this.#buffer = larger;
    }
    this.#length = end;
    return this.#buffer.subarray(start, end);
  }
}

/** Reads one response. Every length is checked against the available bytes; all errors are breaches of the ABI. */
export class Reader {
  readonly #bytes: Uint8Array;
  readonly #operation: string;
  #at = 0;

  /** Reads `bytes`, the answer to `operation`. */
  constructor(bytes: Uint8Array, operation: string) {
    this.#bytes = bytes;
    this.#operation = operation;
  }

  /** Refuses the message; the error contains the position. */
  refuse(problem: string): never {
    throw breach(`the answer to ${this.#operation}, byte ${this.#at}: ${problem}`);
  }

  /** Reads one byte. */
  u8(): number {
    return this.#bytes[this.#take(1)];
  }

  /** Reads a 32-bit integer. */
  u32(): number {
    // Not with a DataView: making one takes longer than everything else here, and every answer starts with a u32.
    const at = this.#take(4), bytes = this.#bytes;
    return (bytes[at] | bytes[at + 1] << 8 | bytes[at + 2] << 16 | bytes[at + 3] << 24) >>> 0;
  }

  /** Reads an unsigned 64-bit integer. */
  u64(): bigint {
    const low = this.u32();
    return BigInt(this.u32()) << 32n | BigInt(low);
  }

  /** Reads 0 or 1. */
  flag(): boolean {
    const value = this.u8();
    if (value > 1) this.refuse(`a flag is ${value}, not 0 or 1`);
    return value === 1;
  }

  /** Reads an index below `count`. */
  index(value: number, count: number, name: string): number {
    if (value >= count) this.refuse(`${name} ${value} is not known`);
    return value;
  }

  /** Reads a length and that many bytes (at most `limit`): a view. */
  bytes(limit = Infinity): Uint8Array {
    const length = this.u32();
    if (length > limit) this.refuse(`${length} bytes where ${limit} are allowed`);
    const start = this.#take(length);
    return this.#bytes.subarray(start, start + length);
  }

  /** Reads UTF-8 of at most `limit` bytes. */
  text(limit: number): string {
    return this.#decode(this.bytes(limit));
  }

  /** Reads all remaining bytes as UTF-8 of at most `limit` bytes. */
  restText(limit: number): string {
    return this.#decode(this.rest(limit));
  }

  /** Reads all remaining bytes (at most `limit`): a view. */
  rest(limit = Infinity): Uint8Array {
    const length = this.#bytes.length - this.#at;
    if (length > limit) this.refuse(`${length} bytes where ${limit} are allowed`);
    const start = this.#take(length);
    return this.#bytes.subarray(start, start + length);
  }

  /** Refuses remaining bytes. */
  end(): void {
    const left = this.#bytes.length - this.#at;
    if (left > 0) this.refuse(`${left} bytes follow the last field`);
  }

  #decode(bytes: Uint8Array): string {
    try {
      return DECODER.decode(bytes);
    } catch {
      return this.refuse("text is not UTF-8");
    }
  }

  #take(count: number): number {
    const start = this.#at;
    if (count > this.#bytes.length - start) {
      this.refuse(`${count} bytes announced, ${this.#bytes.length - start} left`);
    }
    this.#at = start + count;
    return start;
  }
}

function view(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
