/**
 * Structures that point to each other, in memory that stays until the last of them is no longer needed.
 *
 * @module
 */

import { type Memory, pinned, wideString } from "./memory.ts";
import type { Fields, Struct, Values } from "./struct.ts";

/** Holds what it hands out addresses of. Keep it reachable while the addresses are used. */
export class Arena {
  readonly #memory: Memory;
  readonly #held: Uint8Array[] = [];

  constructor(memory: Memory) {
    this.#memory = memory;
  }

  /** A structure in memory of its own. */
  put<F extends Fields>(layout: Struct<F>, values: Partial<Values<F>>): Uint8Array<ArrayBuffer> {
    return this.#array(layout, [values]);
  }

  /** The address of a structure. */
  address<F extends Fields>(layout: Struct<F>, values: Partial<Values<F>>): bigint {
    return this.#memory.addressOf(this.put(layout, values));
  }

  /** The address of an array of structures; 0 for none. */
  array<F extends Fields>(layout: Struct<F>, values: readonly Partial<Values<F>>[]): bigint {
    return values.length === 0 ? 0n : this.#memory.addressOf(this.#array(layout, values));
  }

  /** The address of zero-terminated text. */
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
