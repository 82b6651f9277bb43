/**
 * Policies: reads one from JSON, and combines the application's with the machine's.
 *
 * @module
 */

import type { Policy, ResolvedRequirements } from "../contract.ts";
import { isProviderName, NAME_RULE } from "./names.ts";

/** The part of a policy that raises requirements. */
export type Floor = NonNullable<Policy["floor"]>;

const KEYS = ["version", "order", "deny", "floor"];
const FLOOR_KEYS = ["integrity", "confidentiality", "mutualAuthentication"] as const;

/**
 * Reads a policy of schema version 1; returns a frozen copy. `createRegistry()` checks that the names in it exist,
 * because it knows the providers.
 *
 * @param source JSON text, or the object that such a text describes.
 * @param where What to call the policy in an error, for instance the path of its file.
 * @throws TypeError if the text is not JSON, a key is unknown, missing or duplicated, or a value is not allowed.
 *
 * @example
 * ```ts
 * import { parsePolicy } from "@winsock/secure-sockets/plugins";
 * const policy = parsePolicy('{ "version": 1, "deny": ["ntlm"], "floor": { "confidentiality": true } }');
 * console.log(policy.deny); // => [ "ntlm" ]
 * ```
 */
export function parsePolicy(source: unknown, where = "policy"): Policy {
  const value = typeof source === "string" ? parseJson(source, where) : source;
  const entries = readObject(value, where, KEYS);
  if (entries.version !== 1) {
    throw new TypeError(
      `${where}: version must be 1, the only supported version, not ${show(entries.version)}`,
    );
  }
  return Object.freeze({
    version: 1,
    ...(entries.order === undefined ? {} : { order: readNames(entries.order, `${where}: order`) }),
    ...(entries.deny === undefined ? {} : { deny: readNames(entries.deny, `${where}: deny`) }),
    ...(entries.floor === undefined ? {} : { floor: readFloor(entries.floor, `${where}: floor`) }),
  });
}

/**
 * Combines two policies: allows what both allow and requires what either requires.
 *
 * If both have an order, the application's order applies to the names that are in both.
 */
export function tighten(application: Policy, machine: Policy): Policy {
  const order = application.order === undefined
    ? machine.order
    : application.order.filter((name) => machine.order?.includes(name) ?? true);
  return Object.freeze({
    version: 1,
    ...(order === undefined ? {} : { order }),
    deny: [...new Set([...application.deny ?? [], ...machine.deny ?? []])],
    floor: { ...application.floor, ...machine.floor },
  });
}

/** Raises requirements to a floor; never lowers them. */
export function raise(requirements: ResolvedRequirements, floor: Floor = {}): ResolvedRequirements {
  const confidentiality = requirements.confidentiality || floor.confidentiality === true;
  return Object.freeze({
    ...requirements,
    confidentiality,
    // Encrypted records always have integrity too.
    integrity: requirements.integrity || floor.integrity === true || confidentiality,
    mutualAuthentication: requirements.mutualAuthentication || floor.mutualAuthentication === true,
  });
}

function parseJson(text: string, where: string): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new TypeError(`${where}: the text is not JSON`, { cause });
  }
  refuseRepeatedKeys(text, where);
  return value;
}

/** With a duplicate key the runtime's parser keeps the last value, so an earlier `deny` would have no effect. */
function refuseRepeatedKeys(text: string, where: string): void {
  const open: (Set<string> | null)[] = [];
  for (const [token, colon] of text.matchAll(/"(?:[^"\\]|\\.)*"(\s*:)?|[{}[\]]/g)) {
    if (token === "{" || token === "[") open.push(token === "{" ? new Set() : null);
    else if (token === "}" || token === "]") open.pop();
    else if (colon !== undefined) {
      const key: string = JSON.parse(token.slice(0, -colon.length)), keys = open.at(-1)!;
      if (keys.has(key)) throw new TypeError(`${where}: ${show(key)} is duplicated; keep one`);
      keys.add(key);
    }
  }
}

function readObject(value: unknown, where: string, known: readonly string[]): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new TypeError(`${where} must be an object, not ${show(value)}`);
  }
  for (const key of Object.keys(value)) {
    if (!known.includes(key)) {
      throw new TypeError(`${where}: ${JSON.stringify(key)} is not known; use one of ${known.join(", ")}`);
    }
  }
  return value as Record<string, unknown>;
}

function readNames(value: unknown, where: string): readonly string[] {
  if (!Array.isArray(value)) throw new TypeError(`${where} must be a list of names, not ${show(value)}`);
  const names: string[] = [];
  for (const name of value as readonly unknown[]) {
    if (!isProviderName(name)) {
      throw new TypeError(`${where}: ${show(name)} is not a provider's name (${NAME_RULE})`);
    }
    if (names.includes(name)) throw new TypeError(`${where}: ${show(name)} is duplicated`);
    names.push(name);
  }
  return Object.freeze(names);
}

function readFloor(value: unknown, where: string): Floor {
  const entries = readObject(value, where, FLOOR_KEYS);
  const floor: { -readonly [Key in keyof Floor]: true } = {};
  for (const key of FLOOR_KEYS) {
    if (entries[key] === undefined) continue;
    if (entries[key] !== true) {
      throw new TypeError(`${where}.${key} must be true, not ${show(entries[key])}; leave it out instead`);
    }
    floor[key] = true;
  }
  return Object.freeze(floor);
}

function show(value: unknown): string {
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object" && value !== null) return "an object";
  return typeof value === "string" ? JSON.stringify(value) : String(value);
}
