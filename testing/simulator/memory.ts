/**
 * Simulated native memory: JavaScript buffers get addresses, and addresses lead back to buffers. Like the real
 * system it does not keep a buffer alive: if an operation uses memory that was released, this reports an access
 * violation.
 *
 * @module
 */

import { wideText } from "../../ffi/memory/text.ts";

/** The distance between two buffers' addresses. No buffer is longer, so an overrun cannot reach another buffer. */
const STRIDE = 32n;
/** Allocations of the system fill whole pages, on which a reader of strings may rely. */
const PAGE = 4096;

/** Addresses of buffers, and memory that the system allocates. */
export class AddressSpace {
  readonly #bases = new WeakMap<ArrayBufferLike, bigint>();
  readonly #buffers = new Map<bigint, WeakRef<ArrayBufferLike>>();
  readonly #own = new Map<bigint, ArrayBufferLike>();
  readonly #collected = new FinalizationRegistry<bigint>((base) => this.#buffers.delete(base));
  #next = 1n;

  /** How many allocations of the system are not freed. */
  get allocated(): number {
    return this.#own.size;
  }

  /** The address of a buffer's first byte. */
  addressOf(bytes: Uint8Array): bigint {
    let base = this.#bases.get(bytes.buffer);
    if (base === undefined) {
      base = this.#next++ << STRIDE;
      this.#bases.set(bytes.buffer, base);
      this.#buffers.set(base, new WeakRef(bytes.buffer));
      this.#collected.register(bytes.buffer, base);
    }
    return base + BigInt(bytes.byteOffset);
  }

  /**
   * The bytes at an address, in place.
   *
   * @throws Error where a real process would end.
   */
  at(address: bigint, length: number): Uint8Array {
    const base = address >> STRIDE << STRIDE;
    const buffer = this.#buffers.get(base)?.deref();
    const offset = Number(address - base);
    if (buffer === undefined || offset + length > buffer.byteLength) {
      throw new Error(`simulator: access violation at 0x${address.toString(16)}, ${length} bytes`);
    }
    return new Uint8Array(buffer, offset, length);
  }

  /** The bytes from an address to the end of its buffer, for zero-terminated text. */
  rest(address: bigint): Uint8Array {
    const base = address >> STRIDE << STRIDE;
    return this.at(address, (this.#buffers.get(base)?.deref()?.byteLength ?? 0) - Number(address - base));
  }

  /** The result of {@linkcode AddressSpace.at} as a DataView. */
  view(address: bigint, length: number): DataView {
    const bytes = this.at(address, length);
    return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  /** Allocates zeroed memory as the system does; the caller of the system frees it. */
  allocate(length: number): { address: bigint; bytes: Uint8Array } {
    const bytes = new Uint8Array(new ArrayBuffer(Math.ceil(length / PAGE) * PAGE), 0, length);
    const address = this.addressOf(bytes);
    this.#own.set(address, bytes.buffer);
    return { address, bytes };
  }

  /**
   * Frees memory of {@linkcode AddressSpace.allocate}.
   *
   * @throws Error if it was not allocated.
   */
  free(address: bigint): void {
    if (!this.#own.delete(address)) throw new Error(`simulator: 0x${address.toString(16)} is not allocated`);
  }
}

/** The text of a zero-terminated UTF-16 buffer. */
export function readWide(bytes: Uint8Array): string {
  const text = wideText(bytes);
  const end = text.indexOf("\u0000");
  return end < 0 ? text : text.slice(0, end);
}
