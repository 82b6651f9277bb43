/** The request's fields in order. A request that ends early is the host's mistake: it traps. */

import { Slice } from "./memory";

let at: usize = 0;
let end: usize = 0;

function take(count: u32): usize {
  const start = at;
  if (<usize> count > end - start) unreachable();
  at = start + count;
  return start;
}

/** Starts on a request. */
export function begin(ptr: usize, len: u32): void {
  at = ptr;
  end = ptr + len;
}

export function byte(): u32 {
  return load<u8>(take(1));
}

export function word(): u32 {
  return load<u32>(take(4));
}

export function long(): i64 {
  return load<i64>(take(8));
}

export function flag(): bool {
  return byte() != 0;
}

/** A length and that many bytes: valid during this call only. */
export function bytes(): Slice {
  const len = word();
  return new Slice(take(len), len);
}

/** A flag, and where it is 1, bytes. */
export function optional(): Slice | null {
  return flag() ? bytes() : null;
}

/** Where the rest begins; nothing is allocated. */
export function restPtr(): usize {
  return at;
}

/** How long the rest is. */
export function restLen(): u32 {
  return <u32> (end - at);
}

/** Passes over `count` bytes and returns where they begin; nothing is allocated. */
export function skip(count: u32): usize {
  return take(count);
}
