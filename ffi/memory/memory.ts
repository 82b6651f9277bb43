/**
 * Addresses of buffers and reading of foreign memory without `UnsafePointer`, which a path-limited `--allow-ffi`
 * refuses: the C library's `memmove` is called with buffers and addresses in turn.
 *
 * @module
 */

import type { Calls, FnSpec, LibrarySpec } from "../abi.ts";
import { checkWellFormed, messageText, wideText } from "./text.ts";
import { ProtocolError } from "../../errors.ts";
import type { Fields, Struct, Values } from "./struct.ts";

type MemoryLibrary = Omit<LibrarySpec, "fns"> & { readonly fns: typeof MEMORY_FNS };

/** Reads and addresses native memory. */
export interface Memory {
  /**
   * The address of a buffer's first byte, true for as long as the buffer is reachable: handing a small array, which
   * lives inside the collected heap, to a foreign function moves it out of there for good.
   */
  addressOf(buffer: Uint8Array): bigint;
  /** A copy of `length` bytes at `address`; the caller vouches for both. Throws a RangeError for address 0. */
  read(address: bigint, length: number): Uint8Array;
  /** Fills `into` from `address`; the caller vouches for it. */
  readInto(address: bigint, into: Uint8Array): void;
  /** Writes `bytes` at `address`; the caller vouches for it. */
  write(address: bigint, bytes: Uint8Array): void;
  /** The text of a zero-terminated UTF-8 string; `""` for address 0. Reads at most 64 KiB. */
  cString(address: bigint): string;
  /** The text of a zero-terminated UTF-16 string; `""` for address 0. Reads at most 64 Ki units. */
  wideString(address: bigint): string;
}

/** A zeroed buffer of its own, which the garbage collector never moves. */
export function pinned(length: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(new ArrayBuffer(length));
}

/**
 * A zero-terminated UTF-8 string in a buffer of its own.
 *
 * @throws TypeError where it holds half of a surrogate pair, which has no UTF-8: it would become another text.
 */
export function cString(text: string): Uint8Array<ArrayBuffer> {
  checkWellFormed(text, "text");
  const bytes = new TextEncoder().encode(text);
  const buffer = pinned(bytes.length + 1);
  buffer.set(bytes);
  return buffer;
}

/** A zero-terminated UTF-16 string in a buffer of its own, unit by unit: Windows' file names need not be pairs. */
export function wideString(text: string): Uint8Array<ArrayBuffer> {
  const buffer = pinned((text.length + 1) * 2);
  const view = new DataView(buffer.buffer);
  for (let index = 0; index < text.length; index++) view.setUint16(index * 2, text.charCodeAt(index), true);
  return buffer;
}

const PAGE = 4096n;
/** As much of a text of unknown length as is read at once: names are short. */
const PART = 256n;
const MAX_UNITS = 65536;

/** Memory access through a library whose table holds {@linkcode MEMORY_FNS}. */
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
  // Never past the end of a page, so that it never touches one the string does not reach.
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

/** `memmove` under three signatures: how memory is addressed and read without `UnsafePointer`. */
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

/** Reading one file: how a machine policy is read where the runtime's own file access was not granted. */
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

/** The structure at an address. @throws ProtocolError where the system gave none. */
export function structAt<F extends Fields>(memory: Memory, address: bigint, layout: Struct<F>): Values<F> {
  return structsAt(memory, address, layout, 1)[0];
}

/**
 * The structures of an array. How many there are is the system's word: the caller has bounded it.
 *
 * @throws ProtocolError where the system gave none.
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

/** What the system told cannot be. */
export function malformed(problem: string): ProtocolError {
  return new ProtocolError("malformed", `the system's answer is not as documented: ${problem}`);
}
