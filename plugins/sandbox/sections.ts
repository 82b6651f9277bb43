/**
 * The sections of a module: what each may hold, and how the guard rewrites it.
 *
 * The module was validated before, so indices are in range; what is checked here is what validation allows and a
 * provider may not have.
 *
 * @module
 */

import { type ByteReader, ByteWriter, reject } from "./bytes.ts";
import type { FunctionType } from "./compile_work.ts";
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

/** The order sections stand in; the data count stands before the code. */
export const SECTION_ORDER: readonly number[] = [1, 2, 3, 4, 5, 6, 7, 9, 12, 10, 11];

const KINDS = ["function", "table", "memory", "global"] as const;

/** A function's type as text, for instance `i32,i32->i64`. */
export type Signature = string;

/** One export. */
export interface Export {
  /** Its name. */
  readonly name: string;
  /** What it is. */
  readonly kind: typeof KINDS[number];
  /** Its index among its kind. */
  readonly index: number;
  /** Where it stands. */
  readonly offset: number;
}

/** The sizes of the memory, in pages. */
export interface MemorySize {
  /** At the start. */
  readonly initialPages: number;
  /** At most. */
  readonly maximumPages: number;
}

/** Reads the count of a section's entries and holds it against the bound. */
export function readCount(section: ByteReader, what: string, most: number = STRUCTURE.entries): number {
  const at = section.at;
  const count = section.u32();
  if (count > most) {
    reject("structure", at, `it has ${count} ${what}, ${most} are allowed; build a smaller module`);
  }
  return count;
}

/** Entries of a section as they came, to be copied behind a new count. */
export interface Entries {
  /** How many. */
  readonly count: number;
  /** Their bytes. */
  readonly bytes: Uint8Array;
}

const NO_ENTRIES: Entries = { count: 0, bytes: new Uint8Array(0) };

/** Reads all types; only types of functions are allowed. */
export function readTypes(section: ByteReader | undefined): { types: FunctionType[]; entries: Entries } {
  const types: FunctionType[] = [];
  if (!section) return { types, entries: NO_ENTRIES };
  const entries = { count: readCount(section, "types"), bytes: section.left };
  for (let left = entries.count; left > 0; left--) {
    const at = section.at;
    if (section.byte() !== 0x60) {
      reject("gc", at, "it declares a type that is no function; build it without GC");
    }
    const parameters = readValueTypes(section, "parameters", STRUCTURE.parameters);
    const results = readValueTypes(section, "results", STRUCTURE.results);
    types.push({
      signature: `${parameters}->${results}`,
      parameters: parameters.length,
      results: results.length,
    });
  }
  return { types, entries };
}

function readValueTypes(section: ByteReader, what: string, most: number): string[] {
  const types: string[] = [];
  for (let count = readCount(section, what, most); count > 0; count--) types.push(readValueType(section));
  return types;
}

/** An imported function. */
export interface Import {
  /** Its name. */
  readonly name: string;
  /** Its type. */
  readonly type: FunctionType;
}

/** Reads the imports, all of which must be functions of `module` in `granted`. */
export function readImports(
  section: ByteReader | undefined,
  types: readonly FunctionType[],
  module: string,
  granted: ReadonlyMap<string, Signature>,
): Import[] {
  const imports: Import[] = [];
  if (!section) return imports;
  for (let count = readCount(section, "imports"); count > 0; count--) {
    const at = section.at;
    const from = section.name(), name = section.name(), kind = section.byte();
    const label = JSON.stringify(`${from}.${name}`);
    if (kind !== 0) {
      reject("import-kind", at, `it imports ${label}, which is no function; let it define its own`);
    }
    const type = types[section.u32()];
    const expected = from === module ? granted.get(name) : undefined;
    if (expected === undefined) {
      const all = [...granted.keys()].map((one) => `${module}.${one}`).join(", ") || "none";
      reject(
        "import",
        at,
        `it imports ${label}, which was not granted (granted: ${all}); grant it or build without`,
      );
    }
    if (type.signature !== expected) {
      reject("import-type", at, `it imports ${label} as ${type.signature}, the host has ${expected}`);
    }
    imports.push({ name, type });
  }
  return imports;
}

/** Reads which type each function has, as an index. */
export function readFunctions(section: ByteReader | undefined): number[] {
  const functions: number[] = [];
  if (!section) return functions;
  for (let count = readCount(section, "functions", STRUCTURE.functions); count > 0; count--) {
    functions.push(section.u32());
  }
  return functions;
}

/** Checks the table, and returns the section with the table capped. */
export function capTable(section: ByteReader, limits: ResolvedLimits): Uint8Array {
  const at = section.at;
  const count = section.u32();
  if (count > 1) reject("tables", at, `it has ${count} tables; build it with one`);
  const out = new ByteWriter(16).u32(count);
  if (count === 0) return out.written;
  if (section.byte() !== 0x70) reject("gc", at, "its table holds something other than functions");
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
  if (flags > 1) reject("malformed", at, `the flags of its ${what} are not known`);
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

/** Reads the exports. */
export function readExports(section: ByteReader): { exports: Export[]; entries: Entries } {
  const entries = { count: readCount(section, "exports"), bytes: section.left };
  const exports: Export[] = [];
  for (let left = entries.count; left > 0; left--) {
    const offset = section.at;
    const name = section.name(), kind = KINDS[section.byte()];
    if (kind === undefined) {
      reject("export", offset, `its export ${JSON.stringify(name)} is of a kind not known`);
    }
    exports.push({ name, kind, index: section.u32(), offset });
  }
  return { exports, entries };
}

/** Checks the element segments: active ones of functions only, no more entries than the table has. */
export function checkElements(section: ByteReader, limits: ResolvedLimits): void {
  let entries = 0;
  for (let count = readCount(section, "element segments"); count > 0; count--) {
    const at = section.at;
    if (section.u32() !== 0) {
      reject(
        "element",
        at,
        "an element segment is passive or holds expressions; build it without reference types",
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

/** Passes over a constant expression: one constant, then end. */
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
