/**
 * How a peer of the bench listens: one request a line on standard input, one line of numbers for each, or "! " and
 * the reason. Works on Deno and on Node.
 *
 * @module
 */

import process from "node:process";
import { createInterface } from "node:readline";

/** Answers one kind of request: its words after the first, and how long to measure, in milliseconds. */
export type Answer = (words: readonly string[], ms: number) => Promise<readonly number[]>;

/** Serves requests until standard input ends. */
export async function serve(answers: { readonly [verb: string]: Answer }): Promise<void> {
  for await (const line of createInterface({ input: process.stdin })) {
    const [verb, ...words] = line.split(" ");
    try {
      const answer = answers[verb];
      if (answer === undefined) throw new Error("this program does not measure that");
      console.log((await answer(words, Number(words.at(-1)))).join(" "));
    } catch (error) {
      console.log(`! ${(error as Error).message.replaceAll("\n", " ")}`);
    }
  }
}

/**
 * How long something took, in milliseconds from some beginning: in processor time, or by the wall where the variable
 * `BENCH_CLOCK` says so. Costs about a microsecond.
 */
export const used: () => number = process.env.BENCH_CLOCK === "wall" ? () => performance.now() : () => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
};

/** Runs `work` again and again for `ms` milliseconds; times a second. */
export async function rate(ms: number, work: () => Promise<void>): Promise<number> {
  const start = used();
  let count = 0;
  for (const end = performance.now() + ms; performance.now() < end; count++) await work();
  return count / (used() - start) * 1000;
}
