/**
 * `deno task bench:idle`: measures what a connection that waits for its peer costs the server, in resident
 * memory and in buffers, after the handshake and after messages of different sizes have gone both ways.
 *
 * @module
 */

import { spawn } from "node:child_process";
import { once } from "node:events";
import process from "node:process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { connect, listen, openSystem, type SecureConn } from "../mod.ts";
import { startRealm } from "../tests/rig/realm.ts";
import { cleanUpWhenInterrupted, temporaryFolder } from "../scripts/temporary.ts";
import { type Held, memory } from "../scripts/memory.ts";

const HELP = `Usage: deno task bench:idle [--connections N] [--help]

Opens N connections (default 10000) to a server in a separate process, with Kerberos in a temporary realm, and
prints what each of them costs that process while it waits for its peer: after the handshake, and after a message
of 1 KiB, 64 KiB and 1 MiB has gone there and back. What the process loads and reserves once, for the first
connections, does not count. The target is less than 40 KiB resident in each of these states.

  resident  growth of the process after garbage collection, including native memory of Kerberos
  heap      memory in the runtime's heap
  buffers   memory of the runtime outside its heap

Needs a Kerberos server to start: see deno task demo. Exit status: 0 measured; 2 the command is wrong.`;

const TARGET = "HTTP/localhost";
/** The most KiB of resident memory for each connection. */
const MOST_RESIDENT = 40;
/** How many connections are opened and closed before anything is measured. */
const WARM_UP = 300;
const SIZES = [1024, 64 * 1024, 1024 * 1024];

/** The process that is measured: echoes data, and prints its memory for each line of its input. */
async function serve(): Promise<void> {
  using system = openSystem({ grants: ["sspi"] });
  await using listener = await listen({ hostname: "127.0.0.1", port: 0, acceptedTargets: [TARGET], system });
  console.log(JSON.stringify({ port: listener.addr.port }));
  const accepting = (async () => {
    for await (const conn of listener) echo(conn);
  })();
  for await (const _ of createInterface({ input: process.stdin })) {
    console.log(JSON.stringify(await memory()));
  }
  await listener.close();
  await accepting;
}

/** One for all: of these connections one at a time has anything to read. */
const shared = new Uint8Array(64 * 1024);

async function echo(conn: SecureConn): Promise<void> {
  try {
    for (let read = await conn.read(shared); read !== null; read = await conn.read(shared)) {
      await conn.write(shared.subarray(0, read));
    }
  } finally {
    await conn.close();
  }
}

async function exchange(conn: SecureConn, size: number): Promise<void> {
  const into = new Uint8Array(64 * 1024);
  const reading = (async () => {
    for (let left = size; left > 0;) left -= await conn.read(into) ?? left;
  })();
  await conn.write(new Uint8Array(size));
  await reading;
}

/** How many connections, or what else is wanted: help, or being the process that is measured. */
function readCount(args: string[]): number | "help" | "serve" {
  const { values } = parseArgs({
    args,
    options: {
      help: { type: "boolean" },
      serve: { type: "boolean" },
      connections: { type: "string", default: "10000" },
    },
  });
  if (values.help) return "help";
  if (values.serve) return "serve";
  const count = Number(values.connections);
  if (Number.isInteger(count) && count > 0) return count;
  throw new TypeError(`--connections must be a whole number of at least 1, not ${values.connections}`);
}

async function main(args: string[]): Promise<number> {
  let wanted: ReturnType<typeof readCount>;
  try {
    wanted = readCount(args);
  } catch (error) {
    console.error((error as Error).message);
    return 2;
  }
  if (wanted === "help") console.log(HELP);
  else if (wanted === "serve") await serve();
  else await measure(wanted);
  return 0;
}

async function measure(count: number): Promise<void> {
  await using folder = await temporaryFolder("bench");
  await using realm = await startRealm({ dir: folder.path });
  const restore = realm.applyEnv();
  await realm.kinit("alice");
  const child = spawn(process.execPath, [
    "run",
    "-A",
    "--v8-flags=--expose-gc",
    fileURLToPath(import.meta.url),
    "--serve",
  ], { stdio: ["pipe", "pipe", "inherit"] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async () => JSON.parse((await lines.next()).value ?? "null");
  const ask = async () => {
    child.stdin.write("\n");
    return await next();
  };
  const { port } = await next();
  using system = openSystem({ grants: ["sspi"] });
  const open = async (wanted: number): Promise<SecureConn[]> => {
    const conns: SecureConn[] = [];
    const options = { hostname: "127.0.0.1", port, target: TARGET, system };
    while (conns.length < wanted) conns.push(await connect(options));
    return conns;
  };
  const early = await open(WARM_UP);
  for (const size of SIZES) await exchange(early[0], size);
  await Promise.all(early.map((conn) => conn.close()));
  const before: Held = await ask();
  console.log(`${`KiB for each of ${count} connections`.padEnd(34)}  resident       heap    buffers`);
  const report = async (what: string, most = MOST_RESIDENT): Promise<void> => {
    const held: Held = await ask();
    const each = (kind: keyof Held) => (held[kind] - before[kind]) / count / 1024;
    const figures = (["resident", "heap", "buffers"] as const).map((kind) =>
      each(kind).toFixed(1).padStart(10)
    );
    const verdict = most === Infinity ? "" : `  < ${most}: ${each("resident") < most ? "met" : "MISSED"}`;
    console.log(`${what.padEnd(34)}${figures.join(" ")}${verdict}`);
  };
  const conns = await open(count);
  await report("after the handshake");
  for (const size of SIZES) {
    for (const conn of conns) await exchange(conn, size);
    await report(`after ${size / 1024} KiB there and back`);
  }
  await Promise.all(conns.map((conn) => conn.close()));
  await report("after they were closed", Infinity);
  child.stdin.end();
  await once(child, "close");
  restore();
}

if (import.meta.main) {
  cleanUpWhenInterrupted();
  process.exitCode = await main(process.argv.slice(2));
}
