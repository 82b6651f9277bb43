/** AUTHENTICATE_MESSAGE ([MS-NLMP] 2.2.1.3), the third of three: who the client is, and its proof. */

import { Slice } from "../../../sdk/assembly/index";
import { listLength } from "./av_pairs";
import { Flag } from "./flags";
import { isMessage, newMessage, readField, VERSION, writeField } from "./message";

const TYPE: u32 = 3;
/** The head with the code over all three messages, which is there only where the AV pairs say so. */
const HEAD: u32 = 88;
const CODE: u32 = 72;
/** The head without version and code. */
const SHORTEST: u32 = 64;
/** What comes before the AV pairs in what the client says (NTLMv2_CLIENT_CHALLENGE). */
const BLOB_HEAD: u32 = 28;

/** What the client says and proves: versions, time, its own challenge of 8 bytes, and the list of AV pairs. */
export function writeBlob(time: u64, nonce: usize, info: Slice): Slice {
  const blob = new Slice(heap.alloc(BLOB_HEAD + info.len + 4), BLOB_HEAD + info.len + 4);
  blob.wipe();
  store<u16>(blob.ptr, 0x0101);
  store<u64>(blob.ptr, time, 8);
  memory.copy(blob.ptr + 16, nonce, 8);
  memory.copy(blob.ptr + BLOB_HEAD, info.ptr, info.len);
  return blob;
}

/** What a server reads of the message; the slices are pieces of it. */
export class Authenticate {
  flags: u32 = 0;
  domain: Slice = new Slice();
  username: Slice = new Slice();
  /** The proof of 16 bytes and what it proves; shorter where the answer is not NTLMv2. */
  answer: Slice = new Slice();
  encryptedKey: Slice = new Slice();
  message: Slice = new Slice();
  private payload: usize = 0;

  /** Reads the message; null where it is not one. */
  static read(message: Slice): Authenticate | null {
    if (!isMessage(message, TYPE, SHORTEST)) return null;
    const lm = readField(message, 12, SHORTEST), answer = readField(message, 20, SHORTEST);
    const domain = readField(message, 28, SHORTEST), username = readField(message, 36, SHORTEST);
    const workstation = readField(message, 44, SHORTEST), encryptedKey = readField(message, 52, SHORTEST);
    if (lm === null || answer === null || domain === null || username === null) return null;
    if (workstation === null || encryptedKey === null) return null;
    const read = new Authenticate();
    read.payload = min(
      min(min(lm.ptr, answer.ptr), min(domain.ptr, username.ptr)),
      min(workstation.ptr, encryptedKey.ptr),
    );
    read.flags = load<u32>(message.ptr, 60);
    read.domain = domain;
    read.username = username;
    read.answer = answer;
    read.encryptedKey = encryptedKey;
    read.message = message;
    return read;
  }

  /** What the proof is over. */
  blob(): Slice {
    return new Slice(this.answer.ptr + 16, this.answer.len - 16);
  }

  /** The measured list of AV pairs; null where the answer is not of NTLMv2's form. */
  info(): Slice | null {
    if (this.answer.len < 16 + BLOB_HEAD || load<u16>(this.answer.ptr, 16) != 0x0101) return null;
    const from = 16 + BLOB_HEAD, list = new Slice(this.answer.ptr + from, this.answer.len - from);
    list.len = listLength(list);
    return list.len == 0 ? null : list;
  }

  /** Whether nothing else stands where the code over all three messages has its place. */
  hasRoomForCode(): bool {
    return this.payload >= this.message.ptr + HEAD;
  }

  /** Moves the code over all three messages to `to` and leaves zeros where it stood, as it was made over. */
  takeCode(to: usize): void {
    memory.copy(to, this.message.ptr + CODE, 16);
    memory.fill(this.message.ptr + CODE, 0, 16);
  }
}

/** Builds the message with zeros for its code; no answer of LM's kind is ever in it. */
export function writeAuthenticate(
  flags: u32,
  domain: Slice,
  username: Slice,
  workstation: Slice,
  proof: usize,
  blob: Slice,
  encryptedKey: usize,
): Slice {
  const answer = new Slice(heap.alloc(16 + blob.len), 16 + blob.len);
  memory.copy(answer.ptr, proof, 16);
  memory.copy(answer.ptr + 16, blob.ptr, blob.len);
  const lm = new Slice(heap.alloc(24), 24);
  lm.wipe();
  const names = domain.len + username.len + workstation.len;
  const message = newMessage(TYPE, HEAD + names + lm.len + answer.len + 16);
  let next = writeField(message, 28, HEAD, domain);
  next = writeField(message, 36, next, username);
  next = writeField(message, 44, next, workstation);
  next = writeField(message, 12, next, lm);
  next = writeField(message, 20, next, answer);
  writeField(message, 52, next, new Slice(encryptedKey, 16));
  store<u32>(message.ptr, flags, 60);
  if (flags & Flag.Version) store<u64>(message.ptr, VERSION, 64);
  return message;
}

/** Where the code over all three messages stands. */
export function codeOf(message: Slice): usize {
  return message.ptr + CODE;
}
