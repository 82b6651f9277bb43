/**
 * Reports whether a file has changed, through the C library: a library that is open anyway needs no permission to read
 * files.
 *
 * @module
 */

import type { FnSpec } from "../abi.ts";
import { pinned } from "./memory.ts";

/** `statx` of Linux, which other systems do not have, and `readlink`. */
export const STAT_FNS = {
  statx: {
    params: [["dirfd", "i32"], ["path", "buf"], ["flags", "i32"], ["mask", "u32"], ["statx", "buf"]],
    result: "i32",
    optional: true,
  },
  readlink: { params: [["path", "buf"], ["target", "buf"], ["size", "usize"]], result: "i64" },
} as const satisfies { readonly [name: string]: FnSpec };

/** The functions in {@linkcode STAT_FNS}, ready to call. */
export interface StatCalls {
  statx(dirfd: number, path: Uint8Array, flags: number, mask: number, statx: Uint8Array): number;
  readlink(path: Uint8Array, target: Uint8Array, size: bigint): bigint;
}

/** The state of a file at one time. Compare it with {@linkcode isSameState}. */
export interface FileState {
  /** `struct statx`. */
  readonly bytes: Uint8Array;
  /** The time of the last change of contents or rights, in milliseconds since 1970. */
  readonly changedMs: number;
}

const AT_FDCWD = -100;
const AT_SYMLINK_NOFOLLOW = 0x100;
/** Everything that `stat` returns. */
const STATX_BASIC_STATS = 0x7ff;
const STATX_BYTES = 256;
/** What changes whenever the file becomes another: mode, inode and size; both times of change; the device. */
const COMPARED: readonly (readonly [from: number, to: number])[] = [[20, 48], [96, 124], [136, 144]];
const CTIME_AT = 96;
/** A file system may give two changes within this time the same time. */
const SETTLED_MS = 2000;

/** Where `statx` writes; no call waits. */
const scratch = pinned(STATX_BYTES);

function stat(call: StatCalls, path: Uint8Array): boolean {
  try {
    return call.statx(AT_FDCWD, path, 0, STATX_BASIC_STATS, scratch) === 0;
  } catch {
    // A system without it.
    return false;
  }
}

/**
 * Returns the file's state; `null` where it cannot be known: no such file, or a system without `statx`.
 *
 * @param path the path, as `cString` makes it.
 */
export function fileState(call: StatCalls, path: Uint8Array): FileState | null {
  if (!stat(call, path)) return null;
  const bytes = scratch.slice();
  const view = new DataView(bytes.buffer);
  const seconds = Number(view.getBigInt64(CTIME_AT, true));
  return { bytes, changedMs: seconds * 1000 + view.getUint32(CTIME_AT + 8, true) / 1e6 };
}

/** Whether there is nothing with this name, not even a link to nothing. Its folder must exist and be searchable. */
export function isNothing(call: StatCalls, path: Uint8Array): boolean {
  return call.statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, scratch) !== 0;
}

/** Whether there is a symbolic link with this name, whatever it leads to. */
export function isLink(call: Pick<StatCalls, "readlink">, path: Uint8Array): boolean {
  return call.readlink(path, scratch, BigInt(scratch.length)) >= 0n;
}

/** Whether the file has this state still; `false` where that cannot be known. */
export function hasState(call: StatCalls, path: Uint8Array, { bytes }: FileState): boolean {
  return stat(call, path) && isSame(bytes, scratch);
}

/** Whether nothing was changed between the two times. */
export function isSameState(one: FileState, other: FileState): boolean {
  return isSame(one.bytes, other.bytes);
}

function isSame(one: Uint8Array, other: Uint8Array): boolean {
  for (const [from, to] of COMPARED) {
    for (let at = from; at < to; at++) if (one[at] !== other[at]) return false;
  }
  return true;
}

/**
 * Whether a change from now on will show: a file that was changed a moment ago may change again without another time
 * of change.
 */
export function isSettled({ changedMs }: FileState): boolean {
  const age = Date.now() - changedMs;
  return age > SETTLED_MS;
}
