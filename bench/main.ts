/**
 * `deno task bench`: measures the library against a C program on libgssapi and against npm `kerberos`.
 *
 * @module
 */

import { cpus, loadavg, release } from "node:os";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { ensurePackages } from "../scripts/install.ts";
import { realmUnavailable, startRealm } from "../tests/rig/realm.ts";
import { cleanUpWhenInterrupted, temporaryFolder } from "../scripts/temporary.ts";
import { chartOf } from "./chart.ts";
import { type Options, runBench } from "./command_line.ts";
import { COLUMNS, MEASURES } from "./measures.ts";
import { BUILD_PACKAGES, buildPeers, Peer, versions } from "./peers.ts";
import { measureAll, saveResults, today } from "./results.ts";

const HELP =
  `Usage: deno task bench [--save] [--rounds N] [--ms N] [--core N] [--chart] [--wall] [--no-install] [name...]

Measures this library, on Deno and on Node, against a C program on libgssapi and against npm kerberos: all in one
run against one temporary realm, each in one process that holds both ends, on one processor, in alternating rounds. It
shows medians over the rounds, and the medians of the ratios that each round gave.

  name          measure only what begins with this: ${
    [...new Set(MEASURES.map(({ name }) => name.split("-")[0]))].join(", ")
  }
  --save        write the table to bench/RESULTS.md, with the machine and the versions
  --rounds N    how often to take turns (default 9); one more round before is for warming up
  --ms N        how long each turn lasts, in milliseconds (default 400)
  --core N      the processor to run on (default: the last)
  --chart       measure nothing: draw docs/images/bench.svg from bench/RESULTS.md, as --save does too
  --wall        use elapsed time for rates, not processor time: the same on an idle machine, and too low on a
                busy one, above all for peers that use threads
  --no-install  install no Debian packages

Exit status: 0 measured, whether or not every target was met; 1 not measured; 2 the command is wrong.

The other benches: deno task bench:windows, bench:records, bench:sandbox, bench:ntlm, bench:idle (bench/README.md).`;

const RESULTS = fileURLToPath(new URL("RESULTS.md", import.meta.url));
const CHART = fileURLToPath(new URL("../docs/images/bench.svg", import.meta.url));

const NOTES = `
Handshakes are sequential, one in flight, both ends in one process, as far as knowing the client's name, with a
ticket that is in the cache and no replay cache. Seal and open are in place: C with gss_wrap_iov at known lengths and
gss_unwrap_iov, the library with wrap and unwrap, which also check order and encryption of each record. A stream is
connect() and listen() over loopback TCP, one end writing and the other reading; the C column is the rate of gss_wrap_iov
and gss_unwrap_iov together at the same size, without a connection. A connection of connect() and listen() is TCP over
loopback, the client's credentials acquired anew, and a handshake, with Negotiate; the other line is the same by
Kerberos with a message to the server and one back. C does so by blocking calls of one thread. npm kerberos acquires its credentials again for
every handshake, because its API accepts none, and cannot seal an application's data. Rates are per second of processor time:
with one processor for each peer and nothing to wait for, that equals elapsed time on an idle machine (--wall).

The library keeps the target's name in Kerberos' own form, and krb5.conf parsed, from one handshake to the next. The
lines "C keeping as much" compare it with a C program that does the same.
`;

async function circumstances({ rounds, ms, core, flags }: Options, load: string): Promise<string> {
  const [{ model }] = cpus();
  return `${today()}, ${model}, ${cpus().length} processors, all on number ${core}, Linux ${release()}; load ` +
    `before: ${load}; ${rounds} rounds of ${ms} ms, medians; ${clockOf(flags)} time. ` +
    (await versions()).join(", ") + ".";
}

function clockOf(flags: Options["flags"]): "processor" | "wall" {
  return flags.has("wall") ? "wall" : "processor";
}

async function drawResults(): Promise<number> {
  await Deno.writeTextFile(CHART, chartOf(await Deno.readTextFile(RESULTS)));
  console.log(`Written to ${CHART}`);
  return 0;
}

async function bench(options: Options): Promise<number> {
  if (options.flags.has("chart")) return await drawResults();
  const realmPackages = ["krb5-kdc", "krb5-admin-server", "krb5-user"];
  const missing = await ensurePackages([...realmPackages, ...BUILD_PACKAGES], {
    install: !options.flags.has("no-install"),
  });
  const noRealm = realmUnavailable();
  if (noRealm !== null) {
    console.error(`Nothing can be measured: ${missing ?? noRealm}`);
    return 1;
  }
  const load = loadavg()[0].toFixed(2);
  await using folder = await temporaryFolder("bench");
  const peers: Peer[] = [];
  try {
    await using realm = await startRealm({ dir: `${folder.path}/realm` });
    await realm.kinit("alice");
    Object.assign(process.env, realm.env, { BENCH_CLOCK: clockOf(options.flags) });
    for (const program of await buildPeers(folder.path)) {
      if ("reason" in program) console.log(`Without ${program.name}: ${program.reason}`);
      else peers.push(new Peer(program, options.core));
    }
    const rows = await measureAll(options.measures, peers, options, COLUMNS);
    if (options.save) {
      await saveResults(RESULTS, {
        command: "deno task bench",
        circumstances: await circumstances(options, load),
        rows,
        columns: COLUMNS,
        notes: NOTES,
      });
      await drawResults();
    }
    return 0;
  } finally {
    await Promise.all(peers.map((peer) => peer.close()));
  }
}

if (import.meta.main) {
  cleanUpWhenInterrupted();
  const flags = ["chart", "wall", "no-install"];
  Deno.exit(await runBench({ args: Deno.args, help: HELP, measures: MEASURES, flags }, bench));
}
