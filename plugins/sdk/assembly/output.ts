/** The response, built in one buffer that is reused. */

import { Status } from "./abi";
import { Buffer, Slice } from "./memory";

const buffer = new Buffer(4096);
let length: u32 = 0;

/** Starts a response with status `ok`; what was written before is dropped. */
export function begin(): void {
  length = 0;
  word(Status.Ok);
}

/** Starts over with another status. */
export function restart(status: Status): void {
  memory.fill(buffer.ptr, 0, length);
  length = 0;
  word(status);
}

/** The status of the response so far. */
export function status(): u32 {
  return load<u32>(buffer.ptr);
}

/** Makes room for `count` more bytes and returns where they go; the caller fills all of them. */
export function reserve(count: u32): usize {
  buffer.ensure(length + count, length);
  const place = buffer.ptr + length;
  length += count;
  return place;
}

/** Takes the last `count` bytes back. */
export function shrink(count: u32): void {
  if (count > length) unreachable();
  length -= count;
}

export function byte(value: u32): void {
  store<u8>(reserve(1), value);
}

export function word(value: u32): void {
  store<u32>(reserve(4), value);
}

export function long(value: u64): void {
  store<u64>(reserve(8), value);
}

export function flag(value: bool): void {
  byte(value ? 1 : 0);
}

/** `len` bytes without their length. */
export function raw(ptr: usize, len: u32): void {
  memory.copy(reserve(len), ptr, len);
}

/** A length and that many bytes. */
export function bytes(value: Slice): void {
  word(value.len);
  raw(value.ptr, value.len);
}

/** A flag, and where `value` is there, the bytes. */
export function optional(value: Slice | null): void {
  flag(value !== null);
  if (value !== null) bytes(value);
}

/** Text with its length. */
export function text(value: string): void {
  word(<u32> String.UTF8.byteLength(value));
  restText(value);
}

/** Text without its length. */
export function restText(value: string): void {
  const len = <u32> String.UTF8.byteLength(value);
  String.UTF8.encodeUnsafe(changetype<usize>(value), value.length, reserve(len));
}

/** The finished response as `call` returns it. */
export function finish(): u64 {
  return (<u64> buffer.ptr << 32) | <u64> length;
}
