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

/** Runs `work` again and again for `ms` milliseconds; times a second. */
export async function rate(ms: number, work: () => Promise<void>): Promise<number> {
  const start = performance.now();
  let count = 0;
  let passed = 0;
  for (; passed < ms; passed = performance.now() - start, count++) await work();
  return count / passed * 1000;
}
