/**
 * `deno task bench:windows`: measures the library on Deno for Windows. On Windows as it is; on Linux in the rig of
 * `deno task test:windows`, under Wine.
 *
 * @module
 */

import { cpus, loadavg, release, type } from "node:os";
import { fileURLToPath } from "node:url";
import { run } from "../scripts/process.ts";
import { ROOT } from "../scripts/root.ts";
import { cleanUpWhenInterrupted, temporaryFolder } from "../scripts/temporary.ts";
import { exists } from "../tests/rig/windows/cache.ts";
import { progress } from "../tests/rig/windows/progress.ts";
import { interruption, manifestOf, runInRig } from "../tests/rig/windows/rig.ts";
import { type Options, runBench } from "./command_line.ts";
import { saveResults, today } from "./results.ts";
import type { Row } from "./table.ts";
import { type BenchJob, ROWS } from "./windows/inside.ts";
import { needsRealm, WINDOWS_COLUMNS, WINDOWS_MEASURES } from "./windows/measures.ts";
import type { Subject } from "./windows/subject.ts";

const HELP = `Usage: deno task bench:windows [--save] [--rounds N] [--ms N] [--core N] [name...]

Measures this library on Deno for Windows, in one process: its sockets against Deno's own TCP, its Kerberos against
a C program on secur32.dll, in alternating rounds. It shows medians over the rounds, and the medians of the ratios that each
round gave. On Windows it runs as it is; on Linux, as root, in the Debian system with Wine of deno task test:windows,
and what it then shows are Wine's figures, not Windows'.

  name        measure only what begins with this: ${WINDOWS_MEASURES.map(({ name }) => name).join(", ")}
  --save      write the table to bench/RESULTS-windows.md, with the machine and the versions
  --rounds N  how often to take turns (default 9); one more round before is for warming up
  --ms N      how long each turn lasts, in milliseconds (default 400)
  --core N    under Wine: the processor that all of Wine runs on (default: the last)

Kerberos needs a realm, which exists only under Wine; elsewhere it is left out.
Exit status: 0 measured, whether or not every target was met; 1 not measured; 2 the command is wrong.`;

const RESULTS_FILE = fileURLToPath(new URL("RESULTS-windows.md", import.meta.url));

const NOTES = `
Both ends are in one process and on its one thread, over loopback, and the peers run in alternating rounds. Times are
elapsed times. A round trip is 64 bytes there and back, both read whole, without Nagle's algorithm. In bulk one end writes
and the other reads. C is bench/windows/sspi_bench.c, compiled by mingw-w64 to a DLL and called in the same process:
it makes the calls of the library on one thread and waits in each. The library runs every step of a handshake on another
thread, because it may wait for a domain controller. "no other threads" is the same without that, and
"C in an event loop" is a C program that does as the library does, with the system's pool of threads and an I/O
completion port. Handshakes have their ticket in the cache. Records are sealed and opened in place.

`;
const OF_WINE = `
These are figures of Wine, not of Windows: a call of the system costs tens of microseconds in Wine, whose server is
another process, and Kerberos is MIT's behind it. Wine is held to one processor, server and all: on two, waking one
another takes several times as long, now and then. Ratios say what the library adds; the rates say nothing about Windows.
`;

type Measuring = Pick<Subject, "names" | "rounds" | "ms">;

/** What was measured, and on what. */
interface Outcome {
  /** Null where it broke off. */
  readonly rows: readonly Row[] | null;
  /** The versions of all that took part. */
  readonly versions: string;
}

function onWine(measuring: Measuring, core: number): Promise<Outcome> {
  let versions = "";
  return runInRig({
    script: new URL("./windows/inside.ts", import.meta.url),
    rebuild: false,
    signal: interruption(),
    async prepare(_staged, rootfs) {
      versions = (await manifestOf(rootfs)).replaceAll("\n", ", ");
      return { core, subject: measuring } satisfies Omit<
        BenchJob,
        "rootfs" | "mountPoint" | "repository" | "staged"
      >;
    },
    collect: async (staged, code) => ({ rows: await rowsIn(`${staged}/${ROWS}`, code), versions }),
  });
}

async function onWindows(measuring: Measuring): Promise<Outcome> {
  cleanUpWhenInterrupted();
  await using folder = await temporaryFolder("bench");
  const rows = `${folder.path}\\${ROWS}`;
  const subject: Subject = { ...measuring, wine: false, library: null, rows };
  const left = WINDOWS_MEASURES.filter((each) => measuring.names.includes(each.name) && needsRealm(each));
  if (left.length > 0) {
    console.log(
      `Left out, because there is no Kerberos realm here: ${left.map(({ name }) => name).join(", ")}`,
    );
  }
  const script = fileURLToPath(new URL("windows/subject.ts", import.meta.url));
  const args = ["run", "--allow-all", "--no-check", "--no-lock", script, JSON.stringify(subject)];
  const { code } = await run(Deno.execPath(), args, {
    cwd: ROOT,
    env: { BENCH_CLOCK: "wall" },
    show: true,
  });
  return { rows: await rowsIn(rows, code), versions: `Deno ${Deno.version.deno}` };
}

async function rowsIn(path: string, code: number): Promise<Row[] | null> {
  return code === 0 && await exists(path) ? JSON.parse(await Deno.readTextFile(path)) : null;
}

async function bench({ measures, rounds, ms, core, save }: Options): Promise<number> {
  const wine = Deno.build.os !== "windows";
  const load = loadavg()[0].toFixed(2);
  const measuring: Measuring = { names: measures.map(({ name }) => name), rounds, ms };
  const { rows, versions } = wine ? await onWine(measuring, core) : await onWindows(measuring);
  if (rows === null) {
    console.error("Nothing was measured; the lines above say why");
    return 1;
  }
  if (save) {
    const where = wine ? `, all on number ${core}, load before: ${load}` : "";
    const [{ model }] = cpus();
    await saveResults(RESULTS_FILE, {
      command: "deno task bench:windows",
      circumstances:
        `${today()}, ${model}, ${cpus().length} processors${where}; ${type()} ${release()}; ${rounds} ` +
        `rounds of ${ms} ms, medians. ${versions}.`,
      rows,
      columns: WINDOWS_COLUMNS,
      notes: wine ? NOTES + OF_WINE : NOTES,
    });
  }
  progress(rows.every(({ met }) => met) ? "every target is met" : "a target is MISSED");
  return 0;
}

if (import.meta.main) {
  try {
    Deno.exit(await runBench({ args: Deno.args, help: HELP, measures: WINDOWS_MEASURES }, bench));
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    Deno.exit(1);
  }
}
