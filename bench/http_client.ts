/**
 * `deno task bench:http-client`: measures signed-on requests of clients.
 *
 * @module
 */

import { parseArgs } from "node:util";
import { negotiateFetch } from "../http/mod.ts";
import { findProgram, mustRun } from "../scripts/process.ts";
import { cleanUpWhenInterrupted } from "../scripts/temporary.ts";
import { startApache } from "../tests/rig/apache.ts";
import { startRealm } from "../tests/rig/realm.ts";
import { median } from "./table.ts";

const HELP = `Usage: deno task bench:http-client [--rounds N] [--requests N] [--help]

Signed-on requests a second, one after the other, for a static file of Apache with mod_auth_gssapi, on http and https:
negotiateFetch() on Deno, which asks first, opens a connection for each request and verifies the server's proof; curl
--negotiate with all requests in one process, which keeps its connection and verifies no proof; and curl with a process
for each request. N requests (default 200) in each of N rounds (default 3) in which the clients take turns; the median
counts. Apache runs on the same processors.

Needs a Kerberos server, Apache and curl. Exit status: 0 measured; 2 the command is wrong.`;

/** Sends so many requests. */
type Send = (url: string, count: number) => Promise<void>;

async function measure(rounds: number, requests: number): Promise<void> {
  await using realm = await startRealm();
  await realm.kinit("alice");
  realm.applyEnv();
  await using apache = await startApache(realm);
  const origins = [`http://localhost:${apache.port}`, `https://localhost:${apache.securePort}`];
  await using signedOn = negotiateFetch({ origins, ca: apache.ca });
  const curl = findProgram("curl")!;
  const ours: Send = async (url, count) => {
    for (let sent = 0; sent < count; sent++) {
      const response = await signedOn(url);
      await response.text();
      if (signedOn.security(response) === null) throw new Error(`${url}: ${response.status}`);
    }
  };
  const curls: Send = async (url, count) => {
    const all = Array.from({ length: count }, () => ["-o", "/dev/null", url]).flat();
    const { stdout } = await mustRun(curl, [
      ...["-sk", "--negotiate", "--user", ":", "--write-out", "%{http_code}\n", ...all],
    ]);
    if (stdout.trim().split("\n").some((code) => code !== "200")) throw new Error(`${url}: ${stdout}`);
  };
  const each: Send = async (url, count) => {
    for (let sent = 0; sent < count; sent++) await curls(url, 1);
  };
  const clients: [name: string, send: Send][] = [
    ["negotiateFetch()", ours],
    ["curl, one process", curls],
    ["curl, a process for each", each],
  ];
  for (const origin of origins) {
    const rates = new Map<string, number[]>(clients.map(([name]) => [name, []]));
    for (let round = 0; round <= rounds; round++) {
      for (const [name, send] of clients) {
        const before = performance.now();
        await send(`${origin}/per/hello.txt`, requests);
        // The first round warms up.
        if (round > 0) rates.get(name)!.push(requests / ((performance.now() - before) / 1000));
      }
    }
    console.log(`${origin.split(":")[0]}: signed-on requests a second`);
    for (const [name, list] of rates) {
      console.log(`  ${name.padEnd(26)}${median(list)!.toFixed(0).padStart(6)}`);
    }
  }
}

async function main(): Promise<number> {
  const number = { type: "string" } as const;
  const numbers: number[] = [];
  try {
    const { values } = parseArgs({
      options: { rounds: number, requests: number, help: { type: "boolean" } },
    });
    if (values.help) {
      console.log(HELP);
      return 0;
    }
    numbers.push(Number(values.rounds ?? 3), Number(values.requests ?? 200));
  } catch (error) {
    console.error((error as Error).message);
  }
  if (numbers.length === 0 || numbers.some((value) => !Number.isInteger(value) || value < 1)) {
    console.error(HELP);
    return 2;
  }
  await measure(numbers[0], numbers[1]);
  return 0;
}

if (import.meta.main) {
  cleanUpWhenInterrupted();
  Deno.exitCode = await main();
}
