import { assertEquals, assertThrows } from "@std/assert";
import { test } from "@test";
import fc from "fast-check";
import { wideString } from "../../../ffi/memory/memory.ts";
import { messageText, nameText, wideText } from "../../../ffi/memory/text.ts";

const utf8 = (text: string) => new TextEncoder().encode(text);
/** Text of any length, often with a leading byte order mark. */
const text = fc.tuple(
  fc.constantFrom("", "\ufeff", "\ufffe", "\ufeff\ufeff"),
  fc.oneof(
    fc.string({ unit: "binary", maxLength: 200 }),
    fc.string({ unit: "binary", minLength: 4090, maxLength: 8200 }),
  ),
).map((parts) => parts.join(""));

test("wideText() reads any UTF-16 unit by unit", () => {
  fc.assert(
    fc.property(text, fc.boolean(), (value, odd) => {
      const bytes = wideString(value).subarray(0, 2 * value.length);
      assertEquals(wideText(odd ? Uint8Array.of(...bytes, 0x41) : bytes), value);
    }),
    { numRuns: 60 },
  );
});

test("nameText() reads every character of UTF-8, including a leading byte order mark", () => {
  fc.assert(
    fc.property(text, (value) => assertEquals(nameText(utf8(value)), value.toWellFormed())),
    { numRuns: 60 },
  );
});

test("nameText() refuses bytes that are not UTF-8, so that no two names read the same", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 8 }), (bytes) => {
    let name: string;
    try {
      name = nameText(bytes);
    } catch (error) {
      assertEquals(error instanceof TypeError, true);
      return;
    }
    assertEquals(Array.from(utf8(name)), Array.from(bytes));
  }));
  assertThrows(() => nameText(Uint8Array.of(0x61, 0xff)), TypeError);
});

test("messageText() shows bytes that are not UTF-8", () => {
  assertEquals(messageText(Uint8Array.of(0xef, 0xbb, 0xbf, 0x61, 0xff)), "\ufeffa\ufffd");
});
