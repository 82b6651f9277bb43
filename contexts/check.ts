/**
 * Checks of single options, each with an error that names the option and the fix.
 *
 * @module
 */

import { checkWellFormed } from "../ffi/memory/text.ts";
import { Spn } from "../spn.ts";

/** The longest time that timers of both runtimes can count. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** Refuses what is not an object, and keys that are not known. */
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

/** A whole number of at least `min` and at most `max`. */
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

/** Whether a checked hostname is an IP address, in any form that systems take for one. */
export function isIpAddress(hostname: string): boolean {
  return hostname.includes(":") || /(^|\.)(\d+|0x[\da-f]*)\.?$/i.test(hostname);
}

/** The principal of the host itself, by a checked hostname: `host/` and the name, without the dot of an absolute one. */
export function hostPrincipal(hostname: string): string {
  return `host/${hostname.replace(/\.$/, "")}`;
}

/** The principal of a peer's computer, which need not be a service principal name. */
export function checkComputer(value: unknown, name: string): string {
  if (typeof value !== "string" || value === "") {
    throw new TypeError(`${name} must be the name of the peer computer's principal`);
  }
  checkWellFormed(value, name);
  return value;
}

/** A service principal name. */
export function checkTarget(value: unknown, name: string): string {
  try {
    Spn.parse(value as string);
    return value as string;
  } catch (cause) {
    throw new TypeError(`${name} must be a service principal name: ${(cause as Error).message}`);
  }
}

/** A list of service principal names; copied. */
export function checkTargets(value: unknown, name: string): readonly string[] {
  if (!Array.isArray(value) || value.length === 0) {
    throw new TypeError(`${name} must be a list of at least one name; leave it out to accept every name`);
  }
  return Object.freeze(value.map((target, index) => {
    const checked = checkTarget(target, `${name}[${index}]`);
    if (!checked.includes("*")) return checked;
    throw new TypeError(`${name}[${index}] holds "*", which stands for nothing but itself: list each name`);
  }));
}

/** An abort signal, or nothing. */
export function checkSignal(value: unknown, name: string): AbortSignal | undefined {
  const signal = value as Partial<AbortSignal> | null | undefined;
  if (signal === undefined) return undefined;
  if (typeof signal?.aborted !== "boolean" || typeof signal.addEventListener !== "function") {
    throw new TypeError(`${name} must be an AbortSignal, not ${describe(value)}`);
  }
  return signal as AbortSignal;
}

/** A function, or nothing. */
export function checkFunction(value: unknown, name: string): void {
  if (value !== undefined && typeof value !== "function") {
    throw new TypeError(`${name} must be a function, not ${describe(value)}`);
  }
}

/** Something that has the method `method`. */
export function checkMethod(value: unknown, name: string, method: string): void {
  if (typeof (value as Record<string, unknown> | null)?.[method] !== "function") {
    throw new TypeError(`${name} must have the method ${method}(); ${describe(value)} has not`);
  }
}

/** What a wrong value is; a string's text only where it cannot be a secret. */
export function describe(value: unknown): string {
  if (value === null || value === undefined || typeof value === "number") return String(value);
  return typeof value === "string" ? JSON.stringify(value) : `a ${typeof value}`;
}
