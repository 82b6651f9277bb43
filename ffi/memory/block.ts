/**
 * One piece of memory, handed out part by part: many small ones cost more than the calls they are for, and so does
 * asking where each of them stands.
 *
 * @module
 */

import { type Memory, pinned } from "./memory.ts";

/** A part of a block. */
export interface Place {
  /** Its bytes, zeroed; whoever holds them holds the block. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Where they stand. */
  readonly address: bigint;
}

/** What every part begins at a multiple of: as much as any field of Windows' structures asks for. */
const ALIGNMENT = 8;

/** Memory that does not move, and the address of each of its parts. */
export class MemoryBlock {
  readonly #bytes: Uint8Array<ArrayBuffer>;
  readonly #address: bigint;
  #taken = 0;

  /** Room for parts of these sizes, in bytes. */
  constructor(memory: Memory, sizes: readonly number[]) {
    this.#bytes = pinned(sizes.reduce((sum, size) => sum + aligned(size), 0));
    this.#address = memory.addressOf(this.#bytes);
  }

  /** The next part; throws a RangeError where there is no room left for it. */
  take(size: number): Place {
    const at = this.#taken;
    if (at + size > this.#bytes.length) {
      throw new RangeError(`A block of ${this.#bytes.length} bytes has no room for ${size} behind ${at}`);
    }
    this.#taken += aligned(size);
    return { bytes: this.#bytes.subarray(at, at + size), address: this.#address + BigInt(at) };
  }
}

function aligned(size: number): number {
  return Math.ceil(size / ALIGNMENT) * ALIGNMENT;
}
