/**
 * Reads a password without showing it.
 *
 * @module
 */

import process from "node:process";
import { Interrupted, type Io } from "./io.ts";

/** A password that is longer is refused. */
const MAX_BYTES = 65_536;
const ENTER = [0x0a, 0x0d], END = 0x04, INTERRUPT = 0x03, ERASE = [0x08, 0x7f], ERASE_ALL = 0x15;

/**
 * Reads a password: from a terminal one line, which is not shown, else all of standard input without its last line
 * break. The caller zeroes the bytes, which are UTF-8.
 *
 * @throws RangeError where it is too long; Interrupted by Ctrl+C.
 */
export async function readSecret(prompt: string, io: Io): Promise<Uint8Array> {
  if (!io.isTerminal.stdin) return await readAll(io);
  // In this order: what is typed before would be shown.
  process.stdin.setRawMode(true);
  process.stderr.write(prompt);
  try {
    return await readLine(io);
  } finally {
    process.stdin.setRawMode(false);
    process.stderr.write("\n");
  }
}

async function readAll(io: Io): Promise<Uint8Array> {
  const bytes = new Uint8Array(MAX_BYTES);
  let length = 0;
  for await (const chunk of io.input()) {
    if (length + chunk.length > MAX_BYTES) throw tooLong();
    bytes.set(chunk, length);
    length += chunk.length;
    chunk.fill(0);
  }
  if (bytes[length - 1] === 0x0a) length--;
  if (bytes[length - 1] === 0x0d) length--;
  return take(bytes, length);
}

async function readLine(io: Io): Promise<Uint8Array> {
  const bytes = new Uint8Array(MAX_BYTES);
  let length = 0;
  for await (const chunk of io.input()) {
    for (const byte of chunk) {
      if (ENTER.includes(byte) || byte === END) {
        chunk.fill(0);
        return take(bytes, length);
      }
      if (byte === INTERRUPT) throw new Interrupted("interrupted by Ctrl+C");
      if (byte === ERASE_ALL) length = 0;
      else if (ERASE.includes(byte)) length = withoutLastCharacter(bytes, length);
      else if (length === MAX_BYTES) throw tooLong();
      else bytes[length++] = byte;
    }
    chunk.fill(0);
  }
  return take(bytes, length);
}

/** A character of UTF-8 begins with the last byte that does not continue one. */
function withoutLastCharacter(bytes: Uint8Array, length: number): number {
  let end = Math.max(0, length - 1);
  while (end > 0 && (bytes[end] & 0xc0) === 0x80) end--;
  return end;
}

function take(bytes: Uint8Array, length: number): Uint8Array {
  const taken = bytes.slice(0, length);
  bytes.fill(0);
  return taken;
}

function tooLong(): RangeError {
  return new RangeError(`the password is longer than ${MAX_BYTES} bytes`);
}
