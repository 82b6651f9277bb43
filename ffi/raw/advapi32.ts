/**
 * advapi32.dll: access tokens and their accounts. No logic.
 *
 * @see https://learn.microsoft.com/windows/win32/api/securitybaseapi/
 * @module
 */

import type { LibrarySpec } from "../abi.ts";
import { type Struct, struct } from "../memory/struct.ts";

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
    ImpersonateLoggedOnUser: { params: [["hToken", "usize"]], result: "i32" },
    RevertToSelf: { params: [], result: "i32" },
    DuplicateTokenEx: {
      params: [
        ["hExistingToken", "usize"],
        ["dwDesiredAccess", "u32"],
        ["lpTokenAttributes", "usize"],
        ["ImpersonationLevel", "i32"],
        ["TokenType", "i32"],
        ["phNewToken", "buf"],
      ],
      result: "i32",
    },
    CheckTokenMembership: {
      params: [["TokenHandle", "usize"], ["SidToCheck", "buf"], ["IsMember", "buf"]],
      result: "i32",
    },
    LookupAccountSidW: {
      params: [
        ["lpSystemName", "buf"],
        ["Sid", "buf"],
        ["Name", "buf"],
        ["cchName", "buf"],
        ["ReferencedDomainName", "buf"],
        ["cchReferencedDomainName", "buf"],
        ["peUse", "buf"],
      ],
      result: "i32",
    },
    OpenSCManagerW: {
      params: [["lpMachineName", "buf"], ["lpDatabaseName", "buf"], ["dwDesiredAccess", "u32"]],
      result: "usize",
      optional: true,
    },
    OpenServiceW: {
      params: [["hSCManager", "usize"], ["lpServiceName", "buf"], ["dwDesiredAccess", "u32"]],
      result: "usize",
      optional: true,
    },
    QueryServiceStatus: {
      params: [["hService", "usize"], ["lpServiceStatus", "buf"]],
      result: "i32",
      optional: true,
    },
    CloseServiceHandle: { params: [["hSCObject", "usize"]], result: "i32", optional: true },
    LookupAccountNameW: {
      params: [
        ["lpSystemName", "buf"],
        ["lpAccountName", "buf"],
        ["Sid", "buf"],
        ["cbSid", "buf"],
        ["ReferencedDomainName", "buf"],
        ["cchReferencedDomainName", "buf"],
        ["peUse", "buf"],
      ],
      result: "i32",
    },
  },
} as const satisfies LibrarySpec;

/** Fields of {@linkcode SID_AND_ATTRIBUTES}. */
export const SID_AND_ATTRIBUTES_FIELDS = { Sid: "ptr", Attributes: "u32" } as const;
/** `SID_AND_ATTRIBUTES`: `TokenUser` returns one, `TokenGroups` a count (8 bytes with padding) and an array. */
export const SID_AND_ATTRIBUTES: Struct<typeof SID_AND_ATTRIBUTES_FIELDS> = struct(
  "SID_AND_ATTRIBUTES",
  SID_AND_ATTRIBUTES_FIELDS,
);

/** Token access rights, information classes, pseudo handles and codes. */
export const TOKEN = {
  /** `TOKEN_DUPLICATE` */
  DUPLICATE: 0x2,
  /** `TOKEN_IMPERSONATE` */
  IMPERSONATE: 0x4,
  /** `TOKEN_QUERY` */
  QUERY: 0x8,
  /** `TokenType` of `TOKEN_INFORMATION_CLASS` */
  TYPE: 8,
  /** `TokenImpersonationLevel` of `TOKEN_INFORMATION_CLASS` */
  IMPERSONATION_LEVEL: 9,
  /** `ERROR_NO_TOKEN` */
  ERROR_NO_TOKEN: 1008,
  /** What GetCurrentThread() returns. */
  CURRENT_THREAD: 0xffff_ffff_ffff_fffen,
  /** What GetCurrentProcess() returns. */
  CURRENT_PROCESS: 0xffff_ffff_ffff_ffffn,
} as const;

/** The right to connect to the service control manager. */
export const SC_MANAGER_CONNECT = 0x1;
/** The right to query a service's state. */
export const SERVICE_QUERY_STATUS = 0x4;
/** The state of a running service. */
export const SERVICE_RUNNING = 4;

/** The fields of a `SERVICE_STATUS`. */
export const SERVICE_STATUS_FIELDS = {
  dwServiceType: "u32",
  dwCurrentState: "u32",
  dwControlsAccepted: "u32",
  dwWin32ExitCode: "u32",
  dwServiceSpecificExitCode: "u32",
  dwCheckPoint: "u32",
  dwWaitHint: "u32",
} as const;
/** The state of a service. */
export const SERVICE_STATUS: Struct<typeof SERVICE_STATUS_FIELDS> = struct(
  "SERVICE_STATUS",
  SERVICE_STATUS_FIELDS,
);

/** `TOKEN_INFORMATION_CLASS`: the account. */
export const TokenUser = 1;
/** `TOKEN_INFORMATION_CLASS`: its groups. */
export const TokenGroups = 2;
/** `TOKEN_TYPE` of a token a process runs with. */
export const TokenPrimary = 1;
/** `TOKEN_TYPE` of a token a thread can carry. */
export const TokenImpersonation = 2;
/** `SECURITY_IMPERSONATION_LEVEL`: enough for `CheckTokenMembership`. */
export const SecurityIdentification = 1;
/** `SE_GROUP_ENABLED`: the group counts in access checks. */
export const SE_GROUP_ENABLED = 4;
/** `SE_GROUP_USE_FOR_DENY_ONLY`: the group is used only to deny access. */
export const SE_GROUP_USE_FOR_DENY_ONLY = 16;
/** The longest SID. */
export const SECURITY_MAX_SID_SIZE = 68;
