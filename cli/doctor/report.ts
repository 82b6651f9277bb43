/**
 * What `doctor` found: one finding a line.
 *
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
