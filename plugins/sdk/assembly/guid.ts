/** GUIDs: text to the bytes of the system's structure. */

import { Slice } from "./memory";

const TEXT: u32 = 36;

/** Writes the 16 bytes of a GUID to `place`; false where it is none. */
export function writeGuid(text: Slice, place: usize): bool {
  if (text.len != TEXT) return false;
  let at: u32 = 0;
  for (let i: u32 = 0; i < 16; i++) {
    if (i == 4 || i == 6 || i == 8 || i == 10) {
      if (text.at(at++) != 0x2d) return false;
    }
    const high = digit(text.at(at)), low = digit(text.at(at + 1));
    if (high > 15 || low > 15) return false;
    store<u8>(place + order(i), <u8> (high << 4 | low));
    at += 2;
  }
  return true;
}

/** Where the i-th byte of the text stands: the first three groups are little-endian numbers. */
function order(i: u32): u32 {
  if (i < 4) return 3 - i;
  if (i < 6) return 9 - i;
  return i < 8 ? 13 - i : i;
}

function digit(char: u8): u32 {
  if (char >= 0x30 && char <= 0x39) return char - 0x30;
  const letter: u32 = char | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : 16;
}
