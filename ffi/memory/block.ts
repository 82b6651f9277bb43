/**
 * One block of memory that is used part by part: allocating many small buffers, and reading the address of each,
 * costs more than the calls that use them.
 *
 * @module
 */

import { type Memory, pinned } from "./memory.ts";

/** A part of a block. */
export interface Part {
  /** Its bytes, zeroed. They keep the whole block reachable. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Their address. */
  readonly address: bigint;
}

/** The alignment of every part: the largest that a field of Windows' structures needs. */
const ALIGNMENT = 8;

/** Memory that does not move, and the addresses of its parts. */
export class MemoryBlock {
  readonly #bytes: Uint8Array<ArrayBuffer>;
  readonly #address: bigint;
  #taken = 0;

  /** Allocates memory for parts of these sizes, in bytes. */
  constructor(memory: Memory, sizes: readonly number[]) {
    this.#bytes = pinned(sizes.reduce((sum, size) => sum + aligned(size), 0));
    this.#address = memory.addressOf(this.#bytes);
  }

  /** Returns the next part. @throws RangeError where not enough memory is left. */
  take(size: number): Part {
    const at = this.#taken;
    if (at + size > this.#bytes.length) {
      throw new RangeError(
        `A block of ${this.#bytes.length} bytes has no space for ${size} bytes at offset ${at}`,
      );
    }
    this.#taken += aligned(size);
    return { bytes: this.#bytes.subarray(at, at + size), address: this.#address + BigInt(at) };
  }
}

function aligned(size: number): number {
  return Math.ceil(size / ALIGNMENT) * ALIGNMENT;
}
