/**
 * `deno task test:windows`: runs the Windows suites on deno.exe and node.exe. On Windows as it is; on Linux in a
 * Debian system of its own with Wine, built on the first run (root, about two minutes) and kept in the cache.
 *
 * @module
 */

import { REALM, SERVICES, USERS } from "./realm.ts";
import { exists, removeTree } from "./windows/cache.ts";
import { AGENT_PORT } from "./windows/agent.ts";
import { COMPILED_TABLES } from "./windows/fixtures.ts";
import { type Job, RESULTS } from "./windows/inside.ts";
import { nativeMachine } from "./windows/native_machine.ts";
import { closingOf, type Result, runSuites, succeeded } from "./windows/results.ts";
import { interruption, manifestOf, ROOT, runInRig, wineVersion } from "./windows/rig.ts";
import { progress } from "./windows/progress.ts";
import { stage, stageBundles } from "./windows/stage.ts";
import { selectSuites, type Suite } from "./windows/suites.ts";
import type { SystemParts } from "./windows/system.ts";
import { REPOSITORY, RIG, RUN, windowsPath } from "./windows/wine_paths.ts";

const GOLDEN = `${ROOT}tests/golden/${COMPILED_TABLES}`;

interface Flags {
  suite?: string;
  runtime?: string;
  rebuild: boolean;
  updateGolden: boolean;
  show: boolean;
}

const HELP = `Usage: deno task test:windows [--suite=NAME] [--runtime=deno|node22|node26] [--show] [--rebuild]
                              [--update-golden]

Runs the Windows suites on deno.exe and node.exe: on Windows as it is; on Linux, as root, in a Debian system of its
own with Wine, built on the first run and kept in the cache. Leaves nothing running and nothing mounted.

  --suite=NAME     only that suite; "oracle" is the comparison of ffi/raw with a Windows compiler
  --runtime=NAME   only that runtime
  --show           all that the tests write
  --rebuild        builds the Debian system anew
  --update-golden  writes the oracle's answer to tests/golden
  --help           show this`;

function parseFlags(args: readonly string[]): Flags {
  const flags: Flags = { rebuild: false, updateGolden: false, show: false };
  for (const arg of args) {
    const [name, value] = arg.split("=");
    if (name === "--suite" && value) flags.suite = value;
    else if (name === "--runtime" && value) flags.runtime = value;
    else if (arg === "--rebuild") flags.rebuild = true;
    else if (arg === "--show") flags.show = true;
    else if (arg === "--update-golden") flags.updateGolden = true;
    else throw new RangeError(`${arg} is not known\n\n${HELP}`);
  }
  return flags;
}

function onWine(suites: readonly Suite[], flags: Flags, signal: AbortSignal): Promise<Result[]> {
  return runInRig({
    script: new URL("./windows/inside.ts", import.meta.url),
    rebuild: flags.rebuild,
    signal,
    async prepare(staged, rootfs) {
      progress("preparing the suites: packages, bundles");
      await stage(staged, suites, wineFacts(await manifestOf(rootfs)));
      const oracle = flags.suite === undefined || flags.suite === "oracle";
      return { suites, oracle, show: flags.show } satisfies Omit<Job, keyof SystemParts>;
    },
    async collect(staged, code) {
      if (flags.updateGolden) await Deno.copyFile(`${staged}/${COMPILED_TABLES}`, GOLDEN);
      const written = `${staged}/${RESULTS}`;
      const results: Result[] = await exists(written) ? JSON.parse(await Deno.readTextFile(written)) : [];
      if (code === 0) return results;
      const detail = signal.aborted
        ? String(signal.reason)
        : `it ended with ${code}; the lines above say why`;
      const failed = [`it did not run to its end: ${detail}`];
      return [...results, { title: "the rig", passed: 0, failed, skipped: [], reasons: {}, details: "" }];
    },
  });
}

async function onWindows(suites: readonly Suite[], flags: Flags): Promise<Result[]> {
  const staged = await Deno.makeTempDir({ prefix: "secure-sockets-windows-" });
  try {
    progress("preparing the suites: packages, bundles");
    await stageBundles(staged, suites);
    const machine = await nativeMachine(staged);
    progress(machine.description);
    const results: Result[] = [];
    await runSuites(machine, suitesHere(suites, flags), flags, (result) => {
      results.push(result);
      return Promise.resolve();
    });
    return results;
  } finally {
    await removeTree(staged);
  }
}

/** The suites a real Windows can serve. Node is the one of the PATH, so it runs once whatever its version. */
function suitesHere(suites: readonly Suite[], { runtime }: Flags): Suite[] {
  const here = suites.filter(({ fixture, planted }) => !fixture && !planted);
  return here.map((suite) => ({
    ...suite,
    runtimes: suite.runtimes.filter((one) => one === runtime || (runtime === undefined && one !== "node26")),
  }));
}

/** What the tests are told of this machine; see tests/windows/support/machine.ts. */
function wineFacts(manifest: string): unknown {
  return {
    wine: wineVersion(manifest),
    run: windowsPath(RUN),
    repository: windowsPath(REPOSITORY),
    deno: windowsPath(`${RIG}/deno/deno.exe`),
    realm: { name: REALM, users: USERS, services: SERVICES },
    agentPort: AGENT_PORT,
  };
}

async function main(): Promise<number> {
  if (Deno.args.includes("--help")) {
    console.log(HELP);
    return 0;
  }
  const flags = parseFlags(Deno.args);
  const suites = selectSuites(flags);
  const results = Deno.build.os === "windows"
    ? await onWindows(suites, flags)
    : await onWine(suites, flags, interruption());
  console.log(closingOf(results));
  return succeeded(results) ? 0 : 1;
}

if (import.meta.main) {
  try {
    Deno.exit(await main());
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    console.log("0 passed, 1 failed, 0 skipped");
    Deno.exit(1);
  }
}
