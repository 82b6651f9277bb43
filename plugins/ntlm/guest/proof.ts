/** The computations of NTLMv2 ([MS-NLMP] 3.3.2) and what is made of them. Every key is 16 bytes. */

import { Slice } from "../../sdk/assembly/index";
import { hmac, HMAC_SIZE, hmacBegin, hmacEnd, hmacSchedule } from "./crypto/hmac_md5";
import { md4 } from "./crypto/md4";
import { md5Begin, md5End, md5Update } from "./crypto/md5";
import { rc4, RC4_SIZE, rc4Init } from "./crypto/rc4";
import { upper } from "./text/upper";

/** Bytes of every key, hash, proof and code. */
export const KEY_SIZE: u32 = 16;

const SCHEDULE: usize = memory.data(32, 16);
const CIPHER: usize = memory.data(1032, 16);
const PIECE: usize = memory.data(64, 16);

/** The NT hash of a password in UTF-16. */
export function ntHash(password: Slice, to: usize): void {
  md4(password.ptr, password.len, to);
}

/** NTOWFv2: what the account's hash makes of the names the client goes by. */
export function responseKey(hash: usize, username: Slice, domain: Slice, to: usize): void {
  hmacSchedule(hash, KEY_SIZE, SCHEDULE);
  hmacBegin(SCHEDULE);
  for (let at: u32 = 0; at < username.len; at += 2) {
    store<u16>(PIECE, <u16> upper(load<u16>(username.ptr + at)));
    md5Update(PIECE, 2);
  }
  md5Update(domain.ptr, domain.len);
  hmacEnd(SCHEDULE, to);
  memory.fill(SCHEDULE, 0, HMAC_SIZE);
  memory.fill(PIECE, 0, 2);
}

/** NTProofStr: the answer to a server's challenge of 8 bytes, over all the client says in `blob`. */
export function proof(key: usize, challenge: usize, blob: Slice, to: usize): void {
  hmacSchedule(key, KEY_SIZE, SCHEDULE);
  hmacBegin(SCHEDULE);
  md5Update(challenge, 8);
  md5Update(blob.ptr, blob.len);
  hmacEnd(SCHEDULE, to);
  memory.fill(SCHEDULE, 0, HMAC_SIZE);
}

/** The session's base key; under NTLMv2 it is the key exchange key too. */
export function baseKey(key: usize, answer: usize, to: usize): void {
  hmac(key, answer, KEY_SIZE, to);
}

/** RC4K of 16 bytes: hands a session key over under the key exchange key, and takes it out again. */
export function exchangeKey(key: usize, from: usize, to: usize): void {
  rc4Init(CIPHER, key, KEY_SIZE);
  rc4(CIPHER, from, to, KEY_SIZE);
  memory.fill(CIPHER, 0, RC4_SIZE);
}

/** The code over all three messages; in the third its own field is zero. */
export function messageCode(key: usize, first: Slice, second: Slice, third: Slice, to: usize): void {
  hmacSchedule(key, KEY_SIZE, SCHEDULE);
  hmacBegin(SCHEDULE);
  md5Update(first.ptr, first.len);
  md5Update(second.ptr, second.len);
  md5Update(third.ptr, third.len);
  hmacEnd(SCHEDULE, to);
  memory.fill(SCHEDULE, 0, HMAC_SIZE);
}

/** SIGNKEY and SEALKEY: a key for one purpose and direction; `purpose` ends with its zero byte. */
export function deriveKey(key: usize, purpose: string, to: usize): void {
  md5Begin();
  md5Update(key, KEY_SIZE);
  String.UTF8.encodeUnsafe(changetype<usize>(purpose), purpose.length, PIECE, true);
  md5Update(PIECE, purpose.length + 1);
  md5End(to);
}

/** The hash that stands for channel bindings: MD5 of a gss_channel_bindings_struct with no addresses. */
export function bindingsHash(bindings: Slice, to: usize): void {
  memory.fill(PIECE, 0, 16);
  store<u32>(PIECE, bindings.len, 16);
  md5Begin();
  md5Update(PIECE, 20);
  md5Update(bindings.ptr, bindings.len);
  md5End(to);
}
