/** CHALLENGE_MESSAGE ([MS-NLMP] 2.2.1.2), the second of three: what the server chose, and its challenge. */

import { Slice } from "../../../sdk/assembly/index";
import { listLength } from "./av_pairs";
import { Flag } from "./flags";
import { isMessage, newMessage, readField, VERSION, writeField } from "./message";

const TYPE: u32 = 2;
const HEAD: u32 = 56;

/** What a client reads of it; the slices are pieces of the message. */
export class Challenge {
  flags: u32 = 0;
  /** Where the challenge of 8 bytes stands. */
  nonce: usize = 0;
  /** The measured list of AV pairs with its end. */
  info: Slice = new Slice();

  /** Reads the message; null where it is not one. A server that names no target information is none to us. */
  static read(message: Slice): Challenge | null {
    if (!isMessage(message, TYPE, 48)) return null;
    const name = readField(message, 12, 48), info = readField(message, 40, 48);
    if (name === null || info === null) return null;
    info.len = listLength(info);
    if (info.len == 0) return null;
    const read = new Challenge();
    read.flags = load<u32>(message.ptr, 20);
    read.nonce = message.ptr + 24;
    read.info = info;
    return read;
  }
}

/** Builds the message; `nonce` are 8 random bytes. */
export function writeChallenge(flags: u32, nonce: usize, name: Slice, info: Slice): Slice {
  const message = newMessage(TYPE, HEAD + name.len + info.len);
  store<u32>(message.ptr, flags, 20);
  memory.copy(message.ptr + 24, nonce, 8);
  if (flags & Flag.Version) store<u64>(message.ptr, VERSION, 48);
  const next = writeField(message, 12, HEAD, name);
  writeField(message, 40, next, info);
  return message;
}

/** Where the challenge of 8 bytes stands in a message of this provider. */
export function challengeNonce(message: Slice): usize {
  return message.ptr + 24;
}
