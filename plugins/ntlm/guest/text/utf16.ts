/** Between the ABI's UTF-8 and the UTF-16 that NTLM puts on the wire. */

import { Slice } from "../../../sdk/assembly/index";

// What a name must not hold: controls, marks that are not seen, and what separates a domain from a user.
// deno-fmt-ignore
const HIDDEN: usize = memory.data<u32>([
  0x0, 0x1f, 0x5c, 0x5c, 0x7f, 0x9f, 0xad, 0xad, 0x600, 0x605, 0x61c, 0x61c, 0x6dd, 0x6dd,
  0x70f, 0x70f, 0x890, 0x891, 0x8e2, 0x8e2, 0x180e, 0x180e, 0x200b, 0x200f, 0x2028, 0x202e,
  0x2060, 0x206f, 0xfeff, 0xfeff, 0xfff9, 0xfffb, 0x110bd, 0x110bd, 0x110cd, 0x110cd,
  0x13430, 0x1345f, 0x1bca0, 0x1bcaf, 0x1d173, 0x1d17a, 0xe0000, 0xe0fff,
]);
const HIDDEN_COUNT: usize = 22;

function hidden(point: u32): bool {
  for (let i: usize = 0; i < HIDDEN_COUNT; i++) {
    const range = HIDDEN + (i << 3);
    if (point >= load<u32>(range) && point <= load<u32>(range, 4)) return true;
  }
  return false;
}

/** The most bytes of a name: a domain and a user, joined and in UTF-8, then stay within the ABI's 1,024. */
export const LONGEST_NAME: u32 = 340;
/** The most bytes of a target, which stands alone: a class and the longest host name of DNS fit. */
export const LONGEST_TARGET: u32 = 680;

/** Whether UTF-16 is well formed and fit to be shown, so that what an application reads is all there is. */
export function isName(units: Slice, longest: u32): bool {
  if ((units.len & 1) != 0 || units.len > longest) return false;
  for (let at = units.ptr, end = units.ptr + units.len; at < end; at += 2) {
    let point: u32 = load<u16>(at);
    if ((point & 0xf800) == 0xd800) {
      if (point >= 0xdc00 || end - at < 4) return false;
      const low: u32 = load<u16>(at, 2);
      if ((low & 0xfc00) != 0xdc00) return false;
      point = 0x10000 + ((point - 0xd800) << 10) + (low - 0xdc00);
      at += 2;
    }
    if (hidden(point)) return false;
  }
  return true;
}

/** The OEM form of UTF-16, in fresh memory: each code page has ASCII; empty where there is anything else in it. */
export function toOem(units: Slice): Slice {
  const text = new Slice(heap.alloc(max<u32>(units.len >> 1, 1)), 0);
  for (let at: u32 = 0; at < units.len; at += 2) {
    const unit: u32 = load<u16>(units.ptr + at);
    if (unit > 0x7f) return new Slice();
    store<u8>(text.ptr + text.len++, unit);
  }
  return text;
}

/** OEM text as UTF-16, in fresh memory; null where it is not ASCII, for nothing says which code page it is of. */
export function fromOem(text: Slice): Slice | null {
  const units = new Slice(heap.alloc(max<u32>(text.len << 1, 1)), 0);
  for (let at: u32 = 0; at < text.len; at++) {
    const byte: u32 = load<u8>(text.ptr + at);
    if (byte > 0x7f) return null;
    put(units, byte);
  }
  return units;
}

/** Well-formed UTF-16 as UTF-8, in fresh memory. */
export function toUtf8(units: Slice): Slice {
  const text = String.UTF16.decodeUnsafe(units.ptr, units.len);
  const place = heap.alloc(max<usize>(String.UTF8.byteLength(text), 1));
  const len = String.UTF8.encodeUnsafe(changetype<usize>(text), text.length, place);
  return new Slice(place, <u32> len);
}

/** UTF-8 as UTF-16, in fresh memory; null where it is not UTF-8. What it wrote before that is wiped. */
export function toUtf16(bytes: Slice): Slice | null {
  const units = new Slice(heap.alloc(max<u32>(bytes.len << 1, 1)), 0);
  let at = bytes.ptr;
  const end = bytes.ptr + bytes.len;
  while (at < end) {
    const first: u32 = load<u8>(at++);
    const more: u32 = first < 0x80
      ? 0
      : first < 0xc2
      ? 4
      : first < 0xe0
      ? 1
      : first < 0xf0
      ? 2
      : first < 0xf5
      ? 3
      : 4;
    let point = more == 0 ? first : first & (0x3f >> more);
    let valid = more < 4 && end - at >= <usize> more;
    for (let i: u32 = 0; valid && i < more; i++) {
      const next: u32 = load<u8>(at++);
      valid = (next & 0xc0) == 0x80;
      point = (point << 6) | (next & 0x3f);
    }
    valid = valid && !(more == 2 && (point < 0x800 || (point & 0xf800) == 0xd800)) &&
      !(more == 3 && (point < 0x10000 || point > 0x10ffff));
    if (!valid) {
      units.wipe();
      return null;
    }
    put(units, point);
  }
  return units;
}

function put(units: Slice, point: u32): void {
  const place = units.ptr + units.len;
  if (point < 0x10000) {
    store<u16>(place, point);
    units.len += 2;
  } else {
    store<u16>(place, 0xd800 + ((point - 0x10000) >> 10));
    store<u16>(place, 0xdc00 + ((point - 0x10000) & 0x3ff), 2);
    units.len += 4;
  }
}
