import { assertEquals } from "@std/assert";
import { test } from "@test";
import { holdsPlainText } from "../../../plugins/sandbox/claims.ts";

const plain = (length: number) => Uint8Array.from({ length }, (_, index) => index % 251 + 1);

test("holdsPlainText() finds plain text of 16 bytes and more, wherever it is in the record", () => {
  for (const length of [16, 17, 1024, 1025, 5000]) {
    for (const before of [0, 1, 20]) {
      for (const after of [0, 1, 20]) {
        const record = new Uint8Array(before + length + after);
        record.set(plain(length), before);
        assertEquals(holdsPlainText(record, plain(length)), true);
      }
    }
  }
});

test("holdsPlainText() compares up to 1024 bytes, and no text of under 16, which may be the same by chance", () => {
  assertEquals(holdsPlainText(plain(15), plain(15)), false);
  assertEquals(holdsPlainText(new Uint8Array(), new Uint8Array()), false);
  for (
    const [length, changed, found] of [[16, 15, false], [1024, 1023, false], [1025, 1024, true]] as const
  ) {
    const record = plain(length);
    record[changed] ^= 1;
    assertEquals(holdsPlainText(record, plain(length)), found);
  }
  assertEquals(holdsPlainText(plain(15), plain(16)), false);
});
