import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { test } from "@test";
import fc from "fast-check";
import {
  type Field,
  type Fields,
  type Scalar,
  type Struct,
  struct,
  type Values,
} from "../../../ffi/memory/struct.ts";

const unsigned = (bits: number): fc.Arbitrary<bigint> =>
  fc.bigInt({ min: 0n, max: (1n << BigInt(bits)) - 1n });
const guid = fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) => {
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
});
const VALUES: { readonly [S in Scalar]: fc.Arbitrary<unknown> } = {
  u8: fc.integer({ min: 0, max: 0xff }),
  u16: fc.integer({ min: 0, max: 0xffff }),
  u32: fc.integer({ min: 0, max: 0xffff_ffff }),
  i32: fc.integer({ min: -0x8000_0000, max: 0x7fff_ffff }),
  u64: unsigned(64),
  i64: fc.bigInt({ min: -(1n << 63n), max: (1n << 63n) - 1n }),
  usize: unsigned(64),
  ptr: unsigned(64),
  guid,
};
const SCALARS = Object.keys(VALUES) as Scalar[];

/** A field with a value for it. */
interface Sample {
  field: Field;
  value: unknown;
}

const scalar: fc.Arbitrary<Sample> = fc.constantFrom(...SCALARS).chain((field) =>
  VALUES[field].map((value) => ({ field, value }))
);
const scalarArray: fc.Arbitrary<Sample> = fc.constantFrom(...SCALARS).chain((element) =>
  fc.array(VALUES[element], { maxLength: 4 }).map((list) => ({
    field: [element, list.length] as const,
    value: element === "u8" ? Uint8Array.from(list as number[]) : list,
  }))
);

/** A struct with a value of it, whose fields may be structs and arrays of structs. */
function whole(depth: number): fc.Arbitrary<{ layout: Struct; value: Values<Fields> }> {
  const nested: fc.Arbitrary<Sample> = depth === 0
    ? scalar
    : whole(depth - 1).chain(({ layout, value }) =>
      fc.constantFrom<Sample>(
        { field: layout, value },
        { field: [layout, 2], value: [value, value] },
      )
    );
  const fields = fc.array(fc.oneof(scalar, scalarArray, nested), { minLength: 1, maxLength: 5 });
  return fc.tuple(fields, fc.constantFrom(undefined, 1, 2, 4, 8)).map(([samples, pack]) => {
    const table: Record<string, Field> = {};
    const value: Record<string, unknown> = {};
    samples.forEach((sample, index) => {
      table[`f${index}`] = sample.field;
      value[`f${index}`] = sample.value;
    });
    const layout = struct("S", table as Fields, pack === undefined ? {} : { pack });
    return { layout, value: value as Values<Fields> };
  });
}

const MARK = 0xa5;
/** A view in the middle of a larger buffer that is filled with one byte value. */
function room(size: number): { view: DataView; bytes: Uint8Array } {
  const bytes = new Uint8Array(size + 32).fill(MARK);
  return { view: new DataView(bytes.buffer, 16, size), bytes };
}

test("read() returns what write() wrote, at any offset, and nothing outside it changes", () => {
  fc.assert(fc.property(whole(2), fc.nat(40), fc.nat(40), ({ layout, value }, before, after) => {
    const { view, bytes } = room(before + layout.size + after);
    layout.write(view, value, before);
    assertEquals(layout.read(view, before), value);
    const at = 16 + before;
    const outside = [...bytes.subarray(0, at), ...bytes.subarray(at + layout.size)];
    assert(outside.every((byte) => byte === MARK));
  }));
});

test("write() does not change padding, and fields that are not given", () => {
  fc.assert(fc.property(whole(1), fc.nat(), ({ layout, value }, pick) => {
    const { view, bytes } = room(layout.size);
    const names = Object.keys(value);
    const name = names[pick % names.length];
    layout.write(view, { [name]: value[name] });
    const { field, end } = extent(layout, name);
    bytes.subarray(16).forEach((byte, index) => {
      if (index < field || index >= end) assertEquals(byte, MARK, `byte ${index}`);
    });
  }));
});

function extent(layout: Struct, name: string): { field: number; end: number } {
  const field = layout.offsets[name];
  const later = Object.values(layout.offsets).filter((offset) => offset > field);
  return { field, end: Math.min(layout.size, ...later) };
}

test("struct() lays fields out in order, aligned and without overlap, and rounds the size up to the alignment", () => {
  fc.assert(fc.property(whole(2), ({ layout }) => {
    let end = 0;
    for (const name of Object.keys(layout.fields)) {
      assert(layout.offsets[name] >= end);
      end = layout.offsets[name] + sizeOf(layout.fields[name]);
    }
    assert(layout.size >= end && layout.size % layout.align === 0);
  }));
});

function sizeOf(field: Field): number {
  if (typeof field === "string") return struct("one", { field }).size;
  if ("offsets" in field) return field.size;
  return sizeOf(field[0]) * (field[1] as number);
}

test("read() and write() refuse a view that is too short, and do not change it", () => {
  fc.assert(fc.property(whole(1), fc.nat(60), ({ layout, value }, at) => {
    fc.pre(layout.size > 0);
    const { view, bytes } = room(at + layout.size - 1);
    assertThrows(() => layout.write(view, value, at), RangeError, "needs");
    assertThrows(() => layout.read(view, at), RangeError, "needs");
    assert(bytes.every((byte) => byte === MARK));
  }));
});

const BEYOND: { readonly [S in Scalar]: readonly unknown[] } = {
  u8: [-1, 256, 1.5, NaN, 1n, "1", null],
  u16: [-1, 65536, Infinity, 1n],
  u32: [-1, 0x1_0000_0000, 0.5, 1n],
  i32: [-0x8000_0001, 0x8000_0000, 1n],
  u64: [-1n, 1n << 64n, 1, null],
  i64: [-(1n << 63n) - 1n, 1n << 63n, 0],
  usize: [-1n, 1n << 64n, 5],
  ptr: [-1n, 1n << 64n, "0", {}],
  guid: ["", "00000000-0000-0000-0000-00000000000", "g0000000-0000-0000-0000-000000000000", 0],
};

test("write() refuses a value that does not fit by its path, and writes no field", () => {
  const cases = SCALARS.flatMap((type) => BEYOND[type].map((bad) => ({ type, bad })));
  fc.assert(
    fc.property(fc.constantFrom(...cases), ({ type, bad }) => {
      const inner = struct("Inner", { first: "u32", list: [type, 2] });
      const outer = struct("Outer", { head: "u64", inner, many: [inner, 2] });
      const { view, bytes } = room(outer.size);
      const values: [path: string, value: unknown][] = [
        ["Outer.inner.list[1]", { head: 1n, inner: { first: 1, list: [good(type), bad] } }],
        ["Outer.many[1].list[0]", { head: 1n, many: [{ first: 1 }, { list: [bad] }] }],
      ];
      for (const [path, value] of values) {
        const error = assertThrows(() => outer.write(view, value as never), RangeError);
        assertStringIncludes(error.message, path);
        assert(bytes.every((byte) => byte === MARK));
      }
    }),
    { numRuns: cases.length * 3 },
  );
});

function good(type: Scalar): unknown {
  return fc.sample(VALUES[type], 1)[0];
}

test("write() refuses unknown fields, lists that are too long and values that are not structs, before it writes", () => {
  const inner = struct("Inner", { a: "u8" });
  const outer = struct("Outer", { head: "u32", inner, list: ["u16", 2] });
  const { view, bytes } = room(outer.size);
  const write = (value: unknown) => () => outer.write(view, value as never);
  assertThrows(write({ head: 1, tail: 1 }), RangeError, "Outer.tail");
  assertThrows(write({ head: 1, inner: { b: 1 } }), RangeError, "Outer.inner.b");
  assertThrows(write({ head: 1, inner: null }), RangeError, "Outer.inner");
  assertThrows(write({ head: 1, inner: 5 }), RangeError, "Outer.inner");
  assertThrows(write({ head: 1, list: [1, 2, 3] }), RangeError, "Outer.list has at most 2");
  assertThrows(write({ head: 1, list: 5 }), RangeError, "Outer.list");
  assertThrows(write({ head: 1, list: [, 1] }), RangeError, "Outer.list[0]");
  assert(bytes.every((byte) => byte === MARK));
  outer.write(view, { head: undefined, inner: { a: undefined } } as never);
  assert(bytes.every((byte) => byte === MARK));
});

test("read() and write() extend a flexible tail to the end of the view, and no further", () => {
  fc.assert(fc.property(fc.array(VALUES.u32, { maxLength: 6 }), fc.nat(3), (list, spare) => {
    const layout = struct("Tail", { count: "u16", items: ["u32", "*"] });
    assertEquals([layout.size, layout.offsets.items], [4, 4]);
    const { view, bytes } = room(layout.size + list.length * 4 + spare);
    layout.write(view, { count: list.length, items: list as number[] });
    assertEquals(layout.read(view), { count: list.length, items: list as number[] });
    assert([...bytes.subarray(0, 16), ...bytes.subarray(bytes.length - 16 - spare)].every((b) => b === MARK));
    assertThrows(
      () => layout.write(view, { items: [...list, 1] as number[] }),
      RangeError,
      "Tail.items has at most",
    );
  }));
});

test("struct() refuses contradictory layouts", () => {
  const tail = struct("Tail", { count: "u32", items: ["u8", "*"] });
  const empty = struct("Empty", {});
  assertThrows(() => struct("S", { a: ["u8", "*"], b: "u8" }), RangeError, "S.a is a flexible tail");
  assertThrows(() => struct("S", { a: tail, b: "u32" }), RangeError, "S.a is a flexible tail");
  assertThrows(
    () => struct("S", { a: [tail, 2] }),
    RangeError,
    "S.a has elements with a flexible tail",
  );
  assertThrows(() => struct("S", { a: [empty, "*"] }), RangeError, "of size 0");
  assertThrows(() => struct("S", { a: ["u8", -1] }), RangeError, "count -1");
  assertThrows(() => struct("S", { a: ["u8", 1.5] }), RangeError, "count 1.5");
  assertThrows(() => struct("S", { a: "u7" as Scalar }), RangeError, '"u7"');
  const last = struct("S", { head: "u32", tail });
  const { view } = room(12);
  last.write(view, { head: 1, tail: { count: 4, items: Uint8Array.of(1, 2, 3, 4) } });
  assertEquals(last.read(view).tail.items, Uint8Array.of(1, 2, 3, 4));
});

test("read() and write() refuse an offset that is not a whole number from 0", () => {
  const layout = struct("S", { a: "u8" });
  const { view } = room(8);
  for (const at of [-1, 0.5, NaN, Infinity, 8]) {
    assertThrows(() => layout.read(view, at), RangeError);
    assertThrows(() => layout.write(view, { a: 1 }, at), RangeError);
  }
});
