/**
 * `deno task bench`: measures the library against a C program on libgssapi and against npm `kerberos`.
 *
 * @module
 */

import { cpus, loadavg, release } from "node:os";
import process from "node:process";
import { parseArgs } from "node:util";
import { ensurePackages } from "../scripts/install.ts";
import { mustRun } from "../scripts/process.ts";
import { realmUnavailable, startRealm } from "../scripts/realm.ts";
import { type Measure, MEASURES } from "./measures.ts";
import { BUILD_PACKAGES, buildPeers, Peer, versions } from "./peers.ts";
import { markdown, type Rounds, type Row, rowsOf, textLine } from "./table.ts";

const HELP =
  `Usage: deno task bench [--save] [--rounds N] [--ms N] [--core N] [--wall] [--no-install] [name...]

Measures this library, on Deno and on Node, against a C program on libgssapi and against npm kerberos: all in one
run against one throw-away realm, each in one process that holds both ends, on one processor, taking turns. Shown
are medians over the rounds, and the medians of the ratios that each round gave.

  name          measure only what begins with this: ${
    [...new Set(MEASURES.map(({ name }) => name.split("-")[0]))].join(", ")
  }
  --save        write the table to bench/RESULTS.md, with the machine and the versions
  --rounds N    how often to take turns (default 9); one more round before is for warming up
  --ms N        how long each turn lasts, in milliseconds (default 400)
  --core N      the processor to run on (default: the last)
  --wall        tell rates by the wall's clock, not by processor time: the same on a machine that is quiet, and
                too low, for whoever uses threads most of all, on one that is not
  --no-install  install no Debian packages

Exit status: 0 measured, whether or not every target was met; 1 not measured; 2 the command is wrong.`;

/** The least that the first round lasts, so that a compiler has seen enough. */
const WARM_UP_MS = 1000;
const RESULTS = new URL("RESULTS.md", import.meta.url);

const NOTES = `
Handshakes are sequential, one in flight, both ends in one process, as far as knowing the client's name, with a
ticket that is in the cache and no replay cache. Seal and open are in place: C with gss_wrap_iov at known lengths and
gss_unwrap_iov, the library with wrap and unwrap, which also check order and encryption of each record. A stream is
connect() and listen() over loopback TCP, one end writing and the other reading; beside it stands C's bare rate of
gss_wrap_iov and gss_unwrap_iov together at the same size. npm kerberos finds its credentials anew for every
handshake, since its API takes none, and cannot seal an application's data. Rates are per second of processor time:
with one processor for each peer and nothing to wait for, that is what a clock on the wall shows when the machine is
quiet (--wall).

The library keeps the target's name in Kerberos' own form, and krb5.conf parsed, from one handshake to the next. The
lines "C keeping as much" compare it with a C program that does the same.
`;

interface Options {
  readonly save: boolean;
  readonly install: boolean;
  readonly clock: "processor" | "wall";
  readonly rounds: number;
  readonly ms: number;
  readonly core: number;
  readonly measures: readonly Measure[];
}

function readOptions(args: string[]): Options | null {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      "help": { type: "boolean" },
      "save": { type: "boolean" },
      "no-install": { type: "boolean" },
      "wall": { type: "boolean" },
      "rounds": { type: "string", default: "9" },
      "ms": { type: "string", default: "400" },
      "core": { type: "string", default: String(cpus().length - 1) },
    },
  });
  if (values.help) return null;
  const number = (name: "rounds" | "ms" | "core", least: number): number => {
    const value = Number(values[name]);
    if (Number.isInteger(value) && value >= least) return value;
    throw new TypeError(`--${name} must be a whole number of at least ${least}, not ${values[name]}`);
  };
  const unknown = positionals.find((word) => !MEASURES.some(({ name }) => name.startsWith(word)));
  if (unknown !== undefined) {
    throw new TypeError(
      `${unknown} is not measured; there are ${MEASURES.map(({ name }) => name).join(", ")}`,
    );
  }
  return {
    save: values.save ?? false,
    install: !values["no-install"],
    clock: values.wall ? "wall" : "processor",
    rounds: number("rounds", 1),
    ms: number("ms", 1),
    core: number("core", 0),
    measures: positionals.length === 0
      ? MEASURES
      : MEASURES.filter(({ name }) => positionals.some((word) => name.startsWith(word))),
  };
}

/** Lets the peers take turns; the first round is for warming up and does not count. */
async function measure({ requests }: Measure, peers: readonly Peer[], options: Options): Promise<Rounds> {
  const rounds: { [name: string]: number[][] } = {};
  for (let round = -1; round < options.rounds; round++) {
    for (const peer of peers) {
      const request = requests[peer.name];
      if (request === undefined) continue;
      const answer = await peer.measure(request, round < 0 ? Math.max(options.ms, WARM_UP_MS) : options.ms);
      if (round >= 0) (rounds[peer.name] ??= []).push(answer);
    }
  }
  return rounds;
}

async function runAll(peers: readonly Peer[], options: Options): Promise<Row[]> {
  const rows: Row[] = [];
  console.log(textLine(null));
  for (const one of options.measures) {
    for (const row of rowsOf(one, await measure(one, peers, options))) {
      rows.push(row);
      console.log(textLine(row));
    }
  }
  return rows;
}

async function save(rows: readonly Row[], { rounds, ms, core, clock }: Options, load: string): Promise<void> {
  const [{ model }] = cpus();
  const text = [
    "# Results of `deno task bench`",
    "",
    `${
      new Date().toISOString().slice(0, 10)
    }, ${model}, ${cpus().length} processors, all on number ${core}, Linux ` +
    `${release()}; load before: ${load}; ${rounds} rounds of ${ms} ms, medians; ${clock} time.`,
    (await versions()).join(", ") + ".",
    "",
    markdown(rows),
    NOTES,
  ];
  await Deno.writeTextFile(RESULTS, text.join("\n"));
  await mustRun(Deno.execPath(), ["fmt", "--quiet", RESULTS.pathname]);
  console.log(`\nWritten to ${RESULTS.pathname}`);
}

async function bench(options: Options): Promise<number> {
  const realmPackages = ["krb5-kdc", "krb5-admin-server", "krb5-user"];
  const missing = await ensurePackages([...realmPackages, ...BUILD_PACKAGES], { install: options.install });
  const noRealm = realmUnavailable();
  if (noRealm !== null) {
    console.error(`Nothing can be measured: ${missing ?? noRealm}`);
    return 1;
  }
  const load = loadavg()[0].toFixed(2);
  const folder = await Deno.makeTempDir({ prefix: "secure-sockets-bench-" });
  const peers: Peer[] = [];
  try {
    await using realm = await startRealm();
    await realm.kinit("alice");
    Object.assign(process.env, realm.env, { BENCH_CLOCK: options.clock });
    for (const program of await buildPeers(folder)) {
      if ("reason" in program) console.log(`Without ${program.name}: ${program.reason}`);
      else peers.push(new Peer(program, options.core));
    }
    const rows = await runAll(peers, options);
    if (options.save) await save(rows, options, load);
    return 0;
  } finally {
    await Promise.all(peers.map((peer) => peer.close()));
    await Deno.remove(folder, { recursive: true });
  }
}

async function main(args: string[]): Promise<number> {
  let options: Options | null;
  try {
    options = readOptions(args);
  } catch (error) {
    console.error((error as Error).message);
    return 2;
  }
  if (options !== null) return await bench(options);
  console.log(HELP);
  return 0;
}

if (import.meta.main) Deno.exit(await main(Deno.args));
