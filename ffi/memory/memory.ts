/**
 * Reads addresses of buffers, and foreign memory, without `UnsafePointer`, which a path-limited `--allow-ffi`
 * refuses: it calls the C library's `memmove` with buffers or addresses.
 *
 * @module
 */

import type { Calls, FnSpec, LibrarySpec } from "../abi.ts";
import { checkWellFormed, messageText, wideText } from "./text.ts";
import { ProtocolError } from "../../errors.ts";
import type { Fields, Struct, Values } from "./struct.ts";

type MemoryLibrary = Omit<LibrarySpec, "fns"> & { readonly fns: typeof MEMORY_FNS };

/** Reads and writes native memory, and returns addresses of buffers. */
export interface Memory {
  /**
   * Returns the address of a buffer's first byte, valid while the buffer is reachable: passing a small array, which
   * is inside the garbage-collected heap, to a foreign function moves it out of the heap permanently.
   */
  addressOf(buffer: Uint8Array): bigint;
  /**
   * Returns a copy of `length` bytes at `address`; the caller must ensure that both are valid. Throws a RangeError
   * for address 0.
   */
  read(address: bigint, length: number): Uint8Array;
  /** Fills `into` from `address`; the caller must ensure that it is valid. */
  readInto(address: bigint, into: Uint8Array): void;
  /** Writes `bytes` at `address`; the caller must ensure that it is valid. */
  write(address: bigint, bytes: Uint8Array): void;
  /** The text of a zero-terminated UTF-8 string; `""` for address 0. Reads at most 64 KiB. */
  cString(address: bigint): string;
  /** The text of a zero-terminated UTF-16 string; `""` for address 0. Reads at most 64 Ki units. */
  wideString(address: bigint): string;
}

/** Returns a new zeroed buffer, which the garbage collector never moves. */
export function pinned(length: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(new ArrayBuffer(length));
}

/**
 * Returns a zero-terminated UTF-8 string in a new buffer.
 *
 * @throws TypeError where it contains a lone surrogate, which UTF-8 cannot encode: it would become another text.
 */
export function cString(text: string): Uint8Array<ArrayBuffer> {
  checkWellFormed(text, "text");
  const bytes = new TextEncoder().encode(text);
  const buffer = pinned(bytes.length + 1);
  buffer.set(bytes);
  return buffer;
}

/**
 * Returns a zero-terminated UTF-16 string in a new buffer, unit by unit: Windows' file names may contain lone
 * surrogates.
 */
export function wideString(text: string): Uint8Array<ArrayBuffer> {
  const buffer = pinned((text.length + 1) * 2);
  const view = new DataView(buffer.buffer);
  for (let index = 0; index < text.length; index++) view.setUint16(index * 2, text.charCodeAt(index), true);
  return buffer;
}

const PAGE = 4096n;
/** The number of bytes of a text of unknown length that one call reads: names are short. */
const PART = 256n;
const MAX_UNITS = 65536;

/** Memory access through a library whose table contains {@linkcode MEMORY_FNS}. */
export function memoryOf(call: Calls<MemoryLibrary>): Memory {
  const readInto = (address: bigint, into: Uint8Array): void => {
    if (into.length === 0) return;
    if (address === 0n) throw new RangeError(`Cannot read ${into.length} bytes at address 0`);
    call.copyFrom(into, address, BigInt(into.length));
  };
  const read = (address: bigint, length: number): Uint8Array => {
    const bytes = pinned(length);
    readInto(address, bytes);
    return bytes;
  };
  const first = pinned(Number(PART));
  // Never reads past the end of a page, so that it never reads a page behind the string.
  const terminated = (address: bigint, unit: number): Uint8Array => {
    const parts: Uint8Array[] = [];
    for (let at = address, total = 0; total < MAX_UNITS * unit;) {
      const rest = PAGE - at % PAGE;
      const length = Number(rest < PART ? rest : PART);
      const part = parts.length === 0 ? first.subarray(0, length) : pinned(length);
      readInto(at, part);
      const end = zeroAt(part, unit);
      parts.push(end < 0 ? part : part.subarray(0, end));
      if (end >= 0) break;
      at += BigInt(part.length);
      total += part.length;
    }
    return parts.length === 1 ? parts[0] : concat(parts);
  };
  return {
    addressOf: (buffer) => call.addressOf(buffer, buffer, 0n),
    read,
    readInto,
    write(address, bytes) {
      if (bytes.length === 0) return;
      if (address === 0n) throw new RangeError(`Cannot write ${bytes.length} bytes at address 0`);
      call.copyTo(address, bytes, BigInt(bytes.length));
    },
    cString: (address) => address === 0n ? "" : messageText(terminated(address, 1)),
    wideString: (address) => address === 0n ? "" : wideText(terminated(address, 2)),
  };
}

function zeroAt(bytes: Uint8Array, unit: number): number {
  for (let index = 0; index + unit <= bytes.length; index += unit) {
    if (bytes[index] === 0 && (unit === 1 || bytes[index + 1] === 0)) return index;
  }
  return -1;
}

function concat(parts: Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** `memmove` under three signatures: reads addresses and memory without `UnsafePointer`. */
export const MEMORY_FNS = {
  addressOf: {
    symbol: "memmove",
    params: [["dest", "buf"], ["src", "buf"], ["count", "usize"]],
    result: "usize",
  },
  copyFrom: {
    symbol: "memmove",
    params: [["dest", "buf"], ["src", "usize"], ["count", "usize"]],
    result: "usize",
  },
  copyTo: {
    symbol: "memmove",
    params: [["dest", "usize"], ["src", "buf"], ["count", "usize"]],
    result: "usize",
  },
} as const satisfies { readonly [name: string]: FnSpec };

/** Reads one file: the machine's policy, where the runtime has no permission to read files. */
export const FILE_FNS = {
  access: { params: [["path", "buf"], ["mode", "i32"]], result: "i32" },
  fopen: { params: [["path", "buf"], ["mode", "buf"]], result: "usize" },
  fread: {
    params: [["buffer", "buf"], ["size", "usize"], ["count", "usize"], ["stream", "usize"]],
    result: "usize",
  },
  fclose: { params: [["stream", "usize"]], result: "i32" },
} as const satisfies { readonly [name: string]: FnSpec };

/**
 * {@linkcode FILE_FNS} under the names of the Windows C library, whose paths are UTF-16. Its `access` returns the
 * error itself, not -1.
 */
export const WIDE_FILE_FNS = {
  access: { symbol: "_waccess_s", params: [["path", "buf"], ["mode", "i32"]], result: "i32" },
  fopen: { symbol: "_wfopen", params: [["path", "buf"], ["mode", "buf"]], result: "usize" },
  fread: FILE_FNS.fread,
  fclose: FILE_FNS.fclose,
} as const satisfies { readonly [name: string]: FnSpec };

/** Copies the structure at an address. @throws ProtocolError where the address is 0. */
export function structAt<F extends Fields>(memory: Memory, address: bigint, layout: Struct<F>): Values<F> {
  return structsAt(memory, address, layout, 1)[0];
}

/**
 * Copies the structures of an array. The caller has limited `count`, which the system returned.
 *
 * @throws ProtocolError where the address is 0.
 */
export function structsAt<F extends Fields>(
  memory: Memory,
  address: bigint,
  layout: Struct<F>,
  count: number,
): Values<F>[] {
  if (count === 0) return [];
  if (address === 0n) throw malformed(`no ${layout.name} where there should be ${count}`);
  const bytes = memory.read(address, count * layout.size);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return Array.from({ length: count }, (_, index) => layout.read(view, index * layout.size));
}

/** Returns the error for an invalid answer of the system. */
export function malformed(problem: string): ProtocolError {
  return new ProtocolError("malformed", `the system's answer is not as documented: ${problem}`);
}
