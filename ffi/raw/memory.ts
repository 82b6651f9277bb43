/**
 * The parts of the C library that other tables include. On Unix any library's handle finds them among the
 * library's own dependencies, so that no further file needs a permission; on Windows ucrtbase.dll has them.
 * No logic.
 *
 * @module
 */

import type { FnSpec } from "../abi.ts";
import type { Fields } from "../struct.ts";

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

/**
 * What ends a process at a time of its own: Linux has all of it, older glibc (before 2.34) without the timers. On other
 * systems `timer_create` is missing, or starts no thread.
 *
 * @see https://pubs.opengroup.org/onlinepubs/9799919799/functions/timer_create.html
 */
export const EXIT_FNS = {
  dlsym: { params: [["handle", "usize"], ["name", "buf"]], result: "usize", optional: true },
  timer_create: {
    params: [["clockid", "i32"], ["sevp", "buf"], ["timerid", "buf"]],
    result: "i32",
    optional: true,
  },
  timer_settime: {
    params: [["timerid", "usize"], ["flags", "i32"], ["new_value", "buf"], ["old_value", "buf"]],
    result: "i32",
    optional: true,
  },
} as const satisfies { readonly [name: string]: FnSpec };

/** `CLOCK_MONOTONIC` */
export const CLOCK_MONOTONIC = 1;
/** `SIGEV_THREAD`: the timer calls a function on a thread of its own. */
export const SIGEV_THREAD = 2;

/** `struct sigevent` with what `SIGEV_THREAD` uses; 64 bytes in all. */
export const SIGEVENT_FIELDS = {
  sigev_value: "usize",
  sigev_signo: "i32",
  sigev_notify: "i32",
  sigev_notify_function: "ptr",
  sigev_notify_attributes: "ptr",
  reserved: ["u8", 32],
} as const satisfies Fields;

/** `struct itimerspec` on 64-bit Linux. */
export const ITIMERSPEC_FIELDS = {
  interval_sec: "i64",
  interval_nsec: "i64",
  value_sec: "i64",
  value_nsec: "i64",
} as const satisfies Fields;
