/**
 * Converts passwords to the form that Windows takes, without a copy in a JavaScript string, which cannot be zeroed.
 *
 * @module
 */

import { pinned, wideString } from "../memory/memory.ts";
import { checkWellFormed } from "../memory/text.ts";

/** The lowest code point of a sequence, by its number of continuation bytes. */
const LEAST = [0, 0x80, 0x800, 0x10000];

/**
 * Returns a password, given as text or in UTF-8, as zero-terminated UTF-16; the caller zeroes it.
 *
 * @throws TypeError where the bytes are not UTF-8, or the text contains a lone surrogate: a password that differs
 * from the intended one must not be tried, because a wrong password counts towards locking the account.
 */
export function passwordUnits(password: string | Uint8Array): Uint8Array {
  if (typeof password !== "string") return fromUtf8(password);
  checkWellFormed(password, "credentials.password");
  return wideString(password);
}

function fromUtf8(utf8: Uint8Array): Uint8Array {
  // A text never has more units in UTF-16 than bytes in UTF-8.
  const buffer = pinned((utf8.length + 1) * 2);
  const view = new DataView(buffer.buffer);
  let end = 0;
  const put = (unit: number): void => {
    view.setUint16(end, unit, true);
    end += 2;
  };
  for (let at = 0; at < utf8.length;) {
    const lead = utf8[at++];
    const more = lead < 0x80
      ? 0
      : lead < 0xc0
      ? -1
      : lead < 0xe0
      ? 1
      : lead < 0xf0
      ? 2
      : lead < 0xf8
      ? 3
      : -1;
    let point = more < 1 ? lead : lead & (0x3f >> more);
    let valid = more >= 0;
    for (let left = more; left > 0; left--) {
      const next = utf8[at++];
      valid &&= (next & 0xc0) === 0x80;
      point = point << 6 | next & 0x3f;
    }
    if (!valid || point < LEAST[more] || point > 0x10ffff || (point >= 0xd800 && point < 0xe000)) {
      buffer.fill(0);
      throw new TypeError("credentials.password must be UTF-8 where it is a Uint8Array");
    }
    if (point < 0x10000) put(point);
    else {
      put(0xd7c0 + (point >> 10));
      put(0xdc00 | point & 0x3ff);
    }
  }
  return buffer.subarray(0, end + 2);
}
