/**
 * `deno task test:windows`: runs the Windows suites on deno.exe and node.exe. On Windows as it is; on Linux in a
 * Debian system of its own with Wine, built on the first run (root, about two minutes) and kept in the cache.
 *
 * @module
 */

import { REALM, SERVICES, USERS } from "../tests/rig/realm.ts";
import { ROOT } from "./root.ts";
import { exists, removeTree } from "../tests/rig/windows/cache.ts";
import { AGENT_PORT } from "../tests/rig/windows/agent.ts";
import { COMPILED_TABLES } from "../tests/rig/windows/fixtures.ts";
import { type Job, RESULTS } from "../tests/rig/windows/inside.ts";
import { nativeMachine, stageForNode } from "../tests/rig/windows/native_machine.ts";
import { closingOf, type Result, runSuites, succeeded } from "../tests/rig/windows/results.ts";
import { interruption, manifestOf, runInRig, wineVersion } from "../tests/rig/windows/rig.ts";
import { progress } from "../tests/rig/windows/progress.ts";
import { stage } from "../tests/rig/windows/stage.ts";
import { selectSuites, type Suite } from "../tests/rig/windows/suites.ts";
import type { SystemParts } from "../tests/rig/windows/system.ts";
import { REPOSITORY, RIG, RUN, windowsPath } from "../tests/rig/windows/wine_paths.ts";

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

Runs the Windows suites on deno.exe and node.exe: on Windows as it is; on Linux, as root, in a separate Debian system
with Wine, built on the first run and kept in the cache. Leaves nothing running and nothing mounted.

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
    script: new URL("../tests/rig/windows/inside.ts", import.meta.url),
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

async function onWindows(suites: readonly Suite[], flags: Flags, signal: AbortSignal): Promise<Result[]> {
  const staged = await Deno.makeTempDir({ prefix: "secure-sockets-windows-" });
  try {
    const here = suitesHere(suites, flags);
    if (here.length === 0) throw new RangeError("nothing of that runs on Windows itself: it is for Wine");
    progress("preparing the suites: packages, bundles");
    await stageForNode(staged, here, signal);
    const machine = await nativeMachine(staged, signal);
    progress(machine.description);
    const results: Result[] = [];
    await runSuites(machine, here, flags, (result) => {
      results.push(result);
      return Promise.resolve();
    });
    return results;
  } finally {
    await removeTree(staged);
  }
}

/** The suites that a real Windows can run. Node is the one of the PATH, so it runs once whatever its version. */
function suitesHere(suites: readonly Suite[], { runtime }: Flags): Suite[] {
  const here = suites.filter(({ fixture, planted }) => !fixture && !planted);
  return here.map((suite) => ({
    ...suite,
    runtimes: suite.runtimes.filter((one) => one === runtime || (runtime === undefined && one !== "node26")),
  }));
}

/** The description of this machine for the tests; see tests/windows/support/machine.ts. */
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
  const run = Deno.build.os === "windows" ? onWindows : onWine;
  const results = await run(suites, flags, interruption());
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
