/**
 * The values of `ffi/raw` for Windows, collected from the modules themselves, so that a new struct or constant is
 * checked without anyone remembering to list it.
 *
 * @module
 */

import type { Field, Struct } from "../../../ffi/memory/struct.ts";
import { C_EXPRESSIONS, NOT_WINDOWS, WITHOUT_CONSTANTS } from "./c_names.ts";

/** A struct as the library lays it out. */
export interface Layout {
  /** Bytes. */
  readonly size: number;
  /** Each field's offset and width in bytes; a flexible tail's width is 0. */
  readonly fields: { readonly [name: string]: { readonly offset: number; readonly size: number } };
}

/** All values of `ffi/raw` for Windows, by C name: decimal strings, because JSON's numbers end at 2^53, or GUIDs. */
export interface RawTables {
  /** Layouts by the struct's C name. */
  readonly structs: { readonly [name: string]: Layout };
  /** Values by C expression, usually a constant's name. */
  readonly constants: { readonly [expression: string]: string };
}

const FOLDER = new URL("../../../ffi/raw/", import.meta.url);
const WIDTHS: { readonly [scalar: string]: number } = {
  u8: 1,
  u16: 2,
  u32: 4,
  i32: 4,
  u64: 8,
  i64: 8,
  usize: 8,
  ptr: 8,
  guid: 16,
};

/** Reads every module of `ffi/raw` that is about Windows. */
export async function rawTables(): Promise<RawTables> {
  const structs: Record<string, Layout> = {};
  const constants: Record<string, string> = {};
  for await (const { name } of Deno.readDir(FOLDER)) {
    if (!name.endsWith(".ts") || NOT_WINDOWS.includes(name)) continue;
    for (const [key, value] of Object.entries(await import(new URL(name, FOLDER).href))) {
      if (isStruct(value)) addStruct(name, value, structs);
      else collectConstants(`${name}:${key}`, key, value, constants);
    }
  }
  return { structs, constants };
}

/** Adds a struct; two of one C name that differ are an error, for only one of them would be compared. */
export function addStruct(where: string, value: Struct, into: Record<string, Layout>): void {
  const found = layout(value);
  const known = into[value.name] ?? found;
  if (JSON.stringify(known) !== JSON.stringify(found)) {
    throw new TypeError(`${where}: ${value.name} is laid out in another way elsewhere in ffi/raw`);
  }
  into[value.name] = found;
}

/** Whether an export of a table is a struct. */
export function isStruct(value: unknown): value is Struct {
  return typeof value === "object" && value !== null && "offsets" in value && "fields" in value;
}

/** A struct as a compiler would describe it. */
export function layout(struct: Struct): Layout {
  const fields = Object.entries(struct.fields).map(([name, field]) => {
    return [name, { offset: (struct.offsets as Record<string, number>)[name], size: width(field) }] as const;
  });
  return { size: struct.size, fields: Object.fromEntries(fields) };
}

function width(field: Field): number {
  if (typeof field === "string") return WIDTHS[field];
  if ("offsets" in field) return field.size;
  const [element, count] = field;
  return count === "*" ? 0 : width(element) * count;
}

/** The C expression of a constant: named in `c_names.ts`, else its group and its own name joined. */
function expression(group: string, key: string): string {
  return C_EXPRESSIONS[`${group}.${key}`] ?? `${group}_${key}`;
}

/**
 * Takes the constants out of one export; what the oracle cannot compare is an error, so that nothing is left unchecked.
 *
 * @param where the export, for messages.
 * @param key its name.
 */
export function collectConstants(
  where: string,
  key: string,
  value: unknown,
  into: Record<string, string>,
): void {
  if (isScalar(value)) return add(into, where, C_EXPRESSIONS[key] ?? key, value);
  if (WITHOUT_CONSTANTS.includes(key) || /_FIELDS$/.test(key) || isLibrary(value)) return;
  if (typeof value !== "object" || value === null) throw uncompared(where);
  for (const [name, inner] of Object.entries(value)) {
    // A table of codes: the value is the key, its C name stands inside.
    if (/^\d+$/.test(name) && typeof inner?.name === "string") add(into, where, inner.name, name);
    else if (isScalar(inner)) add(into, `${where}.${name}`, expression(key, name), inner);
    else throw uncompared(`${where}.${name}`);
  }
}

function uncompared(where: string): TypeError {
  return new TypeError(
    `${where} is nothing that the layout oracle compares; extend the oracle, or list it in c_names.ts`,
  );
}

function add(
  into: Record<string, string>,
  where: string,
  name: string,
  value: string | number | bigint,
): void {
  const text = String(value);
  if ((into[name] ?? text) !== text) throw new TypeError(`${where}: ${name} is ${text} and ${into[name]}`);
  into[name] = text;
}

function isScalar(value: unknown): value is string | number | bigint {
  return typeof value === "number" || typeof value === "bigint" || isGuid(value);
}

function isLibrary(value: unknown): boolean {
  return typeof value === "object" && value !== null && "fns" in value;
}

/** Whether a constant is a GUID, as text; the others are whole numbers. */
export function isGuid(value: unknown): value is string {
  return typeof value === "string" && /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(value);
}
