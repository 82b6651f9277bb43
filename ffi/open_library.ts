/**
 * Raw access to functions for which this library has no safe form.
 *
 * @module
 */

import type { Library, LibrarySpec } from "./abi.ts";
import type { Grant } from "./permissions.ts";
import { nativeSystem, type System } from "./system.ts";

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
