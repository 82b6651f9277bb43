/**
 * `deno task soak`: opens and closes connections and contexts for as long as wanted, under faults, and prints how
 * memory and handles develop.
 *
 * @module
 */

import { copyFileSync, readdirSync } from "node:fs";
import process from "node:process";
import { parseArgs } from "node:util";
import { memory } from "./memory.ts";
import { openSystem, SecureSocketError } from "../mod.ts";
import { liveHandles } from "../testing/mod.ts";
import { type Realm, startRealm } from "../tests/rig/realm.ts";
import { openWorks, SERVICE, type Work } from "./soak_works.ts";
import { cleanUpWhenInterrupted, temporaryFolder } from "./temporary.ts";

const HELP = `Usage: deno task soak [--minutes N] [--help]

Opens and closes connections, security contexts, HTTP sign-ons and proxy tunnels in this process for N minutes (default 1), with
Kerberos in a temporary realm and with NTLM, while the Kerberos server is killed and started again, the service's
key is changed, and tickets expire. Each 10 s (or fiftieth of the time) it prints memory, file descriptors and
native handles, and at the end how fast they grew in the last two thirds, per hour.

Exit status: 0 every operation ended in a result or in an expected error, and nothing was left open; 1 otherwise;
2 the command is wrong. Needs a Kerberos server to start: see deno task demo.`;

/** What an operation may fail with while faults are injected; anything else ends the run. */
const EXPECTED = new Set(["AuthenticationError", "TransportError", "TimeoutError", "ProtocolError"]);

/** Faults, one after the other for as long as `signal` allows; the realm works again at the end. */
async function faults(realm: Realm, signal: AbortSignal): Promise<void> {
  const wait = (ms: number) =>
    new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      signal.addEventListener("abort", () => (clearTimeout(timer), resolve()), { once: true });
    });
  while (!signal.aborted) {
    await wait(5_000);
    // A cache without the service's ticket: while the KDC is away clients have to ask it.
    await realm.kinit("alice", { cache: `FILE:${realm.dir}/tgt` });
    await realm.pause();
    copyFileSync(`${realm.dir}/tgt`, `${realm.dir}/cc`);
    await wait(3_000);
    await realm.resume();
    await wait(3_000);
    await realm.kadmin([`cpw -randkey -keepold ${SERVICE}`]);
    await realm.exportKeytab(`${realm.dir}/svc.keytab`, [SERVICE]);
    await realm.kinit("alice");
    await wait(3_000);
    await realm.kinit("alice", { lifetime: "2s" });
    await wait(5_000);
    await realm.kinit("alice");
  }
}

/** What one operation came to. */
interface Tally {
  rounds: number;
  readonly errors: Map<string, number>;
}

async function repeat(work: Work, tally: Tally, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    try {
      await work.round();
    } catch (error) {
      const { name, message } = error as Error;
      if (!(error instanceof SecureSocketError) || !EXPECTED.has(name)) throw error;
      const reason = "reason" in error ? ` ${error.reason}` : "";
      const kind = `${name}${reason}`;
      tally.errors.set(kind, (tally.errors.get(kind) ?? 0) + 1);
      if (message.length > 2_000) {
        throw new Error(`a message of ${message.length} characters`, { cause: error });
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    tally.rounds++;
  }
}

/** A sample of what this process holds. */
interface Sample {
  readonly hours: number;
  readonly resident: number;
  readonly heap: number;
  readonly buffers: number;
  readonly descriptors: number;
  readonly handles: number;
}

async function sample(began: number): Promise<Sample> {
  const { resident, heap, buffers } = await memory();
  return {
    hours: (performance.now() - began) / 3_600_000,
    resident,
    heap,
    buffers,
    descriptors: readdirSync("/proc/self/fd").length,
    handles: openHandles(),
  };
}

function openHandles(): number {
  return Object.values(liveHandles()).reduce((sum, count) => sum + count, 0);
}

/** Growth of `what` per hour, by least squares. */
export function slope(samples: readonly Sample[], what: keyof Sample): number {
  const mean = (key: keyof Sample) => samples.reduce((sum, one) => sum + one[key], 0) / samples.length;
  const x = mean("hours"), y = mean(what);
  const spread = samples.reduce((sum, one) => sum + (one.hours - x) ** 2, 0);
  return spread === 0 ? 0 : samples.reduce((sum, one) => sum + (one.hours - x) * (one[what] - y), 0) / spread;
}

const MIB = 1024 * 1024;

function line(one: Sample): string {
  const mib = (bytes: number) => (bytes / MIB).toFixed(1).padStart(8);
  const seconds = (one.hours * 3600).toFixed(0).padStart(6);
  return `${seconds} s ${mib(one.resident)} ${mib(one.heap)} ${mib(one.buffers)} ${
    String(one.descriptors).padStart(6)
  } ${String(one.handles).padStart(6)}`;
}

async function soak(minutes: number, realm: Realm): Promise<number> {
  const began = performance.now();
  const ending = new AbortController();
  const before = readdirSync("/proc/self/fd").length;
  const system = openSystem({ grants: ["sspi"] });
  const works = await openWorks(system);
  const tallies = works.map((): Tally => ({ rounds: 0, errors: new Map() }));
  const samples: Sample[] = [];
  let problem: unknown = null;
  const failed = (error: unknown): void => {
    problem ??= error;
    ending.abort();
  };
  const running = [
    ...works.map(([, work], index) => repeat(work, tallies[index], ending.signal).catch(failed)),
    faults(realm, ending.signal).catch(failed),
  ];
  const end = began + minutes * 60_000, every = Math.max(10_000, minutes * 1_200);
  console.log("  time  resident     heap  buffers   (MiB)  descriptors, handles");
  while (performance.now() < end && !ending.signal.aborted) {
    await new Promise((resolve) => setTimeout(resolve, Math.min(every, end - performance.now())));
    samples.push(await sample(began));
    console.log(line(samples.at(-1)!));
  }
  ending.abort();
  await Promise.all(running);
  for (const [, work] of works) await work.close();
  system.close();
  for (const [index, [name]] of works.entries()) {
    const errors = Array.from(tallies[index].errors, ([kind, count]) => `${kind} ${count}`).join(", ");
    console.log(`${name}: ${tallies[index].rounds} rounds; errors: ${errors || "none"}`);
  }
  const late = samples.slice(Math.floor(samples.length / 3));
  if (late.length > 1) {
    const mib = (what: keyof Sample) => `${(slope(late, what) / MIB).toFixed(1)} MiB`;
    console.log(
      `growth per hour: resident ${mib("resident")}, heap ${mib("heap")}, buffers ${mib("buffers")}, ` +
        `descriptors ${slope(late, "descriptors").toFixed(1)}, handles ${slope(late, "handles").toFixed(1)}`,
    );
  }
  await memory();
  const left = openHandles(), descriptors = readdirSync("/proc/self/fd").length;
  console.log(
    `left open at the end: ${left} handles, ${descriptors - before} descriptors more than at first`,
  );
  if (problem !== null) console.error(problem);
  return problem === null && left === 0 ? 0 : 1;
}

async function main(args: string[]): Promise<number> {
  let values: { minutes?: string; help?: boolean };
  try {
    ({ values } = parseArgs({
      args,
      options: { minutes: { type: "string" }, help: { type: "boolean" } },
    }));
  } catch (error) {
    console.error((error as Error).message);
    return 2;
  }
  if (values.help) {
    console.log(HELP);
    return 0;
  }
  const minutes = Number(values.minutes ?? 1);
  if (!(minutes > 0)) {
    console.error("--minutes wants a number above 0");
    return 2;
  }
  await using folder = await temporaryFolder("soak");
  await using realm = await startRealm({ dir: `${folder.path}/realm`, maxLife: "10h" });
  await realm.kinit("alice");
  using _ = { [Symbol.dispose]: realm.applyEnv() };
  // Otherwise the library gets itself a ticket whenever alice's has expired.
  process.env.KRB5_CLIENT_KTNAME = `FILE:${folder.path}/none.keytab`;
  return await soak(minutes, realm);
}

if (import.meta.main) {
  cleanUpWhenInterrupted();
  process.exitCode = await main(process.argv.slice(2));
}
