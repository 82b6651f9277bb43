/**
 * What a module declares: types, imports, functions, exports.
 *
 * @module
 */

import { type ByteReader, reject } from "./bytes.ts";
import type { FunctionType } from "./compile_work.ts";
import { readValueType } from "./instructions.ts";
import { STRUCTURE } from "./limits.ts";
import { type Entries, NO_ENTRIES, readCount } from "./sections.ts";
import { quoted } from "./wire.ts";

const KINDS = ["function", "table", "memory", "global"] as const;

/** A function's type as text, for instance `i32,i32->i64`. */
export type Signature = string;

/** One export. */
export interface Export {
  /** Its name. */
  readonly name: string;
  /** What it is. */
  readonly kind: typeof KINDS[number];
  /** Its index among exports of its kind. */
  readonly index: number;
  /** Its offset in the module. */
  readonly offset: number;
}

/** Reads all types; only function types are allowed. */
export function readTypes(section: ByteReader | undefined): { types: FunctionType[]; entries: Entries } {
  const types: FunctionType[] = [];
  if (!section) return { types, entries: NO_ENTRIES };
  const entries = { count: readCount(section, "types"), bytes: section.left };
  for (let left = entries.count; left > 0; left--) {
    const at = section.at;
    if (section.byte() !== 0x60) {
      reject("gc", at, "it declares a type that is not a function type; build it without GC");
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

/** Reads the imports; all must be functions of `module` in `granted`. */
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
    const label = quoted(`${from}.${name}`);
    if (kind !== 0) {
      reject("import-kind", at, `it imports ${label}, which is not a function; let it define its own`);
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
      reject("import-type", at, `it imports ${label} as ${type.signature}, but the host has ${expected}`);
    }
    imports.push({ name, type });
  }
  return imports;
}

/** Reads the index of each function's type. */
export function readFunctions(section: ByteReader | undefined): number[] {
  const functions: number[] = [];
  if (!section) return functions;
  for (let count = readCount(section, "functions", STRUCTURE.functions); count > 0; count--) {
    functions.push(section.u32());
  }
  return functions;
}

/** Reads the exports. */
export function readExports(section: ByteReader): { exports: Export[]; entries: Entries } {
  const entries = { count: readCount(section, "exports"), bytes: section.left };
  const exports: Export[] = [];
  for (let left = entries.count; left > 0; left--) {
    const offset = section.at;
    const name = section.name(), kind = KINDS[section.byte()];
    if (kind === undefined) {
      reject("export", offset, `its export ${quoted(name)} is of an unknown kind`);
    }
    exports.push({ name, kind, index: section.u32(), offset });
  }
  return { exports, entries };
}
