/**
 * Copies structures from addresses that the system returned.
 *
 * @module
 */

import { ProtocolError } from "../../errors.ts";
import type { Memory } from "./memory.ts";
import type { Fields, Struct, Values } from "./struct.ts";

/** Copies the structure at an address. @throws ProtocolError where the address is 0. */
export function structAt<F extends Fields>(memory: Memory, address: bigint, layout: Struct<F>): Values<F> {
  return structsAt(memory, address, layout, 1)[0];
}

/**
 * Copies the structures of an array. The caller has limited `count`, which the system returned.
 *
 * @throws ProtocolError where the address is 0.
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

/** Returns the error for an invalid answer of the system. */
export function malformed(problem: string): ProtocolError {
  return new ProtocolError("malformed", `the system's answer is not as documented: ${problem}`);
}
