/**
 * The rounds of the bench as a table.
 *
 * @module
 */

import type { Measure, Target } from "./measure.ts";

/** What was measured: for each peer the answers of every round, in order. */
export type Rounds = { readonly [peer: string]: readonly (readonly number[])[] };

/** What a table shows. */
export interface Columns {
  /** The peers, in order. */
  readonly peers: readonly string[];
  /** The ratios, in order. */
  readonly pairs: readonly (readonly [of: string, over: string])[];
}

/** One line of the table. */
export interface Row {
  /** What is measured, with its unit. */
  readonly title: string;
  /** The median of each peer; null where there is none. */
  readonly medians: readonly (number | null)[];
  /** The median of the ratios that each round gave; null where there is none. */
  readonly ratios: readonly (number | null)[];
  /** Each target with its result: `>= 0.85 C: met`. */
  readonly verdicts: readonly string[];
  /** False where a target was missed. */
  readonly met: boolean;
}

/** The median; null of nothing. */
export function median(numbers: readonly number[]): number | null {
  if (numbers.length === 0) return null;
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** The lines that a measure's rounds make: one for each number of an answer. */
export function rowsOf(measure: Measure, rounds: Rounds, { peers, pairs }: Columns): Row[] {
  return measure.titles.map((title, index) => {
    const of = (name: string): number[] => (rounds[name] ?? []).map((answer) => answer[index]);
    const ratio = (a: string, b: string): number | null => {
      const below = of(b);
      return median(below.length === 0 ? [] : of(a).map((value, round) => value / below[round]));
    };
    const targets = (measure.targets ?? []).filter(({ number }) => number === undefined || number === index);
    const judged = targets.map((target) => judge(target, ratio(target.of, target.over)));
    return {
      title,
      medians: peers.map((name) => median(of(name))),
      ratios: pairs.map(([a, b]) => ratio(a, b)),
      verdicts: judged.map(({ text }) => text),
      met: judged.every(({ met }) => met),
    };
  });
}

function judge(target: Target, got: number | null): { text: string; met: boolean } {
  const [sign, limit] = "least" in target ? [">=", target.least] as const : ["<=", target.most] as const;
  const text = `${target.of} ${sign} ${limit.toFixed(2)} ${target.over}`;
  if (got === null) return { text: `${text}: not measured`, met: true };
  const met = sign === ">=" ? got >= limit : got <= limit;
  return { text: `${text}: ${met ? "met" : "MISSED"}`, met };
}

function head({ peers, pairs }: Columns): string[] {
  return ["", ...peers, ...pairs.map(([a, b]) => `${a}/${b}`), "target"];
}

function cells({ title, medians, ratios, verdicts }: Row): string[] {
  const number = (value: number | null): string => value === null ? "" : value.toFixed(value < 100 ? 1 : 0);
  return [
    title,
    ...medians.map(number),
    ...ratios.map((value) => value === null ? "" : value.toFixed(2)),
    verdicts.join(", "),
  ];
}

/** Words to the left, numbers to the right. */
const align = (cell: string, index: number, width: number, count: number): string =>
  index === 0 || index === count - 1 ? cell.padEnd(width) : cell.padStart(width);

const TITLE_WIDTH = 36;

/** A line of text, as wide as every other; without a row the head. */
export function textLine(row: Row | null, columns: Columns): string {
  const names = head(columns);
  const width = (index: number): number =>
    index === 0 ? TITLE_WIDTH : index === names.length - 1 ? 0 : Math.max(7, names[index].length);
  const parts = row === null ? names : cells(row);
  return parts.map((cell, index) => align(cell, index, width(index), names.length)).join(" ").trimEnd();
}

/** The whole as Markdown. */
export function markdown(rows: readonly Row[], columns: Columns): string {
  const line = (parts: readonly string[]): string => `| ${parts.join(" | ")} |`;
  const names = head(columns);
  const table = rows.map(cells);
  const widths = names.map((name, index) =>
    Math.max(3, name.length, ...table.map((row) => row[index].length))
  );
  const rule = widths.map((width, index) =>
    index === 0 || index === names.length - 1 ? "-".repeat(width) : `${"-".repeat(width - 1)}:`
  );
  const aligned = [names, rule, ...table].map((row) =>
    row.map((cell, index) => align(cell, index, widths[index], names.length))
  );
  return aligned.map(line).join("\n");
}
