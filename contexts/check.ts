/**
 * Checks single options; each error names the option and the fix.
 *
 * @module
 */

import { checkWellFormed } from "../ffi/memory/text.ts";
import { Spn } from "../spn.ts";

/** The longest time that the timers of both runtimes support. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** Refuses values that are not objects, and unknown keys. */
export function checkKeys(options: unknown, known: readonly string[], what: string): void {
  if (typeof options !== "object" || options === null) {
    throw new TypeError(`${what} must be an object with ${known.join(", ")}`);
  }
  for (const key of Object.keys(options)) {
    if (!known.includes(key)) {
      throw new TypeError(`${what}.${key} is not known; use one of ${known.join(", ")}`);
    }
  }
}

/** A whole number from `min` to `max`. */
export function checkInteger(value: unknown, name: string, min: number, max: number): number {
  if (typeof value !== "number") throw new TypeError(`${name} must be a number, not ${describe(value)}`);
  if (!Number.isInteger(value) || value < min || value > max) {
    throw new RangeError(`${name} must be a whole number from ${min} to ${max}, not ${value}`);
  }
  return value;
}

/** Milliseconds of a time-out. */
export function checkTimeout(value: unknown, name: string, fallback: number): number {
  return value === undefined ? fallback : checkInteger(value, name, 1, MAX_TIMER_MS);
}

/** A host's name or address, without brackets. */
export function checkHostname(value: unknown, name: string): string {
  if (typeof value !== "string") throw new TypeError(`${name} must be a string, not ${describe(value)}`);
  checkWellFormed(value, name);
  if (!/^[^\s/@\\[\]\p{Cc}]+$/u.test(value) || /(^|\.)\.$/.test(value)) {
    throw new TypeError(
      `${name} must be a host's name or IP address, without brackets, not ${describe(value)}`,
    );
  }
  return value;
}

/** Whether a checked hostname is an IP address, in any form that systems accept as one. */
export function isIpAddress(hostname: string): boolean {
  return hostname.includes(":") || /(^|\.)(\d+|0x[\da-f]*)\.?$/i.test(hostname);
}

/** The SPN of a host: `host/` and the checked hostname, without the dot at the end of an absolute name. */
export function hostPrincipal(hostname: string): string {
  return `host/${hostname.replace(/\.$/, "")}`;
}

/** The principal of a peer's computer, which need not be an SPN. */
export function checkComputer(value: unknown, name: string): string {
  if (typeof value !== "string" || value === "") {
    throw new TypeError(`${name} must be the name of the peer computer's principal`);
  }
  checkWellFormed(value, name);
  return value;
}

/** An SPN. */
export function checkTarget(value: unknown, name: string): string {
  try {
    Spn.parse(value as string);
    return value as string;
  } catch (cause) {
    throw new TypeError(`${name} must be a service principal name: ${(cause as Error).message}`);
  }
}

/** A list of SPNs; copied. */
export function checkTargets(value: unknown, name: string): readonly string[] {
  if (!Array.isArray(value) || value.length === 0) {
    throw new TypeError(`${name} must be a list of at least one name; leave it out to accept every name`);
  }
  return Object.freeze(value.map((target, index) => {
    const checked = checkTarget(target, `${name}[${index}]`);
    if (!checked.includes("*")) return checked;
    throw new TypeError(`${name}[${index}] contains "*", which is not a wildcard: list each name`);
  }));
}

/** An abort signal, or undefined. */
export function checkSignal(value: unknown, name: string): AbortSignal | undefined {
  const signal = value as Partial<AbortSignal> | null | undefined;
  if (signal === undefined) return undefined;
  if (typeof signal?.aborted !== "boolean" || typeof signal.addEventListener !== "function") {
    throw new TypeError(`${name} must be an AbortSignal, not ${describe(value)}`);
  }
  return signal as AbortSignal;
}

/** A function, or undefined. */
export function checkFunction(value: unknown, name: string): void {
  if (value !== undefined && typeof value !== "function") {
    throw new TypeError(`${name} must be a function, not ${describe(value)}`);
  }
}

/** An object with the method `method`. */
export function checkMethod(value: unknown, name: string, method: string): void {
  if (typeof (value as Record<string, unknown> | null)?.[method] !== "function") {
    throw new TypeError(`${name} must have the method ${method}(); ${describe(value)} does not have it`);
  }
}

/** Describes an invalid value; the text of a string only if it cannot be a secret. */
export function describe(value: unknown): string {
  if (value === null || value === undefined || typeof value === "number") return String(value);
  return typeof value === "string" ? JSON.stringify(value) : `a ${typeof value}`;
}
