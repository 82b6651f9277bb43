/**
 * advapi32.dll and kernel32.dll: what impersonation needs. No logic.
 *
 * @see https://learn.microsoft.com/windows/win32/api/securitybaseapi/
 * @module
 */

import type { LibrarySpec } from "../abi.ts";

/** Access tokens. */
export const ADVAPI32 = {
  name: "advapi32.dll",
  instead: "It is part of Windows",
  files: { windows: ["advapi32.dll"] },
  fns: {
    OpenThreadToken: {
      params: [
        ["ThreadHandle", "usize"],
        ["DesiredAccess", "u32"],
        ["OpenAsSelf", "i32"],
        ["TokenHandle", "buf"],
      ],
      result: "i32",
    },
    GetTokenInformation: {
      params: [
        ["TokenHandle", "usize"],
        ["TokenInformationClass", "i32"],
        ["TokenInformation", "buf"],
        ["TokenInformationLength", "u32"],
        ["ReturnLength", "buf"],
      ],
      result: "i32",
    },
    RevertToSelf: { params: [], result: "i32" },
  },
} as const satisfies LibrarySpec;

/** Handles, the last error, and the end of the process. */
export const KERNEL32 = {
  name: "kernel32.dll",
  instead: "It is part of Windows",
  files: { windows: ["kernel32.dll"] },
  fns: {
    GetLastError: { params: [], result: "u32" },
    CloseHandle: { params: [["hObject", "usize"]], result: "i32" },
    TerminateProcess: { params: [["hProcess", "usize"], ["uExitCode", "u32"]], result: "i32" },
  },
} as const satisfies LibrarySpec;

/** Token access rights, information classes, pseudo handles and codes. */
export const TOKEN = {
  /** `TOKEN_QUERY` */
  QUERY: 0x8,
  /** `TokenImpersonationLevel` of `TOKEN_INFORMATION_CLASS` */
  IMPERSONATION_LEVEL: 9,
  /** `ERROR_NO_TOKEN` */
  ERROR_NO_TOKEN: 1008,
  /** What GetCurrentThread() returns. */
  CURRENT_THREAD: 0xffff_ffff_ffff_fffen,
  /** What GetCurrentProcess() returns. */
  CURRENT_PROCESS: 0xffff_ffff_ffff_ffffn,
} as const;
