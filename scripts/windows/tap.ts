/**
 * Reads the Test Anything Protocol as `deno test --reporter=tap` and `node --test-reporter=tap` write it.
 *
 * @module
 */

/** One test that failed, with what it said. */
export interface Failure {
  /** The test's name. */
  readonly name: string;
  /** The lines below it. */
  readonly detail: string;
}

/** One test that did not run. */
export interface Skip {
  /** The test's name. */
  readonly name: string;
  /** Why. */
  readonly reason: string;
}

/** What one run of one test file came to. */
export interface Outcome {
  /** The names of the tests that passed. */
  readonly passed: readonly string[];
  /** The tests that failed. */
  readonly failed: readonly Failure[];
  /** The tests that did not run. */
  readonly skipped: readonly Skip[];
}

const POINT = /^(not ok|ok) \d+(?: - (.*))?$/;
const PLAN = /^1\.\.(\d+)/;
const SKIPPED = /^(.*?) # SKIP ?(.*)$/i;

function unescape(name: string): string {
  return name.replace(/\\([\\#])/g, "$1");
}

/** What `tests/support/runner.ts` printed; Deno's own report does not say why a test was ignored. */
function printedReason(lines: readonly string[], name: string): string {
  const prefix = `SKIP ${name}: `;
  return lines.find((line) => line.startsWith(prefix))?.slice(prefix.length) ?? "no reason given";
}

/**
 * Reads a whole report.
 *
 * A process that ended badly, or before its plan was fulfilled, counts as one more failure: a run that breaks off
 * must never look like one that passed.
 */
export function readTap(report: string, exitCode: number): Outcome {
  const passed: string[] = [];
  const failed: { name: string; detail: string }[] = [];
  const skipped: Skip[] = [];
  const lines = report.split(/\r?\n/);
  let planned: number | null = null;
  let open: { name: string; detail: string } | null = null;
  for (const line of lines) {
    const plan = PLAN.exec(line);
    if (plan) planned = (planned ?? 0) + Number(plan[1]);
    const point = POINT.exec(line);
    if (!point) {
      if (open && line.startsWith(" ")) open.detail += `${line.trimEnd()}\n`;
      continue;
    }
    open = null;
    const text = point[2] ?? "";
    const skip = SKIPPED.exec(text);
    const name = unescape(skip ? skip[1] : text);
    if (skip) skipped.push({ name, reason: skip[2] || printedReason(lines, name) });
    else if (point[1] === "ok") passed.push(name);
    else failed.push(open = { name, detail: "" });
  }
  const seen = passed.length + failed.length + skipped.length;
  if (planned === null || seen !== planned) {
    const plan = planned === null ? "no plan" : `a plan of ${planned}`;
    failed.push({
      name: "the run was complete",
      detail: `exit code ${exitCode}, ${plan}, ${seen} tests seen\n`,
    });
  } else if (exitCode !== 0 && failed.length === 0) {
    failed.push({ name: "the run ended well", detail: `exit code ${exitCode}, though no test failed\n` });
  }
  return { passed, failed, skipped };
}
