/**
 * The first process of the rig's namespaces: runs the suites in the mounted system. All of its mounts and
 * processes end with it.
 *
 * @module
 */

import { startRealm } from "../realm.ts";
import { startAgent } from "./agent.ts";
import { removeTree } from "./cache.ts";
import { askOracle, buildDoubles, buildPlanted } from "./fixtures.ts";
import { makeIdentities } from "./identities.ts";
import { endWithParent } from "./namespace.ts";
import { type Result, runSuites, tell } from "./results.ts";
import { progress } from "./progress.ts";
import type { Suite } from "./suites.ts";
import { mountSystem, type SystemParts } from "./system.ts";
import { wineMachine } from "./wine_machine.ts";

/** What the outer process asks for, as JSON in the first argument. */
export interface Job extends SystemParts {
  /** What to run. */
  readonly suites: readonly Suite[];
  /** Whether the layout oracle is asked too. */
  readonly oracle: boolean;
  /** Whether everything the tests write is shown. */
  readonly show: boolean;
}

/** The file in `staged` that contains the results so far. */
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

if (import.meta.main) {
  const job: Job = JSON.parse(Deno.args[0]);
  endWithParent(() => removeTree(job.staged));
  try {
    const root = await mountSystem(job);
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
    if (job.suites.some((suite) => suite.fixture)) await buildDoubles(root);
    if (job.suites.some((suite) => suite.planted)) await buildPlanted(root);
    await runSuites(machine, job.suites, job, keep);
    Deno.exit(0);
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    Deno.exit(1);
  }
}
