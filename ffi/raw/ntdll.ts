/**
 * ntdll.dll: what the status of an overlapped operation is called in Win32. No logic.
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
