/**
 * Structures that the system points to, copied out of its memory.
 *
 * @module
 */

import { ProtocolError } from "../../errors.ts";
import type { Memory } from "./memory.ts";
import type { Fields, Struct, Values } from "./struct.ts";

/** The structure at an address. @throws ProtocolError where the system gave none. */
export function structAt<F extends Fields>(memory: Memory, address: bigint, layout: Struct<F>): Values<F> {
  return structsAt(memory, address, layout, 1)[0];
}

/**
 * The structures of an array. How many there are is the system's word: the caller has bounded it.
 *
 * @throws ProtocolError where the system gave none.
 */
export function structsAt<F extends Fields>(
  memory: Memory,
  address: bigint,
  layout: Struct<F>,
  count: number,
): Values<F>[] {
  if (count === 0) return [];
  if (address === 0n) throw malformed(`no ${layout.name} where there should be ${count}`);
  const bytes = memory.read(address, count * layout.size);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return Array.from({ length: count }, (_, index) => layout.read(view, index * layout.size));
}

/** What the system told cannot be. */
export function malformed(problem: string): ProtocolError {
  return new ProtocolError("malformed", `the system's answer is not as documented: ${problem}`);
}
