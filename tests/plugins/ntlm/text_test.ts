import { assertEquals } from "@std/assert";
import { test } from "@test";
import fc from "fast-check";
import { inside } from "./inside.ts";
import { utf16 } from "./vectors.ts";

/** Unicode's simple upper case as far as JavaScript tells it, where the way back leads to the same character. */
function roundTrip(unit: number): number {
  const text = String.fromCharCode(unit), up = text.toUpperCase();
  return up.length === 1 && up.toLowerCase() === text ? up.charCodeAt(0) : unit;
}

test("upper case is Unicode's where Windows knows the character, and never anything else", async () => {
  const { exports } = await inside();
  let mapped = 0;
  for (let unit = 0; unit < 0x10000; unit++) {
    const upper = exports.upper(unit);
    if (upper === unit) continue;
    mapped++;
    // The Greek letters with iota below have a simple upper case that JavaScript does not use.
    const iota = unit >= 0x1f80 && unit <= 0x1ff3;
    if (!iota) assertEquals(upper, roundTrip(unit), `U+${unit.toString(16)}`);
  }
  assertEquals(mapped, 973);
});

test("upper case covers Latin, Greek, Cyrillic and Armenian, and leaves what Windows leaves", async () => {
  const { exports } = await inside();
  const text = (value: string) =>
    String.fromCharCode(...value.split("").map((unit) => exports.upper(unit.charCodeAt(0))));
  assertEquals(text("azAZ09 _-.$@"), "AZAZ09 _-.$@");
  assertEquals(text("àéîõüÿžśđ"), "ÀÉÎÕÜŸŽŚĐ");
  assertEquals(text("αβγώπσ"), "ΑΒΓΏΠΣ");
  assertEquals(text("жёєіўџ"), "ЖЁЄІЎЏ");
  assertEquals(text("աբգև"), "ԱԲԳև");
  assertEquals(text("ᾳ"), "ᾼ");
  assertEquals(text("ßµıſςŉა\ud801\udc28"), "ßµıſςŉა\ud801\udc28");
});

test("UTF-8 becomes the same UTF-16 as with TextDecoder, and invalid bytes are refused", async () => {
  const guest = await inside();
  const decode = (bytes: Uint8Array): Uint8Array | null => {
    guest.reset();
    return guest.exports.decode(...guest.flat([bytes])) ? guest.written() : null;
  };
  const expected = (bytes: Uint8Array): Uint8Array | null => {
    try {
      return utf16(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes));
    } catch {
      return null;
    }
  };
  const holds = (bytes: Uint8Array) => assertEquals(decode(bytes), expected(bytes));
  fc.assert(fc.property(fc.string({ unit: "binary" }), (text) => holds(new TextEncoder().encode(text))));
  const scalar = fc.constantFrom(
    0x00,
    0x41,
    0x7f,
    0x80,
    0x8f,
    0x90,
    0x9f,
    0xa0,
    0xbf,
    0xc0,
    0xc1,
    0xc2,
    0xdf,
  );
  const lead = fc.constantFrom(0xe0, 0xe1, 0xed, 0xee, 0xef, 0xf0, 0xf1, 0xf4, 0xf5, 0xff);
  const mixed = fc.array(fc.oneof(scalar, lead), { maxLength: 8 });
  fc.assert(fc.property(mixed, (bytes) => holds(Uint8Array.from(bytes))), { numRuns: 2000 });
});

test(
  "a name is refused if it contains invisible characters, half a surrogate pair, or a separator of " +
    "domain and user",
  async () => {
    const guest = await inside();
    const nameable = (text: string): boolean => {
      guest.reset();
      return Boolean(guest.exports.nameable(...guest.flat([utf16(text)])));
    };
    for (const good of ["", "alice", "Zoë", "山田", "a b", "alice@example.test", "𐐀", "x".repeat(170)]) {
      assertEquals(nameable(good), true, good);
    }
    for (
      const bad of ["a\0", "a\nb", "\u202eecila", "a\\b", "\ud800", "\udc00a", "a\ud800", "x".repeat(171)]
    ) {
      assertEquals(nameable(bad), false, JSON.stringify(bad));
    }
    for (let point = 0; point < 0x110000; point++) {
      if (point === 0xd800) point = 0xe000;
      const text = String.fromCodePoint(point);
      if (/[\p{Cc}\p{Cf}\u2028\u2029]/u.test(text)) assertEquals(nameable(text), false, point.toString(16));
    }
    assertEquals(
      Boolean(guest.exports.nameable(...guest.flat([Uint8Array.of(0x41, 0, 0x42)]))),
      false,
      "odd length",
    );
  },
);
