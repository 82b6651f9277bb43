/**
 * kernel32.dll: handles, the last error, completion ports, events, and the end of the process. No logic.
 *
 * @see https://learn.microsoft.com/windows/win32/fileio/i-o-completion-ports
 * @see https://learn.microsoft.com/windows/win32/sync/event-objects
 * @module
 */

import type { LibrarySpec } from "../abi.ts";
import { type Struct, struct } from "../memory/struct.ts";

/** Handles, the last error, completion ports, events, and the end of the process. */
export const KERNEL32 = {
  name: "kernel32.dll",
  instead: "It is part of Windows",
  files: { windows: ["kernel32.dll"] },
  fns: {
    GetLastError: { params: [], result: "u32" },
    CloseHandle: { params: [["hObject", "usize"]], result: "i32" },
    TerminateProcess: { params: [["hProcess", "usize"], ["uExitCode", "u32"]], result: "i32" },
    CreateIoCompletionPort: {
      params: [
        ["FileHandle", "usize"],
        ["ExistingCompletionPort", "usize"],
        ["CompletionKey", "usize"],
        ["NumberOfConcurrentThreads", "u32"],
      ],
      result: "usize",
    },
    GetQueuedCompletionStatusEx: {
      params: [
        ["CompletionPort", "usize"],
        ["lpCompletionPortEntries", "buf"],
        ["ulCount", "u32"],
        ["ulNumEntriesRemoved", "buf"],
        ["dwMilliseconds", "u32"],
        ["fAlertable", "i32"],
      ],
      result: "i32",
      threaded: "endless",
    },
    PostQueuedCompletionStatus: {
      params: [
        ["CompletionPort", "usize"],
        ["dwNumberOfBytesTransferred", "u32"],
        ["dwCompletionKey", "usize"],
        ["lpOverlapped", "usize"],
      ],
      result: "i32",
    },
    SetFileCompletionNotificationModes: {
      params: [["FileHandle", "usize"], ["Flags", "u8"]],
      result: "i32",
    },
    CancelIoEx: { params: [["hFile", "usize"], ["lpOverlapped", "usize"]], result: "i32" },
    CreateEventW: {
      params: [
        ["lpEventAttributes", "usize"],
        ["bManualReset", "i32"],
        ["bInitialState", "i32"],
        ["lpName", "buf"],
      ],
      result: "usize",
    },
    SetEvent: { params: [["hEvent", "usize"]], result: "i32" },
    /** `lpHandles`: an array of at most {@linkcode MAXIMUM_WAIT_OBJECTS} handles, read by the call itself. */
    WaitForMultipleObjects: {
      params: [
        ["nCount", "u32"],
        ["lpHandles", "buf"],
        ["bWaitAll", "i32"],
        ["dwMilliseconds", "u32"],
      ],
      result: "u32",
      threaded: "endless",
    },
  },
} as const satisfies LibrarySpec;

/** Fields of {@linkcode OVERLAPPED}. */
export const OVERLAPPED_FIELDS = {
  Internal: "usize",
  InternalHigh: "usize",
  Offset: "u32",
  OffsetHigh: "u32",
  hEvent: "ptr",
} as const;
/** `OVERLAPPED`: `Internal` is the operation's NTSTATUS, `InternalHigh` the bytes moved. */
export const OVERLAPPED: Struct<typeof OVERLAPPED_FIELDS> = struct("OVERLAPPED", OVERLAPPED_FIELDS);

/** Fields of {@linkcode OVERLAPPED_ENTRY}. */
export const OVERLAPPED_ENTRY_FIELDS = {
  lpCompletionKey: "usize",
  lpOverlapped: "ptr",
  Internal: "usize",
  dwNumberOfBytesTransferred: "u32",
} as const;
/** `OVERLAPPED_ENTRY`: one completion. */
export const OVERLAPPED_ENTRY: Struct<typeof OVERLAPPED_ENTRY_FIELDS> = struct(
  "OVERLAPPED_ENTRY",
  OVERLAPPED_ENTRY_FIELDS,
);

/** An operation that succeeds immediately sends no completion; a mode of `SetFileCompletionNotificationModes`. */
export const FILE_SKIP_COMPLETION_PORT_ON_SUCCESS = 0x1;

/** Not an error: an overlapped operation has begun. */
export const ERROR_IO_PENDING = 997;

/** Waits without end. */
export const INFINITE = 0xffff_ffff;
/** The most handles of one wait. */
export const MAXIMUM_WAIT_OBJECTS = 64;
/** The result of a wait that the first handle ended; the results for the other handles follow. */
export const WAIT_OBJECT_0 = 0;
/** The result of a wait whose time-out has expired. */
export const WAIT_TIMEOUT = 258;
/** The result of a failed wait; the last error is the reason. */
export const WAIT_FAILED = 0xffff_ffff;

/** The result of a function that returns a handle, where it failed. */
export const INVALID_HANDLE_VALUE = 0xffff_ffff_ffff_ffffn;
