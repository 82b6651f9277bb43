/** Runs the programs of examples/ with the permissions that they state. */

import { fileURLToPath } from "node:url";
import process from "node:process";
import { run, type RunResult } from "../../scripts/process.ts";

/** Why the examples cannot be run here; `null` where they can. */
export const noExamples: string | null = process.versions.deno ? null : "the examples are Deno programs";

/** Runs an example with the permissions that its first lines state. */
export function runExample(name: string, args: readonly string[]): Promise<RunResult> {
  const file = `examples/${name}.ts`;
  const flags = ["--allow-net", "--allow-ffi", "--allow-env", "--allow-sys"];
  return run(process.execPath, ["run", "--no-prompt", "--quiet", "--no-lock", ...flags, file, ...args], {
    cwd: fileURLToPath(new URL("../../", import.meta.url)),
    timeoutMs: 60_000,
  });
}
