/**
 * A real Windows: the Deno that runs this script and the Node of the PATH, with nothing put in their way.
 *
 * @module
 */

import { pathToFileURL } from "node:url";
import { npm, run } from "../../../scripts/process.ts";
import { ROOT } from "../../../scripts/root.ts";
import { leastFlags } from "./flags.ts";
import { bundleName, relativeImports } from "./imports.ts";
import type { Ended, Machine } from "./results.ts";
import { stageBundles } from "./stage.ts";
import type { Suite } from "./suites.ts";
import { NPM_PINS } from "./versions.ts";

const HANG_MS = 90_000;

/** Installs what the bundles leave outside, at the pinned versions. */
async function installPackages(folder: string, signal: AbortSignal): Promise<void> {
  const wanted = NPM_PINS.filter(({ into }) => into.startsWith("node_modules/")).map(({ name, version }) => {
    return `${name}@${version}`;
  });
  const args = ["install", "--no-save", "--no-audit", "--no-fund", "--prefix", folder];
  await npm([...args, ...wanted], { signal });
}

/** Makes ready what tests need on Node: their bundles in `staged`, and packages beside them. */
export async function stageForNode(
  staged: string,
  suites: readonly Suite[],
  signal: AbortSignal,
): Promise<void> {
  const onNode = suites.filter(({ runtimes }) => runtimes.some((runtime) => runtime !== "deno"));
  if (onNode.length === 0) return;
  await stageBundles(staged, onNode);
  await installPackages(staged, signal);
}

/** Opens this machine, with `staged` for its files. What it runs ends when `signal` aborts. */
export async function nativeMachine(staged: string, signal: AbortSignal): Promise<Machine> {
  const importMap = `${staged}\\import_map.json`;
  await Deno.writeTextFile(importMap, JSON.stringify({ imports: relativeImports(pathToFileURL(ROOT).href) }));
  const report = `${staged}\\junit.xml`;

  async function command(program: string, args: readonly string[]): Promise<Ended> {
    await Deno.remove(report).catch(() => {});
    const { code, stdout, stderr } = await run(program, args, { cwd: ROOT, timeoutMs: HANG_MS, signal });
    return { code, report: await Deno.readTextFile(report).catch(() => ""), output: stdout + stderr };
  }

  return {
    description: `Windows ${Deno.osRelease()}, Deno ${Deno.version.deno}`,
    prepare: () => Promise.resolve(),
    runFile(suite, runtime, file) {
      if (runtime === "deno") {
        return command(Deno.execPath(), [
          "test",
          ...(suite.grants === undefined ? ["--allow-all"] : leastFlags(suite.grants)),
          "--no-check",
          "--no-lock",
          `--junit-path=${report}`,
          `--import-map=${importMap}`,
          file,
        ]);
      }
      return command("node", [
        // A test that fails may leave a socket open, and Node would wait for it instead of reporting.
        "--test-force-exit",
        "--test-reporter=junit",
        `--test-reporter-destination=${report}`,
        "--test-reporter=spec",
        "--test-reporter-destination=stdout",
        `${staged}\\bundles\\${bundleName(file)}`,
      ]);
    },
  };
}
