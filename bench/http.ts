/**
 * `deno task bench:http`: measures signed-on requests a second.
 *
 * @module
 */

import { spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import { openInitiator } from "../mod.ts";
import { findProgram, mustRun } from "../scripts/process.ts";
import { cleanUpWhenInterrupted, temporaryFolder } from "../scripts/temporary.ts";
import { apacheUnavailable, startApache } from "../tests/rig/apache.ts";
import { startRealm } from "../tests/rig/realm.ts";
import { buildForNode, installed, NPM_KERBEROS, onNode, type Program } from "./peers.ts";
import { median } from "./table.ts";

const HELP = `Usage: deno task bench:http [--rounds N] [--seconds N] [--connections N] [--help]

Signed-on requests of servers, for each second of their processor time and for each second: this library in
Deno.serve, and in node:http on Deno and on Node; Apache with mod_auth_gssapi (a static file); Express with npm
kerberos. The load is made by ab (apache2-utils) over connections that
stay open (default 8), for some seconds (default 3) in each of N rounds (default 5) in which the servers take turns; the
median counts. Each request carries one and the same token of alice's, which these servers accept again because the
realm of the bench keeps no replay cache: what a client needs to make its tokens is not measured. ab runs on the same
processors.

Needs a Kerberos server, Apache, and what builds npm kerberos. Exit status: 0 measured; 2 the command is wrong.`;

const HERE = import.meta.dirname!;

/** A server under load. One owner. */
interface Running extends AsyncDisposable {
  readonly name: string;
  readonly url: string;
}

async function start(
  name: string,
  { command: [program, ...args], env }: Omit<Program, "name">,
): Promise<Running> {
  const child = spawn(program, args, {
    env: { ...process.env, ...env },
    stdio: ["pipe", "pipe", "inherit"],
  });
  const ended = new Promise((resolve) => child.once("close", resolve));
  const { value: port, done } = await createInterface({ input: child.stdout })[Symbol.asyncIterator]().next();
  if (done) throw new Error(`${name} ended`);
  return {
    name,
    url: `http://127.0.0.1:${port}/`,
    async [Symbol.asyncDispose]() {
      child.stdin.end();
      await ended;
    },
  };
}

/** Requests for each second of the servers' processor time, and for each second. */
type Rates = readonly [processor: number, wall: number];

/** Sends requests, all of which must be answered with 200. */
async function load(url: string, token: string, seconds: number, connections: number): Promise<Rates> {
  const before = processorSeconds();
  const { stdout } = await mustRun(findProgram("ab")!, [
    ...["-q", "-k", "-l", "-t", String(seconds), "-n", "10000000", "-c", String(connections)],
    ...["-H", "Host: localhost", "-H", `Authorization: Negotiate ${token}`, url],
  ]);
  const used = processorSeconds() - before;
  const count = Number(/^Complete requests: +(\d+)/m.exec(stdout)?.[1]);
  const wall = Number(/^Requests per second: +([\d.]+)/m.exec(stdout)?.[1]);
  if (!(wall > 0) || /Non-2xx|Failed requests: +[1-9]/.test(stdout)) throw new Error(`${url}: ${stdout}`);
  return [count / used, wall];
}

/**
 * The processor time of this process's children and theirs: of the server under load, since the others wait. ab has
 * ended by then.
 */
function processorSeconds(): number {
  const processes = readdirSync("/proc").filter((name) => /^\d+$/.test(name)).flatMap((name) => {
    try {
      // After the name in parentheses: state, parent, and from the 14th field on the ticks of user and system.
      const fields = readFileSync(`/proc/${name}/stat`, "latin1").replace(/^.*\) /s, "").split(" ");
      return [{
        id: Number(name),
        parent: Number(fields[1]),
        ticks: Number(fields[11]) + Number(fields[12]),
      }];
    } catch {
      return [];
    }
  });
  const below = (id: number): number =>
    processes.filter(({ parent }) => parent === id).reduce((sum, one) => sum + one.ticks + below(one.id), 0);
  return below(process.pid) / 100;
}

/** Measures the servers. */
async function servers(rounds: number, seconds: number, connections: number): Promise<void> {
  await using folder = await temporaryFolder("bench");
  await using realm = await startRealm();
  await realm.kinit("alice");
  realm.applyEnv();
  await using running = new AsyncDisposableStack();
  const deno = (kind: string) => ({
    command: [Deno.execPath(), "run", "-A", join(HERE, "http_signon.ts"), kind],
  });
  const { command } = await buildForNode(join(folder.path, "node"), ["http_signon.ts"]);
  const modules = await Promise.all([NPM_KERBEROS, "express@5"].map(installed));
  const kerberos = {
    ...await onNode(join(HERE, "http_npm_kerberos.ts")),
    env: { NODE_PATH: modules.map((folder) => join(folder, "node_modules")).join(":") },
  };
  const all = [
    running.use(await start("this library, Deno.serve", deno("fetch"))),
    running.use(await start("this library, node:http on Deno", deno("node"))),
    running.use(await start("this library, node:http on Node 22", { command })),
    running.use(await start("Express with npm kerberos, Node 22", kerberos)),
  ];
  const missing = apacheUnavailable();
  if (missing !== null) console.log(missing);
  else {
    const apache = running.use(await startApache(realm));
    all.push({
      ...apache,
      name: "Apache with mod_auth_gssapi",
      url: `http://127.0.0.1:${apache.port}/per/hello.txt`,
    });
  }
  using initiator = await openInitiator();
  using context = initiator.initiate({ target: "HTTP/localhost" });
  const token = btoa(String.fromCharCode(...(await context.step()).token!));
  const rates = new Map<string, Rates[]>(all.map(({ name }) => [name, []]));
  for (let round = 0; round <= rounds; round++) {
    for (const { name, url } of all) {
      const rate = await load(url, token, round === 0 ? 1 : seconds, connections);
      // The first round warms up.
      if (round > 0) rates.get(name)!.push(rate);
    }
  }
  console.log(`${"".padEnd(34)}    of its processor's     of the clock's`);
  for (const [name, list] of rates) {
    const [processor, wall] = [0, 1].map((at) =>
      `${median(list.map((one) => one[at]))!.toFixed(0)} requests/s`
    );
    console.log(name.padEnd(34), processor.padStart(20), wall.padStart(18));
  }
}

async function main(): Promise<number> {
  const number = { type: "string" } as const;
  let values: { rounds?: string; seconds?: string; connections?: string; help?: boolean };
  try {
    ({ values } = parseArgs({
      options: { rounds: number, seconds: number, connections: number, help: { type: "boolean" } },
    }));
  } catch (error) {
    console.error((error as Error).message);
    return 2;
  }
  const numbers = [values.rounds ?? 5, values.seconds ?? 3, values.connections ?? 8].map(Number);
  if (values.help || numbers.some((value) => !Number.isInteger(value) || value < 1)) {
    console.log(HELP);
    return values.help ? 0 : 2;
  }
  await servers(numbers[0], numbers[1], numbers[2]);
  return 0;
}

if (import.meta.main) {
  cleanUpWhenInterrupted();
  Deno.exitCode = await main();
}
