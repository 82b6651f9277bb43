/**
 * `deno task bench:half-open`: measures what a security context costs whose exchange has begun and does not end.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import process from "node:process";
import { parseArgs } from "node:util";
import { openAcceptor, openInitiator, openSystem, type SecurityContext, type System } from "../mod.ts";
import { createRegistry } from "../plugins/mod.ts";
import { kerberos, negotiate } from "../plugins/negotiate/mod.ts";
import { ntHash, ntlm } from "../plugins/ntlm/mod.ts";
import { cleanUpWhenInterrupted, temporaryFolder } from "../scripts/temporary.ts";
import { startRealm } from "../tests/rig/realm.ts";
import { type Held, memory } from "../scripts/memory.ts";

const HELP = `Usage: deno task bench:half-open [--contexts N] [--help]

Begins N exchanges (default 1000) at one end and lets them wait for the peer, with Kerberos in a temporary realm,
and prints what each of them costs the process while it waits, and after it was closed.

  resident  growth of the process after garbage collection, including native memory
  heap      memory in the runtime's heap
  buffers   memory of the runtime outside its heap, with the linear memory of sandboxed guests

Needs a Kerberos server to start: see deno task demo. Exit status: 0 measured; 2 the command is wrong.`;

const TARGET = "HTTP/localhost";
/** A SPNEGO proposal of Kerberos (RFC 4178) without a token: the server answers, and waits for one. */
const PROPOSAL = Buffer.from("601b06062b0601050502a011300fa00d300b06092a864886f712010202", "hex");

/** Begins one exchange that waits for its peer. */
type Begin = () => Promise<SecurityContext>;

async function waiting(context: SecurityContext, token?: Uint8Array): Promise<SecurityContext> {
  const { done } = await context.step(token);
  if (done) throw new Error("the exchange is complete; it should wait for the peer");
  return context;
}

async function measure(what: string, count: number, begin: Begin): Promise<void> {
  // What is loaded and reserved once does not count.
  for (let round = 0; round < 20; round++) (await begin()).close();
  const before = await memory();
  const contexts: SecurityContext[] = [];
  while (contexts.length < count) contexts.push(await begin());
  report(what, count, before, await memory());
  for (const context of contexts.splice(0)) context.close();
  report("  after they were closed", count, before, await memory());
}

function report(what: string, count: number, before: Held, after: Held): void {
  const each = (kind: keyof Held) => ((after[kind] - before[kind]) / count / 1024).toFixed(1).padStart(10);
  console.log(`${what.padEnd(50)}${each("resident")} ${each("heap")} ${each("buffers")}`);
}

async function measureAll(count: number, system: System): Promise<void> {
  console.log(`${`KiB for each of ${count} contexts`.padEnd(50)}  resident       heap    buffers`);
  {
    using initiator = await openInitiator({ registry: createRegistry([kerberos()]), system });
    await measure(
      "kerberos() client that waits for the answer",
      count,
      () => waiting(initiator.initiate({ target: TARGET })),
    );
  }
  {
    using acceptor = await openAcceptor({ registry: createRegistry([negotiate()]), system });
    await measure(
      "negotiate() server that waits for the first ticket",
      count,
      () => waiting(acceptor.accept(), PROPOSAL),
    );
  }
  const registry = createRegistry([ntlm({ accounts: () => ntHash("secret") })]);
  const requirements = { mutualAuthentication: false };
  const credentials = { username: "alice", domain: "EXAMPLE", password: "secret" };
  using initiator = await openInitiator({ registry, system, requirements, credentials });
  using client = initiator.initiate({ target: TARGET });
  const { token } = await client.step();
  using acceptor = await openAcceptor({ registry, system, requirements });
  await measure(
    "ntlm() server that waits for the client's proof",
    count,
    () => waiting(acceptor.accept(), token!),
  );
}

/** How many contexts, or null for help. */
function readCount(args: string[]): number | null {
  const { values } = parseArgs({
    args,
    options: { help: { type: "boolean" }, contexts: { type: "string", default: "1000" } },
  });
  if (values.help) return null;
  const count = Number(values.contexts);
  if (Number.isInteger(count) && count > 0) return count;
  throw new TypeError(`--contexts must be a whole number of at least 1, not ${values.contexts}`);
}

async function main(args: string[]): Promise<number> {
  let count: number | null;
  try {
    count = readCount(args);
  } catch (error) {
    console.error((error as Error).message);
    return 2;
  }
  if (count === null) {
    console.log(HELP);
    return 0;
  }
  await using folder = await temporaryFolder("bench");
  await using realm = await startRealm({ dir: folder.path });
  const restore = realm.applyEnv();
  await realm.kinit("alice");
  using system = openSystem({ grants: ["sspi"] });
  await measureAll(count, system);
  restore();
  return 0;
}

if (import.meta.main) {
  cleanUpWhenInterrupted();
  process.exitCode = await main(process.argv.slice(2));
}
