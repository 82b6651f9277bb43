/**
 * The first process of the rig's namespaces: starts a realm, compiles the C program, and runs the bench on deno.exe.
 * All of its mounts and processes end with it.
 *
 * @module
 */

import { startRealm } from "../../tests/rig/realm.ts";
import { removeTree } from "../../tests/rig/windows/cache.ts";
import { compileDll } from "../../tests/rig/windows/fixtures.ts";
import { makeIdentities } from "../../tests/rig/windows/identities.ts";
import { endWithParent } from "../../tests/rig/windows/namespace.ts";
import { progress } from "../../tests/rig/windows/progress.ts";
import { mountSystem, type SystemParts } from "../../tests/rig/windows/system.ts";
import {
  REPOSITORY,
  RIG,
  RUN,
  windowsPath,
  WINE,
  wineEnvironment,
} from "../../tests/rig/windows/wine_paths.ts";
import { needsRealm, WINDOWS_MEASURES } from "./measures.ts";
import type { Subject } from "./subject.ts";

/** What the outer process asks for, as JSON in the first argument. */
export interface BenchJob extends SystemParts {
  /** The processor that Wine runs on, with all of its processes. */
  readonly core: number;
  /** The arguments for deno.exe, apart from paths. */
  readonly subject: Pick<Subject, "names" | "rounds" | "ms">;
}

/** The file in `staged` with the rows. */
export const ROWS = "rows.json";
const LIBRARY = "sspi_bench.dll";

if (import.meta.main) {
  const job: BenchJob = JSON.parse(Deno.args[0]);
  endWithParent(() => removeTree(job.staged));
  try {
    const root = await mountSystem(job);
    await using realm = await startRealm({ dir: `${job.staged}/realm` });
    const identities = await makeIdentities(realm);
    const withC = WINDOWS_MEASURES.some((each) => job.subject.names.includes(each.name) && needsRealm(each));
    if (withC) await compileDll(root, LIBRARY, [`${REPOSITORY}/bench/windows/sspi_bench.c`, "-lsecur32"]);
    const subject: Subject = {
      ...job.subject,
      wine: true,
      library: withC ? windowsPath(`${RUN}/${LIBRARY}`) : null,
      rows: windowsPath(`${RUN}/${ROWS}`),
    };
    progress("measuring");
    const { code } = await new Deno.Command("chroot", {
      args: [
        root,
        "taskset",
        "-c",
        String(job.core),
        WINE,
        windowsPath(`${RIG}/deno/deno.exe`),
        "run",
        "--allow-all",
        "--no-check",
        "--no-lock",
        `--config=${windowsPath(`${REPOSITORY}/deno.json`)}`,
        windowsPath(`${REPOSITORY}/bench/windows/subject.ts`),
        JSON.stringify(subject),
      ],
      clearEnv: true,
      env: {
        ...wineEnvironment(),
        DENO_DIR: windowsPath(`${RUN}/deno_dir`),
        BENCH_CLOCK: "wall",
        ...identities.env.alice,
      },
      stdin: "null",
      stdout: "inherit",
      stderr: "inherit",
    }).output();
    Deno.exit(code);
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    Deno.exit(1);
  }
}
