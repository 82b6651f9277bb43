/** What the tests reach inside the guest; never part of the module that ships. Texts are UTF-16. */

import { Slice } from "../../sdk/assembly/index";
import { baseKey, bindingsHash, exchangeKey, messageCode, ntHash, proof, responseKey } from "./proof";
import { Direction } from "./session";
import { DerReader } from "./spnego/der";
import { isName, LONGEST_NAME, toUtf16 } from "./text/utf16";
import { writeAuthenticate, writeBlob } from "./wire/authenticate";
import { find, listLength } from "./wire/av_pairs";
import { writeChallenge } from "./wire/challenge";

export { hmac } from "./crypto/hmac_md5";
export { md4 } from "./crypto/md4";
export { md5Begin, md5End, md5Update } from "./crypto/md5";
export { decryptAndDigest, encryptAndDigest } from "./crypto/one_pass";
export { rc4, RC4_SIZE, rc4Init } from "./crypto/rc4";
export { upper } from "./text/upper";
export { baseKey, exchangeKey };

/** Room for `length` bytes. */
export function room(length: usize): usize {
  return heap.alloc(length);
}

/** Where the last message that was written stands, and its length. */
let written: Slice = new Slice();

export function writtenAt(): usize {
  return written.ptr;
}

export function writtenLength(): u32 {
  return written.len;
}

export function hash(password: usize, len: u32, to: usize): void {
  ntHash(new Slice(password, len), to);
}

export function respond(
  hash: usize,
  user: usize,
  userLen: u32,
  domain: usize,
  domainLen: u32,
  to: usize,
): void {
  responseKey(hash, new Slice(user, userLen), new Slice(domain, domainLen), to);
}

export function prove(key: usize, nonce: usize, blob: usize, blobLen: u32, to: usize): void {
  proof(key, nonce, new Slice(blob, blobLen), to);
}

export function bindings(at: usize, len: u32, to: usize): void {
  bindingsHash(new Slice(at, len), to);
}

export function code(key: usize, at: usize, first: u32, second: u32, third: u32, to: usize): void {
  const a = new Slice(at, first),
    b = new Slice(at + first, second),
    c = new Slice(at + first + second, third);
  messageCode(key, a, b, c, to);
}

export function blob(time: u64, nonce: usize, info: usize, infoLen: u32): void {
  written = writeBlob(time, nonce, new Slice(info, infoLen));
}

export function challenge(
  flags: u32,
  nonce: usize,
  name: usize,
  nameLen: u32,
  info: usize,
  infoLen: u32,
): void {
  written = writeChallenge(flags, nonce, new Slice(name, nameLen), new Slice(info, infoLen));
}

/** The names stand one behind the other from `names` on. */
export function authenticate(
  flags: u32,
  names: usize,
  domainLen: u32,
  userLen: u32,
  workstationLen: u32,
  proof: usize,
  blob: usize,
  blobLen: u32,
  key: usize,
): void {
  const domain = new Slice(names, domainLen), user = new Slice(names + domainLen, userLen);
  const workstation = new Slice(names + domainLen + userLen, workstationLen);
  written = writeAuthenticate(flags, domain, user, workstation, proof, new Slice(blob, blobLen), key);
}

/** Where the UTF-16 of UTF-8 stands afterwards; false where it is not UTF-8. */
export function decode(at: usize, len: u32): bool {
  const units = toUtf16(new Slice(at, len));
  if (units !== null) written = units;
  return units !== null;
}

export function nameable(at: usize, len: u32): bool {
  return isName(new Slice(at, len), LONGEST_NAME);
}

/** The measured length of a list of AV pairs, and after that every id is looked for. */
export function measure(at: usize, len: u32): u32 {
  const list = new Slice(at, len);
  list.len = listLength(list);
  for (let id: u32 = 0; list.len != 0 && id < 16; id++) find(list, id);
  return list.len;
}

/** How many elements of this tag stand one behind the other. */
export function elements(at: usize, len: u32, tag: u32): u32 {
  const reader = new DerReader(new Slice(at, len));
  let count: u32 = 0;
  while (reader.take(tag) !== null) count++;
  return count;
}

const out: Direction = new Direction();
const back: Direction = new Direction();

export function begin(key: usize, toServer: bool): void {
  out.begin(key, toServer);
  back.begin(key, toServer);
}

/** Sets the number of both ends' next record. */
export function number(next: u64): void {
  out.number = next;
  back.number = next;
}

export function exhausted(): bool {
  return out.exhausted();
}

export function wrap(at: usize, len: u32, sealed: bool, to: usize): void {
  out.wrap(at, len, sealed, to);
}

export function unwrap(at: usize, len: u32, sealed: bool, to: usize): i32 {
  return back.unwrap(at, len, sealed, to);
}

export function sign(at: usize, len: u32, to: usize): void {
  out.sign(at, len, to);
}

export function verify(at: usize, len: u32, signature: usize): i32 {
  return back.verify(at, len, signature);
}
