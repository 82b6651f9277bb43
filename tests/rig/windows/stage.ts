/**
 * Prepares, while there is still a network, what the tests need without one: npm packages in a form Deno
 * finds offline, bundles for Node, and the rig's own machine module.
 *
 * @module
 */

import { resolve } from "node:path";
import { build, type Plugin, stop } from "esbuild";
import { mustRun } from "../../../scripts/process.ts";
import { pathFrom, ROOT } from "../../../scripts/root.ts";
import { cacheFolder } from "./cache.ts";
import { bundleName, MACHINE_MODULE, relativeImports } from "./imports.ts";
import type { Suite } from "./suites.ts";

/** The file in the staged folder that stands in for {@linkcode MACHINE_MODULE}. */
export const STAGED_MACHINE = "machine.ts";

function filesOf(suites: readonly Suite[]): string[] {
  return [...new Set(suites.flatMap((suite) => [...suite.files, ...suite.programs ?? []]))];
}

/** Fills `folder` with everything the suites need in the rig: `deno_dir/`, `bundles/` and `machine.ts`. */
export async function stage(folder: string, suites: readonly Suite[], machine: unknown): Promise<void> {
  const text = `export const machine = ${JSON.stringify(machine, null, 2)};\n`;
  await Deno.writeTextFile(`${folder}/${STAGED_MACHINE}`, text);
  await writeDenoDir(folder, filesOf(suites));
  await writeBundles(folder, filesOf(suites), [machineOf(folder)]);
}

/** Fills `folder` with the `bundles/` alone, which is what a machine with a network needs. */
export async function stageBundles(folder: string, suites: readonly Suite[]): Promise<void> {
  await writeBundles(folder, filesOf(suites), []);
}

async function writeDenoDir(folder: string, files: readonly string[]): Promise<void> {
  const local = `${folder}/linux_import_map.json`;
  await Deno.writeTextFile(local, JSON.stringify({ imports: relativeImports(ROOT) }));
  const kept = `${cacheFolder()}/deno_dir`;
  await mustRun(Deno.execPath(), ["cache", "--quiet", "--no-lock", `--import-map=${local}`, ...files], {
    cwd: ROOT,
    env: { DENO_DIR: kept },
  });
  await Deno.mkdir(`${folder}/deno_dir`, { recursive: true });
  await Deno.mkdir(`${kept}/npm`, { recursive: true });
  await mustRun("cp", ["-a", `${kept}/npm`, `${folder}/deno_dir/`]);
}

/** Packages stay outside the bundles: Node finds them in the rig's node_modules. */
function isPackage(target: string): boolean {
  return target.startsWith("npm:") || target.startsWith("jsr:");
}

function machineOf(folder: string): Plugin {
  return {
    name: "the rig's machine",
    setup(bundle) {
      bundle.onResolve({ filter: /\/machine\.ts$/ }, ({ path, resolveDir }) => {
        return pathFrom(ROOT, resolve(resolveDir, path)) === MACHINE_MODULE
          ? { path: `${folder}/${STAGED_MACHINE}` }
          : null;
      });
    },
  };
}

async function writeBundles(folder: string, files: readonly string[], plugins: Plugin[]): Promise<void> {
  const entries = Object.entries(relativeImports(ROOT));
  try {
    await build({
      absWorkingDir: ROOT,
      entryPoints: files.map((file) => ({ in: file, out: bundleName(file).replace(/\.mjs$/, "") })),
      outdir: `${folder}/bundles`,
      outExtension: { ".js": ".mjs" },
      bundle: true,
      platform: "node",
      format: "esm",
      target: "node22",
      alias: Object.fromEntries(entries.filter(([, target]) => !isPackage(target))),
      external: entries.filter(([, target]) => isPackage(target)).map(([name]) => name),
      plugins,
      logLevel: "warning",
    });
  } finally {
    await stop();
  }
}
