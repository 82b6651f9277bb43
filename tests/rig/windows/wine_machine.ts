/**
 * Windows as Wine implements it, in a separate Debian system. Works only inside the namespaces `inside.ts` runs in.
 *
 * @module
 */

import { mustRun } from "../../../scripts/process.ts";
import { removeTree } from "./cache.ts";
import { DOUBLED } from "./fixtures.ts";
import { leastFlags } from "./flags.ts";
import { bundleName, MACHINE_MODULE, relativeImports } from "./imports.ts";
import type { Ended, Machine } from "./results.ts";
import type { Identities } from "./identities.ts";
import type { Identity, Suite } from "./suites.ts";
import {
  REPOSITORY,
  RIG,
  RUN,
  SYSTEM32,
  windowsPath,
  windowsUrl,
  WINE,
  wineEnvironment,
} from "./wine_paths.ts";

const REPORT = `${RUN}/junit.xml`;
const OUTPUT = `${RUN}/output.txt`;

/** Ten times the duration of the longest test file; one that runs this long hangs. */
const HANG_MS = 90_000;

/** Ends the whole of Wine, and with it every Windows process. */
async function endWine(root: string): Promise<void> {
  const options = { env: wineEnvironment(), clearEnv: true };
  await mustRun("chroot", [root, "/usr/lib/wine/wineserver", "-k"], options).catch(() => {});
}

/** Where Windows looks for a library first: beside the program. */
const PROGRAM_FOLDERS = ["deno", "node22/bin", "node26/bin"];

/**
 * Puts the hostile fwpuclnt.dll beside each runtime, or takes it away. It is the one of our libraries that no runtime
 * imports and that Windows has not among its known ones: a bare name would find it there.
 */
async function plantBesideRuntimes(root: string, planted: boolean): Promise<void> {
  for (const folder of PROGRAM_FOLDERS) {
    const path = `${root}${RIG}/${folder}/fwpuclnt.dll`;
    if (planted) await Deno.copyFile(`${root}${RUN}/planted/fwpuclnt.dll`, path);
    else await removeTree(path);
  }
}

/** Opens Wine in the mounted system `root`. */
export async function wineMachine(root: string, identities: Identities): Promise<Machine> {
  const manifest = await Deno.readTextFile(`${root}${RIG}/manifest.txt`);
  const repository = windowsUrl(`${REPOSITORY}/`);
  const imports = relativeImports(repository);
  imports[repository + MACHINE_MODULE] = windowsUrl(`${RUN}/machine.ts`);
  await Deno.writeTextFile(`${root}${RUN}/import_map.json`, JSON.stringify({ imports }));
  let overrides = "";
  let identity: Identity = "alice";
  let folder = REPOSITORY;

  async function command(file: string, args: readonly string[]): Promise<Ended> {
    // Node for Windows fails under Wine where its standard streams are pipes; a file serves every runtime.
    const shell = `cd "$1"; shift; exec "$@" < /dev/null > ${OUTPUT} 2>&1`;
    await Promise.all([REPORT, OUTPUT].map((path) => removeTree(root + path)));
    await identities.prepare(identity);
    const child = new Deno.Command("chroot", {
      args: [root, "/bin/sh", "-c", shell, "sh", folder, WINE, windowsPath(file), ...args],
      clearEnv: true,
      env: {
        ...wineEnvironment(),
        DENO_DIR: windowsPath(`${RUN}/deno_dir`),
        FWPUCLNT_LOG: windowsPath(`${RUN}/fwpuclnt.log`),
        ...(overrides === "" ? {} : { WINEDLLOVERRIDES: overrides }),
        ...identities.env[identity],
      },
      stdin: "null",
    }).spawn();
    // Every process of Wine ends with its server, the one waited for among them.
    const hang = setTimeout(() => endWine(root), HANG_MS);
    const { code } = await child.status;
    clearTimeout(hang);
    const read = (path: string) => Deno.readTextFile(root + path).catch(() => "");
    return { code, report: await read(REPORT), output: await read(OUTPUT) };
  }

  return {
    description: manifest.trim().replaceAll("\n", ", "),
    async prepare(suite) {
      identity = suite.identity ?? "alice";
      folder = suite.planted ? `${RUN}/planted` : REPOSITORY;
      overrides = suite.fixture ? DOUBLED.map((dll) => `${dll.replace(".dll", "")}=n`).join(";") : "";
      await plantBesideRuntimes(root, suite.planted === true);
      for (const dll of suite.fixture ? DOUBLED : []) {
        await Deno.copyFile(`${root}${RUN}/${dll}`, `${root}${SYSTEM32}/${dll}`);
      }
    },
    runFile(suite, runtime, file) {
      return runtime === "deno"
        ? command(`${RIG}/deno/deno.exe`, [...denoArguments(suite), windowsPath(`${REPOSITORY}/${file}`)])
        : command(`${RIG}/${runtime}/bin/node.exe`, nodeArguments(file));
    },
  };

  function denoArguments(suite: Suite): string[] {
    return [
      "test",
      ...(suite.grants === undefined ? ["--allow-all"] : leastFlags(suite.grants)),
      `--config=${windowsPath(`${REPOSITORY}/deno.json`)}`,
      "--no-check",
      "--no-lock",
      "--cached-only",
      `--junit-path=${windowsPath(REPORT)}`,
      `--import-map=${windowsPath(`${RUN}/import_map.json`)}`,
    ];
  }

  function nodeArguments(file: string): string[] {
    return [
      // A test that fails may leave a socket open, and Node would wait for it instead of reporting.
      "--test-force-exit",
      "--test-reporter=junit",
      `--test-reporter-destination=${windowsPath(REPORT)}`,
      "--test-reporter=spec",
      "--test-reporter-destination=stdout",
      windowsPath(`${RUN}/bundles/${bundleName(file)}`),
    ];
  }
}
