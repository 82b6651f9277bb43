/**
 * The first process of the rig's namespaces: puts a writable layer over the cached system, and runs the suites
 * in it. All of its mounts and processes end with it.
 *
 * @module
 */

import { startRealm } from "../realm.ts";
import { mustRun } from "../process.ts";
import { startAgent } from "./agent.ts";
import { askOracle, buildFwpuclnt, buildPlanted } from "./fixtures.ts";
import { makeIdentities } from "./identities.ts";
import { endWithParent } from "./namespace.ts";
import { type Result, runSuites, tell } from "./results.ts";
import { progress } from "./progress.ts";
import type { Suite } from "./suites.ts";
import { wineMachine } from "./wine_machine.ts";
import { REPOSITORY, RUN } from "./wine_paths.ts";

/** What the outer process asks for, as JSON in the first argument. */
export interface Job {
  /** The cached system. */
  readonly rootfs: string;
  /** An empty folder to mount on. */
  readonly mountPoint: string;
  /** The repository. */
  readonly repository: string;
  /** What `stage.ts` prepared; the results go there too. */
  readonly staged: string;
  /** What to run. */
  readonly suites: readonly Suite[];
  /** Whether the layout oracle is asked too. */
  readonly oracle: boolean;
  /** Whether everything the tests write is shown. */
  readonly show: boolean;
}

/** The file in `staged` that holds the results so far. */
export const RESULTS = "results.json";

async function tellOracle(root: string, repository: string): Promise<Result> {
  const begun = performance.now();
  const { passed, failed } = await askOracle(root, repository);
  const details = failed.map(({ name, detail }) => `${name}\n${detail}`).join("\n");
  const names = failed.map(({ name }) => name);
  const result = { title: "oracle: ffi/raw", passed, failed: names, skipped: [], reasons: {}, details };
  tell(result, (performance.now() - begun) / 1000);
  return result;
}

async function mount(job: Job): Promise<string> {
  const at = job.mountPoint;
  await mustRun("mount", ["-t", "tmpfs", "-o", "size=75%", "tmpfs", at]);
  for (const name of ["upper", "work", "root"]) await Deno.mkdir(`${at}/${name}`);
  const root = `${at}/root`;
  const layers = `lowerdir=${job.rootfs},upperdir=${at}/upper,workdir=${at}/work`;
  await mustRun("mount", ["-t", "overlay", "overlay", "-o", layers, root]);
  await mustRun("mount", ["-t", "proc", "proc", `${root}/proc`]);
  await mustRun("mount", ["--bind", "/dev", `${root}/dev`]);
  // debootstrap leaves this file to whoever sets the network up.
  await Deno.writeTextFile(`${root}/etc/hosts`, "127.0.0.1 localhost\n::1 localhost\n");
  await Deno.mkdir(root + REPOSITORY, { recursive: true });
  await mustRun("mount", ["--bind", job.repository, root + REPOSITORY]);
  await mustRun("mount", ["-o", "remount,bind,ro", root + REPOSITORY]);
  await Deno.mkdir(root + RUN, { recursive: true });
  await mustRun("mount", ["--bind", job.staged, root + RUN]);
  // And where Linux sees it too: the realm's files name each other by absolute paths.
  await Deno.mkdir(root + job.staged, { recursive: true });
  await mustRun("mount", ["--bind", job.staged, root + job.staged]);
  return root;
}

if (import.meta.main) {
  endWithParent();
  try {
    const job: Job = JSON.parse(Deno.args[0]);
    const root = await mount(job);
    await mustRun("chroot", [root, "ip", "link", "set", "lo", "up"]);
    await using realm = await startRealm({ dir: `${job.staged}/realm` });
    const identities = await makeIdentities(realm);
    await startAgent(job.repository, identities.env.alice);
    const machine = await wineMachine(root, identities);
    progress(machine.description);
    const results: Result[] = [];
    const keep = async (result: Result) => {
      results.push(result);
      await Deno.writeTextFile(`${job.staged}/${RESULTS}`, JSON.stringify(results));
    };
    if (job.oracle) await keep(await tellOracle(root, job.repository));
    if (job.suites.some((suite) => suite.fixture)) await buildFwpuclnt(root);
    if (job.suites.some((suite) => suite.planted)) await buildPlanted(root);
    await runSuites(machine, job.suites, job, keep);
    Deno.exit(0);
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    Deno.exit(1);
  }
}
