/** Passwords in UTF-8 become the UTF-16 that Windows takes, or are refused. */

import { assertEquals, assertThrows } from "@std/assert";
import { test } from "@test";
import fc from "fast-check";
import { wideString } from "../../../ffi/memory/memory.ts";
import { passwordUnits } from "../../../ffi/windows/password.ts";

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);

test("passwordUnits() returns the same units for UTF-8 and for text, including a byte order mark", () => {
  for (const text of ["", "Alice1234!", "\ufeffpass", "pä\u0000ß", "中文", "😀\u{10ffff}"]) {
    assertEquals(passwordUnits(utf8(text)), wideString(text));
  }
  fc.assert(fc.property(fc.string({ unit: "binary" }), (text) => {
    assertEquals(passwordUnits(utf8(text)), wideString(text));
  }));
});

test("passwordUnits() throws a TypeError without the bytes where they are not UTF-8, and accepts all others", () => {
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  const holds = (bytes: Uint8Array) => {
    let text: string;
    try {
      text = decoder.decode(bytes);
    } catch {
      const { message } = assertThrows(() => passwordUnits(bytes), TypeError);
      assertEquals(message, "credentials.password must be UTF-8 where it is a Uint8Array");
      return;
    }
    assertEquals(passwordUnits(bytes), wideString(text));
  };
  for (
    const bytes of [[0xc0, 0x80], [0xe0, 0x80, 0x80], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80], [0xc3], [
      0xff,
    ]]
  ) {
    holds(Uint8Array.from(bytes));
  }
  fc.assert(fc.property(fc.uint8Array({ maxLength: 12 }), holds));
  const likely = fc.constantFrom(0x41, 0x80, 0xbf, 0xc2, 0xe0, 0xed, 0xa0, 0x9f, 0xf0, 0xf4, 0x90, 0x8f);
  fc.assert(fc.property(fc.array(likely, { maxLength: 6 }).map((bytes) => Uint8Array.from(bytes)), holds), {
    numRuns: 2000,
  });
});
