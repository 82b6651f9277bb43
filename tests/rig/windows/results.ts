/**
 * Runs suites on a machine, collects their results, and prints them.
 *
 * @module
 */

import { closing, readJUnit, skipReason, type Tally } from "../../../scripts/junit.ts";
import { progress } from "./progress.ts";
import type { Runtime, Suite } from "./suites.ts";

/** What a finished process left. */
export interface Ended {
  /** Its exit code. */
  readonly code: number;
  /** Its JUnit report; empty where it wrote none. */
  readonly report: string;
  /** What it wrote to its standard output and error. */
  readonly output: string;
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
export interface Result extends Tally {
  /** The suite, runtime and file, for the log. */
  readonly title: string;
  /** Why each test that did not run did not. */
  readonly reasons: { readonly [test: string]: string };
  /** What explains the failures. */
  readonly details: string;
}

/**
 * Reads one process's report.
 *
 * A process that wrote no whole report counts as one failure, and so does a bad exit code without a failed test:
 * a run that breaks off must never look like one that passed.
 */
export function readEnded(title: string, { code, report, output }: Ended): Result {
  const whole = report.trimEnd().endsWith("</testsuites>");
  const tally = readJUnit(report);
  if (!whole) tally.failed.push(`the run broke off, with exit code ${code}`);
  else if (tally.passed + tally.failed.length + tally.skipped.length === 0) {
    tally.failed.push("no test at all");
  } else if (code !== 0 && tally.failed.length === 0) {
    tally.failed.push(`no test failed, but the exit code is ${code}`);
  }
  const lines = output.replaceAll("\r", "");
  const reason = (name: string) => skipReason(name, lines) ?? "no reason was given";
  const reasons = Object.fromEntries(tally.skipped.map((name) => [name, reason(name)]));
  return { title, ...tally, reasons, details: tally.failed.length === 0 ? "" : output };
}

/** Runs every file of every suite on every runtime, one after another; `onResult` sees each as it comes. */
export async function runSuites(
  machine: Machine,
  suites: readonly Suite[],
  options: { readonly show: boolean },
  onResult: (result: Result) => Promise<void>,
): Promise<void> {
  for (const suite of suites) {
    await machine.prepare(suite);
    for (const runtime of suite.runtimes) {
      for (const file of suite.files) {
        const begun = performance.now();
        const ended = await machine.runFile(suite, runtime, file);
        if (options.show) console.log(ended.output);
        else for (const line of ended.output.matchAll(/^FINDING .*$/gm)) console.log(line[0]);
        const result = readEnded(`${suite.name}, ${runtime}: ${file}`, ended);
        tell(result, (performance.now() - begun) / 1000);
        await onResult(result);
      }
    }
  }
}

/** Prints what one run came to. */
export function tell(result: Result, seconds: number): void {
  const { passed, failed, skipped } = result;
  const counts = `${passed} passed, ${failed.length} failed, ${skipped.length} skipped`;
  progress(`${result.title}: ${counts} (${seconds.toFixed(1)} s)`);
  if (failed.length > 0) console.log(result.details);
}

/** The lists of all that was skipped or failed, and the closing line. */
export function closingOf(results: readonly Result[]): string {
  const all: Tally = { passed: 0, failed: [], skipped: [] };
  const reasons: string[] = [];
  for (const result of results) {
    const place = (name: string) => `${result.title}: ${name}`;
    all.passed += result.passed;
    all.failed.push(...result.failed.map(place));
    all.skipped.push(...result.skipped.map(place));
    for (const [name, reason] of Object.entries(result.reasons)) {
      reasons.push(`SKIP ${place(name)}: ${reason}`);
    }
  }
  return closing(all, reasons.join("\n"));
}

/** Whether there was something to run and nothing of it failed. */
export function succeeded(results: readonly Result[]): boolean {
  return results.some((each) => each.passed > 0) && results.every((each) => each.failed.length === 0);
}
