/**
 * The options of `ipsecPolicy()`, checked at every level before any native call.
 *
 * @module
 */

import type { System } from "../system.ts";

/** How the two computers or users authenticate. */
export type IpsecAuthentication = "kerberos" | "anonymous" | "ntlm";

/** Main mode: how the two computers authenticate each other. */
export interface MainModePolicy {
  /** The methods, in the order to try. Only `"kerberos"` alone proves the identity of each computer to the other. */
  readonly authentication: readonly IpsecAuthentication[];
  /** Seconds until it is negotiated again. Default 7200. */
  readonly lifetimeSeconds?: number;
}

/** Quick mode: how packets are protected. */
export interface QuickModePolicy {
  /** The ciphers, in the order to try. Left out: AES-256-GCM, AES-128-GCM. Empty: integrity without encryption. */
  readonly ciphers?: readonly ("aes-256-gcm" | "aes-128-gcm")[];
  /** Seconds until keys are renewed. Default 3600. */
  readonly lifetimeSeconds?: number;
  /** Kilobytes until keys are renewed. Default 57,671,680 (55 GB), as in the system's own policy. */
  readonly lifetimeKilobytes?: number;
}

/** Extended mode: how the users authenticate. It is part of a quick-mode policy. */
export interface ExtendedModePolicy {
  /** The methods, in the order to try. */
  readonly authentication: readonly IpsecAuthentication[];
  /**
   * Allows the server to act as the client's user. A client with such a policy must require `impersonation:
   * "impersonate"`, which is the most the server may then do. Default `false`.
   */
  readonly impersonation?: boolean;
}

/** Options of {@linkcode ipsecPolicy}. */
export interface IpsecPolicyOptions {
  /** The system, with the grant `ipsec.policy`. */
  readonly system: System;
  /** Main mode; left out: the system's. */
  readonly mainMode?: MainModePolicy;
  /** Quick mode; left out: the system's, unless there is an extended mode. */
  readonly quickMode?: QuickModePolicy;
  /** Extended mode. */
  readonly extendedMode?: ExtendedModePolicy;
}

const AUTHENTICATIONS: readonly IpsecAuthentication[] = ["kerberos", "anonymous", "ntlm"];
const CIPHERS = ["aes-256-gcm", "aes-128-gcm"] as const;
const OPTIONS = ["system", "mainMode", "quickMode", "extendedMode"];
const MODES = {
  mainMode: ["authentication", "lifetimeSeconds"],
  quickMode: ["ciphers", "lifetimeSeconds", "lifetimeKilobytes"],
  extendedMode: ["authentication", "impersonation"],
} as const;

/**
 * Checks and copies the options.
 *
 * @throws TypeError or RangeError that names the option, what it must be, and what it is.
 */
export function readPolicyOptions(options: IpsecPolicyOptions): IpsecPolicyOptions {
  checkKeys(options, OPTIONS, "ipsecPolicy()'s options");
  const { system } = options;
  const [mainMode, quickMode, extendedMode] = (["mainMode", "quickMode", "extendedMode"] as const).map(
    (name) => {
      if (options[name] === undefined) return undefined;
      checkKeys(options[name], MODES[name], name);
      return { ...options[name] };
    },
  ) as [MainModePolicy?, QuickModePolicy?, ExtendedModePolicy?];
  if (!mainMode && !quickMode && !extendedMode) {
    throw new TypeError(
      "ipsecPolicy() takes mainMode, quickMode or extendedMode; with none there is nothing to add",
    );
  }
  checkLifetime(mainMode?.lifetimeSeconds, "mainMode.lifetimeSeconds");
  checkLifetime(quickMode?.lifetimeSeconds, "quickMode.lifetimeSeconds");
  checkLifetime(quickMode?.lifetimeKilobytes, "quickMode.lifetimeKilobytes");
  if (extendedMode?.impersonation !== undefined && typeof extendedMode.impersonation !== "boolean") {
    throw new TypeError(
      `extendedMode.impersonation must be true or false, not ${describe(extendedMode.impersonation)}`,
    );
  }
  return {
    system,
    ...(mainMode && { mainMode: { ...mainMode, authentication: methods(mainMode, "mainMode") } }),
    ...(quickMode && { quickMode: { ...quickMode, ...ciphers(quickMode) } }),
    ...(extendedMode && {
      extendedMode: { ...extendedMode, authentication: methods(extendedMode, "extendedMode") },
    }),
  };
}

function methods({ authentication }: MainModePolicy, mode: string): readonly IpsecAuthentication[] {
  const name = `${mode}.authentication`;
  const list = listOf(authentication, AUTHENTICATIONS, name);
  if (list.length > 0) return list;
  throw new TypeError(`${name} must not be empty: give one or more of ${AUTHENTICATIONS.join(", ")}`);
}

function ciphers({ ciphers }: QuickModePolicy): Pick<QuickModePolicy, "ciphers"> {
  return ciphers === undefined ? {} : { ciphers: listOf(ciphers, CIPHERS, "quickMode.ciphers") };
}

/** Checks and copies a list whose elements must all be known. */
function listOf<T extends string>(value: unknown, known: readonly T[], name: string): readonly T[] {
  if (!Array.isArray(value)) {
    throw new TypeError(`${name} must be a list of ${known.join(", ")}, not ${describe(value)}`);
  }
  // Not every(): it skips the holes of a sparse array.
  for (const each of value as unknown[]) {
    if (known.includes(each as T)) continue;
    throw new TypeError(`${name} may contain ${known.join(" and ")}, not ${describe(each)}`);
  }
  return [...value];
}

function checkKeys(value: unknown, known: readonly string[], name: string): void {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new TypeError(`${name} must be an object with ${known.join(", ")}, not ${describe(value)}`);
  }
  for (const key of Object.keys(value)) {
    if (!known.includes(key)) {
      throw new TypeError(`${name} has an unknown key ${JSON.stringify(key)}; use ${known.join(", ")}`);
    }
  }
}

function checkLifetime(value: unknown, name: string): void {
  if (value === undefined) return;
  const problem = `${name} must be a whole number from 300 to ${0x7fff_ffff}, not ${describe(value)}`;
  if (typeof value !== "number") throw new TypeError(problem);
  if (!Number.isInteger(value) || value < 300 || value > 0x7fff_ffff) throw new RangeError(problem);
}

/** Describes a value, for messages. */
function describe(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value);
  if (Array.isArray(value)) return "a list";
  if (typeof value === "function") return "a function";
  return typeof value === "object" && value !== null ? "an object" : String(value);
}
