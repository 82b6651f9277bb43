/**
 * Allocates structures that point to each other, in memory that stays while the arena is reachable.
 *
 * @module
 */

import { type Memory, pinned, wideString } from "./memory.ts";
import type { Fields, Struct, Values } from "./struct.ts";

/** Keeps memory whose addresses it returns. Keep the arena reachable while the addresses are used. */
export class Arena {
  readonly #memory: Memory;
  readonly #held: Uint8Array[] = [];

  constructor(memory: Memory) {
    this.#memory = memory;
  }

  /** Writes a structure to new memory and returns the memory. */
  put<F extends Fields>(layout: Struct<F>, values: Partial<Values<F>>): Uint8Array<ArrayBuffer> {
    return this.#array(layout, [values]);
  }

  /** Writes a structure and returns its address. */
  address<F extends Fields>(layout: Struct<F>, values: Partial<Values<F>>): bigint {
    return this.#memory.addressOf(this.put(layout, values));
  }

  /** Writes an array of structures and returns its address; 0 for an empty array. */
  array<F extends Fields>(layout: Struct<F>, values: readonly Partial<Values<F>>[]): bigint {
    return values.length === 0 ? 0n : this.#memory.addressOf(this.#array(layout, values));
  }

  /** Writes zero-terminated UTF-16 text and returns its address. */
  wide(text: string): bigint {
    const bytes = wideString(text);
    this.#held.push(bytes);
    return this.#memory.addressOf(bytes);
  }

  #array<F extends Fields>(
    layout: Struct<F>,
    values: readonly Partial<Values<F>>[],
  ): Uint8Array<ArrayBuffer> {
    const bytes = pinned(layout.size * values.length);
    this.#held.push(bytes);
    values.forEach((each, index) => layout.write(new DataView(bytes.buffer), each, index * layout.size));
    return bytes;
  }
}
