/**
 * Opens system libraries for tests that look below the library's own safe owners.
 */

import type { Backend, Library, LibrarySpec } from "../../../ffi/abi.ts";
import { denoBackend } from "../../../ffi/backends/deno.ts";
import { koffiBackend } from "../../../ffi/backends/koffi.ts";
import { currentRuntime } from "../../../ffi/permissions.ts";

/** The runtime's own way to call native code. */
export function backend(): Backend {
  return currentRuntime() === "deno" ? denoBackend() : koffiBackend();
}

/** Opens a library of the system directory; the caller closes it. */
export function openLibrary<L extends LibrarySpec>(spec: L): Library<L> {
  return backend().open(`C:\\Windows\\System32\\${spec.files.windows![0]}`, spec);
}
