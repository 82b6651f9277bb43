/** What the three messages share: their head, and fields that name a piece of their payload ([MS-NLMP] 2.2). */

import { Slice } from "../../../sdk/assembly/index";

/** No message comes near it; it bounds what a peer can make this end keep. */
export const LONGEST_MESSAGE: u32 = 16384;

// "NTLMSSP" and a zero byte.
const SIGNATURE: u64 = 0x005053534d4c544e;

/** What the version field says of this software: no product, revision 15 of the protocol. */
export const VERSION: u64 = 0x0f00000000000000;

/** Whether `message` begins as every NTLM message does. */
export function isNtlm(message: Slice): bool {
  return message.len >= 12 && load<u64>(message.ptr) == SIGNATURE;
}

/** Whether `message` is one of `type`, and of a length that can be one. */
export function isMessage(message: Slice, type: u32, shortest: u32): bool {
  return isNtlm(message) && message.len >= shortest && message.len <= LONGEST_MESSAGE &&
    load<u32>(message.ptr, 8) == type;
}

/** Begins a message of `len` bytes, all zeros after its head. */
export function newMessage(type: u32, len: u32): Slice {
  const message = new Slice(heap.alloc(len), len);
  message.wipe();
  store<u64>(message.ptr, SIGNATURE);
  store<u32>(message.ptr, type, 8);
  return message;
}

/** The piece that the field at `at` names; null where it begins before `from` or ends beyond the message. */
export function readField(message: Slice, at: u32, from: u32): Slice | null {
  const len: u32 = load<u16>(message.ptr + at), offset = load<u32>(message.ptr + at, 4);
  if (len == 0) return new Slice(message.ptr + message.len, 0);
  if (offset < from || offset > message.len || message.len - offset < len) return null;
  return new Slice(message.ptr + offset, len);
}

/** Copies `piece` to `offset` and makes the field at `at` name it; returns where the next piece goes. */
export function writeField(message: Slice, at: u32, offset: u32, piece: Slice): u32 {
  const field = message.ptr + at;
  store<u16>(field, piece.len);
  store<u16>(field, piece.len, 2);
  store<u32>(field, offset, 4);
  memory.copy(message.ptr + offset, piece.ptr, piece.len);
  return offset + piece.len;
}
