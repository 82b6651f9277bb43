/**
 * ntdll.dll: converts the status of an overlapped operation to a Win32 code. No logic.
 *
 * @module
 */

import type { LibrarySpec } from "../abi.ts";

/** Statuses of the native layer. */
export const NTDLL = {
  name: "ntdll.dll",
  instead: "It is part of Windows",
  files: { windows: ["ntdll.dll"] },
  fns: {
    RtlNtStatusToDosError: { params: [["Status", "u32"]], result: "u32" },
  },
} as const satisfies LibrarySpec;
