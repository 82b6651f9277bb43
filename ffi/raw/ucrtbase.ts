/**
 * ucrtbase.dll: Windows' C library. No logic.
 *
 * @module
 */

import type { LibrarySpec } from "../abi.ts";
import { MEMORY_FNS, WIDE_FILE_FNS } from "./memory.ts";

/** Windows' C library. */
export const UCRTBASE = {
  name: "ucrtbase.dll",
  instead: "It is part of Windows 10 and later",
  files: { windows: ["ucrtbase.dll"] },
  fns: { ...MEMORY_FNS, ...WIDE_FILE_FNS },
} as const satisfies LibrarySpec;
