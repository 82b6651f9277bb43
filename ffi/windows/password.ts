/**
 * Passwords as Windows takes them, without a copy that cannot be zeroed: a JavaScript string cannot.
 *
 * @module
 */

import { pinned, wideString } from "../memory/memory.ts";
import { checkWellFormed } from "../memory/text.ts";

/** The least code point that a sequence with so many continuation bytes may stand for. */
const LEAST = [0, 0x80, 0x800, 0x10000];

/**
 * Zero-terminated UTF-16 of a password as text or in UTF-8; the caller zeroes it.
 *
 * @throws TypeError where the bytes are no UTF-8, or the text holds half of a surrogate pair: another password than the
 * one that was meant must not be tried, for a wrong one counts towards locking the account.
 */
export function passwordUnits(password: string | Uint8Array): Uint8Array {
  if (typeof password !== "string") return fromUtf8(password);
  checkWellFormed(password, "credentials.password");
  return wideString(password);
}

function fromUtf8(utf8: Uint8Array): Uint8Array {
  // No text has more units in UTF-16 than bytes in UTF-8.
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
