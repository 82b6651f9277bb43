import { assert, assertEquals, assertThrows } from "@std/assert";
import { test } from "@test";
import fc from "fast-check";
import { ProviderTrapError } from "../../../errors.ts";
import { printable, Reader, Writer } from "../../../plugins/sandbox/wire.ts";

type Field =
  | ["u8" | "u32", number]
  | ["flag", boolean]
  | ["bytes", Uint8Array]
  | ["text", string]
  | ["optionalBytes", Uint8Array | null];

const field: fc.Arbitrary<Field> = fc.oneof(
  fc.tuple(fc.constant("u8" as const), fc.nat(255)),
  fc.tuple(fc.constant("u32" as const), fc.nat(0xffffffff)),
  fc.tuple(fc.constant("flag" as const), fc.boolean()),
  fc.tuple(fc.constant("bytes" as const), fc.uint8Array({ maxLength: 600 })),
  fc.tuple(fc.constant("text" as const), fc.string({ unit: "grapheme" })),
  fc.tuple(fc.constant("optionalBytes" as const), fc.option(fc.uint8Array())),
);

function write(out: Writer, [type, value]: Field): void {
  (out[type] as (value: unknown) => unknown).call(out, value);
}

function read(input: Reader, [type]: Field): unknown {
  if (type === "optionalBytes") return input.flag() ? input.bytes().slice() : null;
  if (type === "bytes") return input.bytes().slice();
  return type === "text" ? input.text(100_000) : input[type]();
}

test("Reader reads what Writer wrote, field by field, with no bytes left", () => {
  fc.assert(fc.property(fc.array(field), (fields) => {
    const out = new Writer();
    for (const one of fields) write(out, one);
    const input = new Reader(out.written, "step");
    for (const one of fields) assertEquals<unknown>(read(input, one), one[1]);
    input.end();
  }));
});

test("Reader refuses a message that is cut anywhere as a breach of the ABI", () => {
  fc.assert(fc.property(fc.array(field, { minLength: 1 }), fc.nat(), (fields, at) => {
    const out = new Writer();
    for (const one of fields) write(out, one);
    const cut = new Reader(out.written.slice(0, at % out.written.length), "step");
    const error = assertThrows(() => fields.forEach((one) => read(cut, one)), ProviderTrapError);
    assert(error.message.includes("the answer to step, byte"), error.message);
  }));
});

test("integers are little-endian and without padding", () => {
  const out = new Writer().u8(1).u32(0x01020304).i64(-2).bytes(Uint8Array.of(9)).text("é");
  assertEquals([...out.written], [
    ...[1, 4, 3, 2, 1, 0xfe, 255, 255, 255, 255, 255, 255, 255],
    ...[1, 0, 0, 0, 9, 2, 0, 0, 0, 0xc3, 0xa9],
  ]);
});

test("Writer.wipe() overwrites everything, and the writer can be used again", () => {
  const out = new Writer().text("secret");
  const view = out.written;
  out.wipe();
  assertEquals([...view], new Array(view.length).fill(0));
  assertEquals(out.written.length, 0);
  assertEquals([...out.u8(7).written], [7]);
});

test("Reader refuses lengths out of bounds, bytes left over, invalid flags and invalid text, with the position", () => {
  const refused = (bytes: number[], action: (input: Reader) => unknown, part: string) => {
    const error = assertThrows(() => action(new Reader(Uint8Array.from(bytes), "step")), ProviderTrapError);
    assert(error.message.includes(part), error.message);
  };
  refused([2], (input) => input.flag(), "a flag is 2");
  refused([3, 0, 0, 0, 1, 2, 3], (input) => input.bytes(2), "3 bytes where 2 are allowed");
  refused([0xff, 0xff, 0xff, 0xff], (input) => input.bytes(), "4294967295 bytes announced, 0 left");
  refused([1, 0, 0, 0, 0xff], (input) => input.text(9), "not UTF-8");
  refused([0, 0], (input) => (input.u8(), input.end()), "byte 1: 1 bytes follow");
});

test("characters that could forge a line of a log are replaced with question marks", () => {
  assertEquals(printable("a\r\nb\u001b[2Jc\u202ed\u2028e\u0000"), "a??b?[2Jc?d?e?");
  assertEquals(printable("EXAMPLE\\älice@例え"), "EXAMPLE\\älice@例え");
});
