/**
 * The native layer as it is: tables, layouts and constants under the names of their headers, and security contexts
 * without sockets around them. It follows the systems it binds, so it may change with any release.
 *
 * @module
 */

export type * from "../contract.ts";
export type * from "./abi.ts";
export { openLibrary } from "./open_library.ts";
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
