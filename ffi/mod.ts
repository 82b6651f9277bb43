/**
 * The native layer: tables of functions, layouts and constants under the names of their headers, and security
 * contexts without sockets. It follows the operating systems, so any release may change it.
 *
 * @module
 */

import type { Library, LibrarySpec } from "./abi.ts";
import type { Grant } from "./permissions.ts";
import { nativeSystem, type System } from "./system.ts";

export type * from "../contract.ts";
export type {
  AbiArgument,
  AbiArguments,
  AbiResult,
  AbiType,
  Backend,
  Calls,
  FnSpec,
  Library,
  LibraryOs,
  LibrarySpec,
  Threaded,
  ThreadedCalls,
} from "./abi.ts";
export type { Grant, OptionalFiles, RequiredPermissions } from "./permissions.ts";
export type { System } from "./system.ts";
export { cString, type Memory, pinned, wideString } from "./memory/memory.ts";
export * from "./raw/advapi32.ts";
export * from "./raw/fwpuclnt.ts";
export * from "./raw/gssapi.ts";
export * from "./raw/kernel32.ts";
export * from "./raw/mswsock.ts";
export * from "./raw/ntdll.ts";
export * from "./raw/oleaut32.ts";
export * from "./raw/secur32.ts";
export * from "./raw/ucrtbase.ts";
export * from "./raw/wfp.ts";
export * from "./raw/winsock_status.ts";
export * from "./raw/ws2_32.ts";
export { struct } from "./memory/struct.ts";
export type { Field, Fields, Scalar, Struct, Value, Values } from "./memory/struct.ts";

/**
 * Opens a native library and returns its functions. Arguments are not checked, and results are the functions' own
 * statuses.
 *
 * @param system opens the library, and closes it when it is closed itself.
 * @param grant the grant that covers the library; the system must have it.
 * @param spec one of the tables of this module.
 * @throws PermissionError, UnsupportedPlatformError, StateError (closed); TypeError where `system` is not from
 * `openSystem()`.
 */
export function openLibrary<L extends LibrarySpec>(
  system: System,
  grant: Grant,
  spec: L,
): Omit<Library<L>, "close"> {
  // Without close(): the system closes the library. Closed earlier, other users of the system would call unmapped
  // code.
  const { path, call, threaded } = nativeSystem(system).library(grant, spec);
  return { path, call, threaded };
}
