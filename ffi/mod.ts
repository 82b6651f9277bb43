/**
 * The native layer as it is: tables, layouts and constants under the names of their headers, and security contexts
 * without sockets around them. It follows the systems it binds, so it may change with any release.
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
export type { Grant, RequiredPermissions } from "./permissions.ts";
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
 * A library's functions as they are: what is passed to them is not checked, and what they return is a status.
 *
 * @param system who opens the library, and closes it with itself.
 * @param grant the grant it stands under; the system must hold it.
 * @param spec one of the tables of this module.
 * @throws PermissionError, UnsupportedPlatformError, StateError (closed); TypeError where `system` is none.
 */
export function openLibrary<L extends LibrarySpec>(
  system: System,
  grant: Grant,
  spec: L,
): Omit<Library<L>, "close"> {
  // Without close(): it is the system's, and whatever else goes through the system would run into unmapped code.
  const { path, call, threaded } = nativeSystem(system).library(grant, spec);
  return { path, call, threaded };
}
