/**
 * A real Windows: the Deno that runs this script and the Node of the PATH, with nothing put in their way.
 *
 * @module
 */

import { fileURLToPath, pathToFileURL } from "node:url";
import { run } from "../process.ts";
import { leastFlags } from "./flags.ts";
import { bundleName, relativeImports } from "./imports.ts";
import type { Ended, Machine } from "./results.ts";
import { NPM_PINS } from "./versions.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const HANG_MS = 90_000;

/** Installs what the bundles leave outside, at the pinned versions. */
async function installPackages(folder: string): Promise<void> {
  const wanted = NPM_PINS.filter(({ into }) => into.startsWith("node_modules/")).map(({ name, version }) => {
    return `${name}@${version}`;
  });
  // npm is a script on Windows, which only a shell starts.
  const args = [
    "/c",
    "npm",
    "install",
    "--no-save",
    "--no-audit",
    "--no-fund",
    "--prefix",
    folder,
    ...wanted,
  ];
  const { code, stderr } = await run("cmd", args);
  if (code !== 0) throw new Error(`npm install ended with ${code}: ${stderr}`);
}

/** Opens this machine; `staged` is what `stage.ts` prepared. */
export async function nativeMachine(staged: string): Promise<Machine> {
  await installPackages(staged);
  const importMap = `${staged}\\import_map.json`;
  await Deno.writeTextFile(importMap, JSON.stringify({ imports: relativeImports(pathToFileURL(ROOT).href) }));
  const report = `${staged}\\junit.xml`;

  async function command(program: string, args: readonly string[]): Promise<Ended> {
    await Deno.remove(report).catch(() => {});
    const { code, stdout, stderr } = await run(program, args, { cwd: ROOT, timeoutMs: HANG_MS });
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
