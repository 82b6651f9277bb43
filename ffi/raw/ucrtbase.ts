/**
 * ucrtbase.dll: Windows' C library. No logic.
 *
 * @module
 */

import type { LibrarySpec } from "../abi.ts";
import { MEMORY_FNS, WIDE_FILE_FNS } from "../memory/memory.ts";

/** Windows' C library. */
export const UCRTBASE = {
  name: "ucrtbase.dll",
  instead: "It is part of Windows 10 and later",
  files: { windows: ["ucrtbase.dll"] },
  fns: {
    ...MEMORY_FNS,
    ...WIDE_FILE_FNS,
    /**
     * Writes the system's local date, `mm/dd/yy`, to a buffer of at least 9 bytes; returns 0 on success.
     *
     * @see https://learn.microsoft.com/cpp/c-runtime-library/reference/strdate-s-wstrdate-s
     */
    _strdate_s: { params: [["buffer", "buf"], ["size", "usize"]], result: "i32" },
    /**
     * Writes the system's local time, `hh:mm:ss`, in the same way.
     *
     * @see https://learn.microsoft.com/cpp/c-runtime-library/reference/strtime-s-wstrtime-s
     */
    _strtime_s: { params: [["buffer", "buf"], ["size", "usize"]], result: "i32" },
  },
} as const satisfies LibrarySpec;
