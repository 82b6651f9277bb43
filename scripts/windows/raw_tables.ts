/**
 * What `ffi/raw` says of Windows, collected from the modules themselves, so that a new struct or constant is
 * checked without anyone remembering to list it.
 *
 * @module
 */

import type { Field, Struct } from "../../ffi/struct.ts";
import { C_EXPRESSIONS, NOT_WINDOWS } from "./c_names.ts";

/** A struct as the library lays it out. */
export interface Layout {
  /** Bytes. */
  readonly size: number;
  /** Each field's place and width in bytes; a flexible tail's width is 0. */
  readonly fields: { readonly [name: string]: { readonly offset: number; readonly size: number } };
}

/** Everything `ffi/raw` says of Windows, by C name. Values are decimal strings: JSON's numbers end at 2^53. */
export interface RawTables {
  /** Layouts by the struct's C name. */
  readonly structs: { readonly [name: string]: Layout };
  /** Values by C expression, usually a constant's name. */
  readonly constants: { readonly [expression: string]: string };
}

const FOLDER = new URL("../../ffi/raw/", import.meta.url);
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
      if (isStruct(value)) structs[value.name] = layout(value);
      else collectConstants(`${name}:${key}`, key, value, constants);
    }
  }
  return { structs, constants };
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

function collectConstants(where: string, key: string, value: unknown, into: Record<string, string>): void {
  if (typeof value === "number" || typeof value === "bigint") {
    into[C_EXPRESSIONS[key] ?? key] = String(value);
    return;
  }
  if (typeof value !== "object" || value === null) return;
  for (const [name, inner] of Object.entries(value)) {
    if (typeof inner === "number" || typeof inner === "bigint") {
      into[expression(key, name)] = String(inner);
    } else if (/^\d+$/.test(name) && typeof inner?.name === "string") {
      // A table of codes: the value is the key, its C name stands inside.
      into[inner.name] = name;
    } else if (typeof inner === "string" && isGuid(inner)) {
      throw new TypeError(`${where}.${name} is a GUID, which the layout oracle does not compare yet`);
    }
  }
}

function isGuid(text: string): boolean {
  return /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text);
}
