/**
 * The sections of a module: what each may contain, and how the guard rewrites it.
 *
 * The module was validated before, so indices are in range; this checks what is valid but not allowed for a
 * provider.
 *
 * @module
 */

import { type ByteReader, ByteWriter, reject } from "./bytes.ts";
import { type ResolvedLimits, STRUCTURE } from "./limits.ts";
import { readValueType } from "./instructions.ts";
import { Op } from "./opcodes.ts";

/** Section numbers. */
export const Section = {
  custom: 0,
  type: 1,
  import: 2,
  function: 3,
  table: 4,
  memory: 5,
  global: 6,
  export: 7,
  start: 8,
  element: 9,
  code: 10,
  data: 11,
  dataCount: 12,
} as const;

/** The order of sections; the data count comes before the code. */
export const SECTION_ORDER: readonly number[] = [1, 2, 3, 4, 5, 6, 7, 9, 12, 10, 11];

/** The sizes of the memory, in pages. */
export interface MemorySize {
  /** At the start. */
  readonly initialPages: number;
  /** The largest allowed. */
  readonly maximumPages: number;
}

/** Reads the number of a section's entries and checks it against the limit. */
export function readCount(section: ByteReader, what: string, most: number = STRUCTURE.entries): number {
  const at = section.at;
  const count = section.u32();
  if (count > most) {
    reject("structure", at, `it has ${count} ${what}, ${most} are allowed; build a smaller module`);
  }
  return count;
}

/** The entries of a section, to be copied after a new count. */
export interface Entries {
  /** The number of entries. */
  readonly count: number;
  /** Their bytes. */
  readonly bytes: Uint8Array;
}

/** No entries. */
export const NO_ENTRIES: Entries = { count: 0, bytes: new Uint8Array(0) };

/** Checks the table, and returns the section with the table capped. */
export function capTable(section: ByteReader, limits: ResolvedLimits): Uint8Array {
  const at = section.at;
  const count = section.u32();
  if (count > 1) reject("tables", at, `it has ${count} tables; build it with one`);
  const out = new ByteWriter(16).u32(count);
  if (count === 0) return out.written;
  if (section.byte() !== 0x70) reject("gc", at, "its table contains elements other than functions");
  const { initial, maximum } = readRange(section, "table");
  if (initial > limits.tableEntries) {
    reject(
      "table",
      at,
      `its table has ${initial} entries, ${limits.tableEntries} are allowed; set limits.tableEntries`,
    );
  }
  return out.bytes([0x70, 1]).u32(initial).u32(Math.min(maximum, limits.tableEntries)).written;
}

/** Checks the memory, and returns the section with the memory capped. */
export function capMemory(
  section: ByteReader,
  limits: ResolvedLimits,
): { body: Uint8Array; size: MemorySize } {
  const at = section.at;
  const count = section.u32();
  if (count !== 1) reject("multi-memory", at, `it has ${count} memories; build it with one`);
  const { initial, maximum } = readRange(section, "memory");
  if (initial > limits.memoryPages) {
    reject(
      "memory",
      at,
      `it begins with ${initial} pages, ${limits.memoryPages} are allowed; set limits.memoryPages`,
    );
  }
  const size = { initialPages: initial, maximumPages: Math.min(maximum, limits.memoryPages) };
  return { body: new ByteWriter(16).bytes([1, 1]).u32(initial).u32(size.maximumPages).written, size };
}

function readRange(section: ByteReader, what: "table" | "memory"): { initial: number; maximum: number } {
  const at = section.at;
  const flags = section.byte();
  if (flags & 2) reject("threads", at, `its ${what} is shared; build it without threads`);
  if (flags & 4) reject("memory64", at, `its ${what} has 64-bit addresses; build it for wasm32`);
  if (flags > 1) reject("malformed", at, `the flags of its ${what} are unknown`);
  const initial = section.u32();
  return { initial, maximum: flags & 1 ? section.u32() : Infinity };
}

/** Checks the globals. */
export function readGlobals(section: ByteReader | undefined): Entries {
  if (!section) return NO_ENTRIES;
  const entries = { count: readCount(section, "globals"), bytes: section.left };
  for (let left = entries.count; left > 0; left--) {
    readValueType(section);
    section.byte();
    skipConstant(section);
  }
  return entries;
}

/** Checks the element segments: only active ones of functions, with no more entries than the table. */
export function checkElements(section: ByteReader, limits: ResolvedLimits): void {
  let entries = 0;
  for (let count = readCount(section, "element segments"); count > 0; count--) {
    const at = section.at;
    if (section.u32() !== 0) {
      reject(
        "element",
        at,
        "an element segment is passive or contains expressions; build it without reference types",
      );
    }
    skipConstant(section);
    const length = section.u32();
    entries += length;
    if (entries > limits.tableEntries) {
      reject(
        "table",
        at,
        `its element segments have over ${limits.tableEntries} entries; set limits.tableEntries`,
      );
    }
    for (let i = 0; i < length; i++) section.u32();
  }
}

/** Checks the data segments. */
export function checkData(section: ByteReader): void {
  for (let count = readCount(section, "data segments"); count > 0; count--) {
    const at = section.at;
    const flags = section.u32();
    if (flags > 1) reject("multi-memory", at, "a data segment names a memory; build it without multi-memory");
    if (flags === 0) skipConstant(section);
    section.skip(section.u32());
  }
}

/** Skips a constant expression: one constant, then end. */
function skipConstant(section: ByteReader): void {
  const at = section.at;
  switch (section.byte()) {
    case Op.i32Const:
    case Op.i64Const:
      section.skipLeb();
      break;
    case Op.f32Const:
      section.skip(4);
      break;
    case Op.f64Const:
      section.skip(8);
      break;
    default:
      reject(
        "constant",
        at,
        "a constant expression is more than one constant; build it without extended constants",
      );
  }
  if (section.byte() !== Op.end) {
    reject(
      "constant",
      at,
      "a constant expression is more than one constant; build it without extended constants",
    );
  }
}
