/**
 * C structs from tables of fields: sizes and offsets by the Win64 ABI (the same as LP64 Unix for the types here), and
 * typed reading and writing over a `DataView`. Little-endian, as on every supported platform.
 *
 * @module
 */

/**
 * A scalar field; its name contains its width in bits. `ptr` and `usize` are 8 bytes; `guid` is 16 bytes aligned to
 * 4.
 */
export type Scalar = "u8" | "u16" | "u32" | "i32" | "u64" | "i64" | "usize" | "ptr" | "guid";

/** A field: a scalar, a nested struct, `[type, count]`, or `[type, "*"]` for a flexible tail (last field only). */
export type Field = Scalar | Struct | readonly [Scalar | Struct, number | "*"];

/** Field names and types in the order of declaration. */
export type Fields = { readonly [name: string]: Field };

/** A `Fields` table as a type that a struct carries. */
export type Value<F> = F extends "u64" | "i64" | "usize" | "ptr" ? bigint
  : F extends "guid" ? string
  : F extends Scalar ? number
  : F extends Struct<infer G> ? Values<G>
  : F extends readonly [infer E, number | "*"] ? (E extends "u8" ? Uint8Array : Value<E>[])
  : never;

/** The values of a struct, by field name. */
export type Values<F extends Fields> = { [K in keyof F]: Value<F[K]> };

/** A struct's layout and its reader and writer. */
export interface Struct<F extends Fields = Fields> {
  /** The C name. */
  readonly name: string;
  /** The fields it was made from. */
  readonly fields: F;
  /**
   * The size in bytes, with trailing padding, as `sizeof` returns it; a flexible tail counts for its padding only.
   */
  readonly size: number;
  /**
   * The alignment in bytes. */ readonly align: number;
  /** The offset of each field, in bytes. */
  readonly offsets: { readonly [K in keyof F]: number };
  /**
   * Reads every field at `at`; a flexible tail reads to the end of the view.
   * @throws RangeError where the view is too short.
   */
  read(view: DataView, at?: number): Values<F>;
  /**
   * Writes the given fields at `at` and does not change the others.
   * @throws RangeError where the view is too short or a value does not fit its field; nothing is written then.
   */
  write(view: DataView, values: Partial<Values<F>>, at?: number): void;
}

const WIDTHS: { readonly [S in Scalar]: number } = {
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

const NARROW: { readonly [name: string]: readonly [number, number] } = {
  u8: [0, 0xff],
  u16: [0, 0xffff],
  u32: [0, 0xffff_ffff],
  i32: [-0x8000_0000, 0x7fff_ffff],
};

const WIDE: { readonly [name: string]: readonly [bigint, bigint] } = {
  u64: [0n, 0xffff_ffff_ffff_ffffn],
  i64: [-0x8000_0000_0000_0000n, 0x7fff_ffff_ffff_ffffn],
  usize: [0n, 0xffff_ffff_ffff_ffffn],
  ptr: [0n, 0xffff_ffff_ffff_ffffn],
};

const GUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/**
 * Computes the layout of a struct.
 *
 * @param name the C name, for messages.
 * @param fields the fields in the order of declaration.
 * @param options `pack`: the largest alignment, as `#pragma pack` sets it; left out: natural.
 * @throws RangeError where a flexible tail is not the last field or an array's count is not a whole number.
 */
export function struct<const F extends Fields>(
  name: string,
  fields: F,
  options: { readonly pack?: number } = {},
): Struct<F> {
  const pack = options.pack ?? 16;
  const offsets: Record<string, number> = {};
  let end = 0;
  let align = 1;
  const names = Object.keys(fields);
  names.forEach((key, index) => {
    const { size, align: wanted, flexible } = measure(name, key, fields[key]);
    if (flexible && index !== names.length - 1) {
      throw new RangeError(`${name}.${key} is a flexible tail and must be the last field`);
    }
    const step = Math.min(wanted, pack);
    end = roundUp(end, step);
    offsets[key] = end;
    end += size;
    align = Math.max(align, step);
  });
  const size = roundUp(end, align);
  const layout: Struct<F> = {
    name,
    fields,
    size,
    align,
    offsets: Object.freeze(offsets) as Struct<F>["offsets"],
    read(view, at = 0) {
      bounds(name, view, at, size);
      const values: Record<string, unknown> = {};
      for (const key of names) values[key] = readField(view, at + offsets[key], fields[key]);
      return values as Values<F>;
    },
    write(view, values, at = 0) {
      bounds(name, view, at, size);
      const given = Object.keys(values).filter((key) => values[key as keyof F] !== undefined);
      for (const key of given) {
        checkField(`${name}.${key}`, fields[key], values[key as keyof F], view, at + offsets[key]);
      }
      for (const key of given) writeField(view, at + offsets[key], fields[key], values[key as keyof F]);
    },
  };
  return Object.freeze(layout);
}

/** Rounds `value` up to a multiple of `step`. */
function roundUp(value: number, step: number): number {
  return Math.ceil(value / step) * step;
}

interface Measure {
  size: number;
  align: number;
  flexible: boolean;
}

function measure(struct: string, key: string, field: Field | undefined): Measure {
  if (field === undefined) throw new RangeError(`${struct}.${key} has no type`);
  if (typeof field === "string") {
    const size = WIDTHS[field];
    if (size === undefined) {
      throw new RangeError(`${struct}.${key} has the unknown type ${JSON.stringify(field)}`);
    }
    return { size, align: field === "guid" ? 4 : size, flexible: false };
  }
  if ("offsets" in field) return { size: field.size, align: field.align, flexible: isFlexible(field) };
  const [element, count] = field;
  const one = measure(struct, key, element);
  if (one.flexible) {
    throw new RangeError(
      `${struct}.${key} has elements with a flexible tail; only a single struct can have one`,
    );
  }
  if (count === "*") {
    if (one.size === 0) throw new RangeError(`${struct}.${key} has elements of size 0`);
    return { size: 0, align: one.align, flexible: true };
  }
  if (!Number.isSafeInteger(count) || count < 0) {
    throw new RangeError(`${struct}.${key} has the count ${count}, which is not a whole number`);
  }
  return { size: one.size * count, align: one.align, flexible: false };
}

/** Whether a struct has a flexible tail, so that its size is not fixed. */
function isFlexible({ fields }: Struct): boolean {
  const last = Object.values(fields).at(-1);
  if (last === undefined || typeof last === "string") return false;
  return "offsets" in last ? isFlexible(last) : last[1] === "*";
}

function bounds(name: string, view: DataView, at: number, size: number): void {
  if (!Number.isSafeInteger(at) || at < 0 || at + size > view.byteLength) {
    throw new RangeError(`${name} needs ${size} bytes at ${at}; the view has ${view.byteLength}`);
  }
}

function elementSize(element: Scalar | Struct): number {
  return typeof element === "string" ? WIDTHS[element] : element.size;
}

function readField(view: DataView, at: number, field: Field): unknown {
  if (typeof field === "string") return readScalar(view, at, field);
  if ("offsets" in field) return field.read(view, at);
  const [element, declared] = field;
  const size = elementSize(element);
  const count = declared === "*" ? Math.floor((view.byteLength - at) / size) : declared;
  if (element === "u8") return new Uint8Array(view.buffer, view.byteOffset + at, count).slice();
  return Array.from({ length: count }, (_, index) => readField(view, at + index * size, element));
}

function readScalar(view: DataView, at: number, type: Scalar): number | bigint | string {
  switch (type) {
    case "u8":
      return view.getUint8(at);
    case "u16":
      return view.getUint16(at, true);
    case "u32":
      return view.getUint32(at, true);
    case "i32":
      return view.getInt32(at, true);
    case "i64":
      return view.getBigInt64(at, true);
    case "guid":
      return readGuid(view, at);
    default:
      return view.getBigUint64(at, true);
  }
}

function readGuid(view: DataView, at: number): string {
  const hex = (value: number, digits: number) => value.toString(16).padStart(digits, "0");
  const tail = Array.from({ length: 8 }, (_, index) => hex(view.getUint8(at + 8 + index), 2)).join("");
  const head = `${hex(view.getUint32(at, true), 8)}-${hex(view.getUint16(at + 4, true), 4)}`;
  return `${head}-${hex(view.getUint16(at + 6, true), 4)}-${tail.slice(0, 4)}-${tail.slice(4)}`;
}

function checkField(
  path: string,
  field: Field | undefined,
  value: unknown,
  view: DataView,
  at: number,
): void {
  if (field === undefined) throw new RangeError(`Unknown field ${path}; use a field of the struct`);
  if (typeof field === "string") return checkScalar(path, field, value);
  if ("offsets" in field) {
    if (typeof value !== "object" || value === null) {
      throw new RangeError(`${path} must be an object of the fields of ${field.name}`);
    }
    for (const [key, inner] of Object.entries(value as Partial<Values<Fields>>)) {
      if (inner === undefined) continue;
      checkField(`${path}.${key}`, field.fields[key], inner, view, at + field.offsets[key]);
    }
    return;
  }
  const [element, count] = field;
  const list = value as ArrayLike<unknown>;
  const room = count === "*" ? Math.floor((view.byteLength - at) / elementSize(element)) : count;
  if (typeof list?.length !== "number" || list.length > room) {
    throw new RangeError(`${path} has at most ${room} elements, not ${list?.length}`);
  }
  if (element === "u8" && list instanceof Uint8Array) return;
  for (let index = 0; index < list.length; index++) {
    checkField(`${path}[${index}]`, element, list[index], view, at + index * elementSize(element));
  }
}

function checkScalar(path: string, type: Scalar, value: unknown): void {
  if (type === "guid") {
    if (typeof value !== "string" || !GUID.test(value)) {
      throw new RangeError(`${path} must be a GUID such as 00000000-0000-0000-0000-000000000000`);
    }
    return;
  }
  const wide = WIDTHS[type] === 8;
  if (wide ? typeof value !== "bigint" : !Number.isInteger(value)) {
    throw new RangeError(`${path} must be a ${wide ? "bigint" : "whole number"}, not ${String(value)}`);
  }
  const [low, high] = wide ? WIDE[type] : NARROW[type];
  if ((value as number | bigint) < low || (value as number | bigint) > high) {
    throw new RangeError(`${path} must be from ${low} to ${high}, not ${value}`);
  }
}

function writeField(view: DataView, at: number, field: Field, value: unknown): void {
  if (typeof field === "string") return writeScalar(view, at, field, value);
  if ("offsets" in field) return field.write(view, value as Values<Fields>, at);
  const [element] = field;
  const list = value as ArrayLike<unknown>;
  for (let index = 0; index < list.length; index++) {
    writeField(view, at + index * elementSize(element), element, list[index]);
  }
}

function writeScalar(view: DataView, at: number, type: Scalar, value: unknown): void {
  switch (type) {
    case "u8":
      return view.setUint8(at, value as number);
    case "u16":
      return view.setUint16(at, value as number, true);
    case "u32":
      return view.setUint32(at, value as number, true);
    case "i32":
      return view.setInt32(at, value as number, true);
    case "i64":
      return view.setBigInt64(at, value as bigint, true);
    case "guid":
      return writeGuid(view, at, value as string);
    default:
      return view.setBigUint64(at, value as bigint, true);
  }
}

function writeGuid(view: DataView, at: number, guid: string): void {
  const hex = guid.replaceAll("-", "");
  view.setUint32(at, parseInt(hex.slice(0, 8), 16), true);
  view.setUint16(at + 4, parseInt(hex.slice(8, 12), 16), true);
  view.setUint16(at + 6, parseInt(hex.slice(12, 16), 16), true);
  for (let index = 0; index < 8; index++) {
    view.setUint8(at + 8 + index, parseInt(hex.slice(16 + index * 2, 18 + index * 2), 16));
  }
}
