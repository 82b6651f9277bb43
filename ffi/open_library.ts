/**
 * Raw access for those who need a function this library has no safe form of.
 *
 * @module
 */

import type { Library, LibrarySpec } from "./abi.ts";
import type { Grant } from "./permissions.ts";
import { nativeSystem, type System } from "./system.ts";

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
