/**
 * `deno task ok`: every check that must pass before a change is handed in, cheapest first.
 *
 * @module
 */

import denoJson from "../deno.json" with { type: "json" };
import { run } from "./process.ts";
import { ROOT } from "./root.ts";
import { cleanUpWhenInterrupted } from "./temporary.ts";

const HELP = `Usage: deno task ok [--no-test] [--help]

Checks formatting, lint, types, documentation and its examples, what JSR would refuse, the import rules and the words,
then runs the tests. Goes on after a failure, so that one run shows everything to fix. Exit code 1 where anything
failed.

  --no-test  leave the tests out`;

const ENTRIES = Object.values(denoJson.exports);

/** Each check: what it is, and the arguments deno is run with. */
const CHECKS: readonly [name: string, args: readonly string[]][] = [
  ["formatting", ["fmt", "--check"]],
  ["lint", ["lint", "--quiet"]],
  ["types", ["run", "-A", "scripts/check.ts"]],
  // What the other entries name and do not export is public in ./plugins, where providers are written.
  ...ENTRIES.map((entry): [string, string[]] => [
    `documentation of ${entry}`,
    ["doc", "--lint", ...new Set([entry, denoJson.exports["./plugins"]])],
  ]),
  ["examples and names in the documentation", ["run", "-A", "scripts/check_docs.ts"]],
  ["what JSR accepts", ["publish", "--dry-run", "--allow-dirty", "--no-check", "--quiet"]],
  ["import rules", ["run", "-A", "scripts/check_imports.ts"]],
  ["words", ["run", "-A", "scripts/words.ts"]],
];
const TESTS: readonly [string, readonly string[]] = ["tests", ["run", "-A", "scripts/test.ts"]];

async function main(args: string[]): Promise<number> {
  if (args.includes("--help")) {
    console.log(HELP);
    return 0;
  }
  const failed: string[] = [];
  for (const [name, command] of args.includes("--no-test") ? CHECKS : [...CHECKS, TESTS]) {
    const show = name === "tests";
    const { code, stdout, stderr } = await run(Deno.execPath(), command, { cwd: ROOT, show });
    if (code !== 0) {
      failed.push(name);
      if (!show) console.log(`${stdout}${stderr}`.trimEnd());
    }
    console.log(`${code === 0 ? "ok    " : "FAILED"}  ${name}`);
  }
  if (failed.length > 0) console.log(`\nNot ok: ${failed.join(", ")}`);
  return failed.length === 0 ? 0 : 1;
}

if (import.meta.main) {
  cleanUpWhenInterrupted();
  Deno.exit(await main(Deno.args));
}
