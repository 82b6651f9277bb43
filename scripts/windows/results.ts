/**
 * Runs suites on a machine, collects what they came to, and tells it.
 *
 * @module
 */

import { progress } from "./progress.ts";
import type { Runtime, Suite } from "./suites.ts";
import { type Outcome, readTap } from "./tap.ts";

/** What a finished process left. */
export interface Ended {
  /** Its exit code. */
  readonly code: number;
  /** Its report in the Test Anything Protocol. */
  readonly report: string;
  /** What it wrote to its standard error. */
  readonly errors: string;
}

/** Somewhere Windows programs run: Wine, or Windows itself. */
export interface Machine {
  /** What it is, for the log. */
  readonly description: string;
  /** Makes the suite's surroundings. */
  prepare(suite: Suite): Promise<void>;
  /** Runs one test file on one runtime, to its end. */
  runFile(suite: Suite, runtime: Runtime, file: string): Promise<Ended>;
}

/** What one run of one test file came to, and where. */
export interface Result extends Outcome {
  /** The suite, runtime and file, for the log. */
  readonly title: string;
  /** What it wrote to its standard error. */
  readonly errors: string;
}

/** Runs every file of every suite on every runtime, one after another; `onResult` sees each as it comes. */
export async function runSuites(
  machine: Machine,
  suites: readonly Suite[],
  onResult: (result: Result) => Promise<void>,
): Promise<void> {
  for (const suite of suites) {
    await machine.prepare(suite);
    for (const runtime of suite.runtimes) {
      for (const file of suite.files) {
        const title = `${suite.name}, ${runtime}: ${file}`;
        const begun = performance.now();
        const { code, report, errors } = await machine.runFile(suite, runtime, file);
        const result = { title, ...readTap(report, code), errors };
        tell(result, (performance.now() - begun) / 1000);
        await onResult(result);
      }
    }
  }
}

/** Prints what one run came to. */
export function tell(result: Result, seconds: number): void {
  const { passed, failed, skipped } = result;
  progress(`${result.title}: ${counts([result])} (${seconds.toFixed(1)} s)`);
  for (const { name, reason } of skipped) console.log(`         skipped: ${name}: ${reason}`);
  for (const { name, detail } of failed) console.log(`         FAILED: ${name}\n${detail}`);
  if (failed.length > 0 && result.errors !== "") console.log(result.errors.split("\n").slice(-40).join("\n"));
  if (passed.length + failed.length + skipped.length === 0) console.log("         no test at all");
}

/** `N passed, N failed, N skipped`. */
export function counts(results: readonly Outcome[]): string {
  const sum = (key: keyof Outcome) => results.reduce((total, each) => total + each[key].length, 0);
  return `${sum("passed")} passed, ${sum("failed")} failed, ${sum("skipped")} skipped`;
}

/** Whether there was something to run and nothing of it failed. */
export function succeeded(results: readonly Outcome[]): boolean {
  return results.some((each) => each.passed.length > 0) && results.every((each) => each.failed.length === 0);
}
