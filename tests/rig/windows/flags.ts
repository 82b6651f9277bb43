/**
 * The flags of least authority.
 *
 * @module
 */

import { type Grant, requiredPermissions } from "../../../ffi/permissions.ts";

/** What openSystem prints for the grants on Windows, and loopback: no prompt can add to it. */
export function leastFlags(grants: readonly Grant[]): string[] {
  const place = { os: "windows", arch: "x86_64", systemDirectory: "C:\\Windows\\System32" } as const;
  return [requiredPermissions(grants, place).deno, "--allow-net=127.0.0.1", "--no-prompt"];
}
