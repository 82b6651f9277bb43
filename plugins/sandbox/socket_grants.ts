/**
 * Checks what an application grants to a provider of the socket layer, built in or not.
 *
 * @module
 */

import type { AssociationField, SocketGrants } from "../../contract.ts";

const FLAGS = [
  "allowInsecure",
  "optionalPeerName",
  "rawPeerName",
  "skipFilters",
  "firstPacketInClear",
] as const;
const POLICIES = ["mainModePolicies", "quickModePolicies"] as const;
const FIELDS: readonly AssociationField[] = ["mainModeSa", "quickModeSa"];
const GUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** The names of all grants. */
const SOCKET_GRANTS: readonly string[] = [...FLAGS, ...POLICIES, "abortOnAssociationChange"];

/**
 * Checks grants and returns a frozen copy.
 *
 * @param prefix Precedes a grant's name in messages.
 * @throws TypeError that names the grant: it is not known, has the wrong type, or contradicts another.
 */
export function checkSocketGrants(grants: SocketGrants, prefix: string): SocketGrants {
  if (typeof grants !== "object" || grants === null) {
    throw new TypeError(`${prefix.replace(/\.$/, "")} must be an object with ${SOCKET_GRANTS.join(", ")}`);
  }
  for (const key of Object.keys(grants)) {
    if (!SOCKET_GRANTS.includes(key)) {
      throw new TypeError(`${prefix}${key} is not known; use ${SOCKET_GRANTS.join(", ")}`);
    }
  }
  for (const key of FLAGS) {
    const value: unknown = grants[key];
    if (value !== undefined && typeof value !== "boolean") {
      throw new TypeError(`${prefix}${key} must be true or false`);
    }
  }
  const { abortOnAssociationChange: watched, allowInsecure, firstPacketInClear } = grants;
  if (firstPacketInClear && !allowInsecure) {
    throw new TypeError(
      `${prefix}firstPacketInClear weakens the connection: it needs allowInsecure: true`,
    );
  }
  if (watched !== undefined) checkWatched(watched, `${prefix}abortOnAssociationChange`, allowInsecure);
  const copy: { -readonly [key in keyof SocketGrants]: SocketGrants[key] } = { ...grants };
  for (const key of POLICIES) {
    if (copy[key] !== undefined) copy[key] = checkKeys(copy[key], prefix + key);
  }
  if (watched !== undefined) copy.abortOnAssociationChange = Object.freeze([...watched]);
  return Object.freeze(copy);
}

function checkKeys(keys: unknown, name: string): readonly string[] {
  if (Array.isArray(keys) && keys.length > 0 && keys.every(isPolicyKey)) return Object.freeze([...keys]);
  throw new TypeError(
    `${name} must be a list of policies' keys, such as 00000000-0000-0000-0000-000000000000; ` +
      "leave it out for the system's own policy",
  );
}

/** Whether a value is the key of a policy. */
export function isPolicyKey(value: unknown): value is string {
  return typeof value === "string" && GUID.test(value);
}

function checkWatched(fields: unknown, name: string, allowInsecure: boolean | undefined): void {
  if (
    !Array.isArray(fields) || fields.length === 0 || fields.some((field) => !FIELDS.includes(field)) ||
    new Set(fields).size !== fields.length
  ) {
    throw new TypeError(
      `${name} must be a list of ${FIELDS.join(" and ")}, each once; leave it out to watch nothing`,
    );
  }
  if (allowInsecure) {
    throw new TypeError(
      `${name} watches an association, but with allowInsecure: true there may be none: leave one of ` +
        "the two out",
    );
  }
}
