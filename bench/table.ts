/**
 * The rounds of the bench as a table.
 *
 * @module
 */

import type { Measure, PeerName, Target } from "./measures.ts";

/** What was measured: for each peer the answers of every round, in order. */
export type Rounds = { readonly [P in PeerName]?: readonly (readonly number[])[] };

/** One line of the table. */
export interface Row {
  /** What is measured, with its unit. */
  readonly title: string;
  /** The median of each peer; null where there is none. */
  readonly medians: { readonly [P in PeerName]: number | null };
  /** The median of the ratios that each round gave; null where there is none. */
  readonly ratios: readonly (number | null)[];
  /** Each target with what became of it: `>= 0.85 C: met`. */
  readonly verdicts: readonly string[];
  /** False where a target was missed. */
  readonly met: boolean;
}

const PEERS: readonly PeerName[] = ["C", "Deno", "Node", "npm"];
const PAIRS: readonly [PeerName, PeerName][] = [["Deno", "C"], ["Node", "C"], ["Deno", "npm"], [
  "Node",
  "npm",
]];

/** The median; null of nothing. */
export function median(numbers: readonly number[]): number | null {
  if (numbers.length === 0) return null;
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** The lines that a measure's rounds make: one for each number of an answer. */
export function rowsOf(measure: Measure, rounds: Rounds): Row[] {
  return measure.titles.map((title, index) => {
    const of = (name: PeerName): number[] => (rounds[name] ?? []).map((answer) => answer[index]);
    const ratio = (a: PeerName, b: PeerName): number | null => {
      const below = of(b);
      return median(below.length === 0 ? [] : of(a).map((value, round) => value / below[round]));
    };
    const judged = (measure.targets ?? []).map((target) => judge(target, ratio(target.of, target.over)));
    return {
      title,
      medians: Object.fromEntries(PEERS.map((name) => [name, median(of(name))])) as Row["medians"],
      ratios: PAIRS.map(([a, b]) => ratio(a, b)),
      verdicts: judged.map(({ text }) => text),
      met: judged.every(({ met }) => met),
    };
  });
}

function judge({ of, over, least }: Target, got: number | null): { text: string; met: boolean } {
  const text = `${of} >= ${least.toFixed(2)} ${over}`;
  if (got === null) return { text: `${text}: not measured`, met: true };
  return { text: `${text}: ${got >= least ? "met" : "MISSED"}`, met: got >= least };
}

const HEAD = ["", ...PEERS, ...PAIRS.map(([a, b]) => `${a}/${b}`), "target"];

function cells({ title, medians, ratios, verdicts }: Row): string[] {
  const number = (value: number | null): string => value === null ? "" : value.toFixed(value < 100 ? 1 : 0);
  return [
    title,
    ...PEERS.map((name) => number(medians[name])),
    ...ratios.map((value) => value === null ? "" : value.toFixed(2)),
    verdicts.join(", "),
  ];
}

const align = (cell: string, index: number, width: number): string =>
  index === 0 || index === HEAD.length - 1 ? cell.padEnd(width) : cell.padStart(width);

const WIDTHS = [36, 7, 7, 7, 7, 7, 7, 8, 8, 0];

/** A line of text, as wide as every other. */
export function textLine(row: Row | null): string {
  const parts = row === null ? HEAD : cells(row);
  return parts.map((cell, index) => align(cell, index, WIDTHS[index])).join(" ").trimEnd();
}

/** The whole as Markdown. */
export function markdown(rows: readonly Row[]): string {
  const line = (parts: readonly string[]): string => `| ${parts.join(" | ")} |`;
  const table = rows.map(cells);
  const widths = HEAD.map((head, index) =>
    Math.max(3, head.length, ...table.map((row) => row[index].length))
  );
  const rule = widths.map((width, index) =>
    index === 0 || index === HEAD.length - 1 ? "-".repeat(width) : `${"-".repeat(width - 1)}:`
  );
  return [HEAD, rule, ...table]
    .map((row) => line(row.map((cell, index) => align(cell, index, widths[index])))).join("\n");
}
