/**
 * Reports a connection's security association as plain JSON.
 *
 * @module
 */

import type { Association } from "../../ffi/ipsec/associations.ts";
import type { Transform } from "../../ffi/ipsec/transform.ts";
import type { JsonValue } from "../../contract.ts";

/**
 * Describes an association for `SecurityInfo.details`.
 *
 * @param read The association, or the reason why it cannot be read; `null` if there is none.
 */
export function associationDetails(read: Association | string | null): JsonValue {
  if (read === null || typeof read === "string") return read ?? "none";
  const { authentication, cipher, integrity, lifetimeSeconds, quickMode } = read;
  return {
    authentication,
    mainModeCipher: cipher,
    mainModeIntegrity: integrity,
    lifetimeSeconds,
    quickMode: quickMode as JsonValue,
  };
}

/**
 * Returns the transform with which quick mode leaves packets unprotected although the connection counts as secured,
 * or `null`. With `esp-auth-fw` "the entire session is then sent in clear text", and encryption without integrity
 * does not detect changes.
 *
 * @see https://learn.microsoft.com/windows/win32/api/ipsectypes/ne-ipsectypes-ipsec_transform_type
 */
export function unprotectedBy(read: Association | string | null): Transform["type"] | null {
  if (read === null || typeof read === "string" || typeof read.quickMode === "string") return null;
  const { transforms, outbound } = read.quickMode;
  for (const direction of [transforms, outbound?.transforms ?? transforms]) {
    if (direction.some(({ type }) => type === "esp-auth-fw")) return "esp-auth-fw";
    if (direction.every(({ type }) => type === "esp-cipher")) return "esp-cipher";
  }
  return null;
}
