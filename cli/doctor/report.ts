/**
 * What `doctor` found: one finding a line, and the names of Kerberos' encryption types.
 *
 * @see https://www.iana.org/assignments/kerberos-parameters
 * @module
 */

import type { Io } from "../io.ts";

/** How good a finding is. `unknown`: it could not be checked here. */
export type Verdict = "ok" | "warn" | "fail" | "unknown";

/** One thing that was checked. */
export interface Finding {
  /** What was checked, in a word or two. */
  readonly check: string;
  /** How it is. */
  readonly verdict: Verdict;
  /** What was found. */
  readonly text: string;
  /** What to do about it. */
  readonly advice?: string;
  /** The same as data, for programs. */
  readonly facts?: Readonly<Record<string, unknown>>;
}

const COLORS = { ok: "green", warn: "yellow", fail: "red", unknown: "dim" } as const;
const CHECK_WIDTH = 15;

/** Returns the line of a finding, with its advice below. */
export function line(io: Pick<Io, "paint">, { check, verdict, text, advice }: Finding): string {
  const head = `${io.paint(COLORS[verdict], verdict.padEnd(7))} ${check.padEnd(CHECK_WIDTH)} `;
  const indent = " ".repeat(7 + 1 + CHECK_WIDTH + 1);
  const rest = advice === undefined ? [] : [`${indent}${io.paint("bold", "do:")} ${advice}`];
  return [head + text.replaceAll("\n", `\n${indent}`), ...rest].join("\n");
}

const ENCTYPES: Readonly<Record<number, string>> = {
  1: "des-cbc-crc",
  3: "des-cbc-md5",
  16: "des3-cbc-sha1",
  17: "aes128-cts-hmac-sha1-96",
  18: "aes256-cts-hmac-sha1-96",
  19: "aes128-cts-hmac-sha256-128",
  20: "aes256-cts-hmac-sha384-192",
  23: "rc4-hmac",
  24: "rc4-hmac-exp",
  25: "camellia128-cts-cmac",
  26: "camellia256-cts-cmac",
};

/** Returns the registered name of an encryption type. */
export function enctypeName(enctype: number): string {
  return ENCTYPES[enctype] ?? `enctype ${enctype}`;
}

/** Whether an encryption type is deprecated (RFC 6649, RFC 8429). */
export function isWeak(enctype: number): boolean {
  return [1, 2, 3, 16, 23, 24].includes(enctype);
}
