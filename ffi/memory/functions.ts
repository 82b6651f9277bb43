/**
 * The parts of the C library that other tables include. On Unix any library's handle finds them among the
 * library's own dependencies, so that no further file needs a permission; on Windows ucrtbase.dll has them.
 * No logic.
 *
 * @module
 */

import type { FnSpec } from "../abi.ts";

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
