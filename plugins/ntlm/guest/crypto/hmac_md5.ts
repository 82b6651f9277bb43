/** HMAC-MD5 (RFC 2104). A schedule holds what a key makes of both states, so that a key costs its blocks once. */

import { MD5_SIZE, md5Begin, md5End, md5Resume, md5Suspend, md5Update } from "./md5";

/** Bytes of a schedule. */
export const HMAC_SIZE: usize = 32;

const BLOCK: usize = memory.data(64, 16);
const INNER: usize = memory.data(16, 16);
const PASSING: usize = memory.data(32, 16);

function pad(key: usize, length: usize, byte: u8, state: usize): void {
  memory.fill(BLOCK, byte, 64);
  for (let at: usize = 0; at < length; at++) store<u8>(BLOCK + at, load<u8>(key + at) ^ byte);
  md5Begin();
  md5Update(BLOCK, 64);
  md5Suspend(state);
}

/** Makes the schedule of a key of at most 64 bytes. */
export function hmacSchedule(key: usize, length: usize, schedule: usize): void {
  pad(key, length, 0x36, schedule);
  pad(key, length, 0x5c, schedule + MD5_SIZE);
  memory.fill(BLOCK, 0, 64);
}

/** Begins a code; `md5Update` takes in its pieces. */
export function hmacBegin(schedule: usize): void {
  md5Resume(schedule, 64);
}

/** Ends the code begun with the same schedule: its 16 bytes go to `to`. */
export function hmacEnd(schedule: usize, to: usize): void {
  md5End(INNER);
  md5Resume(schedule + MD5_SIZE, 64);
  md5Update(INNER, MD5_SIZE);
  md5End(to);
  memory.fill(INNER, 0, MD5_SIZE);
}

/** The code of one piece under a key of 16 bytes. */
export function hmac(key: usize, from: usize, length: usize, to: usize): void {
  hmacSchedule(key, 16, PASSING);
  hmacBegin(PASSING);
  md5Update(from, length);
  hmacEnd(PASSING, to);
  memory.fill(PASSING, 0, HMAC_SIZE);
}
