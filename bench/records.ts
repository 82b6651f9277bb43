/**
 * `deno task bench:records`: measures records by libcrypto beside the same records by the system's library, and beside
 * `openssl speed`, for each size. Derives from which size libcrypto is the faster way.
 *
 * @module
 */

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { NativeSystem, type SystemSeams } from "../ffi/system.ts";
import { kerberos } from "../plugins/negotiate/mod.ts";
import { ensureNode } from "../scripts/node.ts";
import { mustRun, npm } from "../scripts/process.ts";
import { cleanUpWhenInterrupted, temporaryFolder } from "../scripts/temporary.ts";
import { startRealm } from "../tests/rig/realm.ts";
import { acquire, close, sealAndOpen, shake } from "./contexts.ts";

const HELP = `Usage: deno task bench:records [--ms N] [--rounds N] [--help]

Seals and opens records of aes256-cts-hmac-sha1-96 of each size, on Deno and on Node: by libcrypto with the context's
keys, by the system's library through gss_wrap_iov and gss_unwrap_iov, and compares with what \`openssl speed\` reports
for AES-256-CBC and HMAC-SHA1 in the same run: the rate of both one after the other. All in alternating rounds; medians,
MiB/s of processor time.

  --ms N      how long each turn lasts, in milliseconds (default 150)
  --rounds N  how often to take turns (default 5)

Needs a Kerberos server to start, and openssl. Exit status: 0 measured; 2 the command is wrong.`;

const TARGET = "HTTP/localhost";
const SIZES: readonly number[] = [0, 16, 64, 256, 1024, 4096, 16_384, 65_536];
/** What a record of 64 KiB has to reach of `openssl speed`, in the same run. */
const LEAST = 0.8;
const MARK = "rates ";

/** MiB/s of sealing and of opening, or records a second where a record is empty, by size. */
type Rates = number[][];

const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[values.length >> 1];

/** Measures this runtime once, by both ways. */
async function measureHere(ms: number): Promise<Rates[]> {
  const ways: SystemSeams[] = [{}, { records: "system" }];
  const rates: Rates[] = [];
  for (const seams of ways) {
    using system = new NativeSystem({ grants: ["sspi"] }, seams);
    const credentials = await acquire(kerberos(), system);
    const ends = await shake(credentials, TARGET);
    const expected = seams.records ?? "accelerated";
    if (ends.client.attributes.records !== expected) {
      throw new Error(`records are not ${expected}: install libssl3`);
    }
    // The first calls are slower: functions are compiled, and keys derived.
    for (const size of [64, 4096]) sealAndOpen(ends, size, ms);
    // An empty record is measured as if it had one byte.
    rates.push(SIZES.map((size) => sealAndOpen(ends, Math.max(1, size), ms)));
    close(ends);
    close(credentials);
  }
  return rates;
}

/** MiB/s of `openssl speed` for sealing and for opening: the cipher and the checksum one after the other. */
async function opensslSpeed(size: number): Promise<number[]> {
  const rate = async (...args: string[]): Promise<number> => {
    const { stdout } = await mustRun("openssl", ["speed", "-seconds", "1", "-bytes", String(size), ...args]);
    const thousands = /([\d.]+)k\s*$/.exec(stdout.trim())?.[1];
    if (thousands === undefined) throw new Error(`openssl speed printed no rate: ${stdout}`);
    return Number(thousands) * 1000 / (1 << 20);
  };
  const mac = await rate("-hmac", "sha1");
  const both = (cipher: number): number => 1 / (1 / cipher + 1 / mac);
  return [both(await rate("-evp", "aes-256-cbc")), both(await rate("-decrypt", "-evp", "aes-256-cbc"))];
}

/** This program as a file for Node, with koffi beside it. */
async function programForNode(folder: string): Promise<string> {
  // Not by an import statement: the file for Node has none beside it.
  const { build, stop } = await import("esbuild");
  mkdirSync(folder);
  writeFileSync(join(folder, "package.json"), '{ "private": true, "type": "module" }\n');
  await npm(["install", "--no-audit", "--no-fund", "--prefer-offline", "koffi@3"], { cwd: folder });
  const outfile = join(folder, "records.mjs");
  const alias = {
    "@winsock/secure-sockets": "./mod.ts",
    "@winsock/secure-sockets/plugins": "./plugins/mod.ts",
  };
  await build({
    entryPoints: [fileURLToPath(import.meta.url)],
    absWorkingDir: fileURLToPath(new URL("..", import.meta.url)),
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node22",
    outfile,
    alias,
    external: ["koffi", "esbuild"],
    logLevel: "error",
  });
  await stop();
  return outfile;
}

function report(runtime: string, rounds: readonly Rates[][], speed: readonly number[]): void {
  const of = (way: number, size: number, column: number): number =>
    median(rounds.map((ways) => ways[way][size][column]));
  console.log(`\n${runtime.padEnd(14)} seal: libcrypto   system  ratio    open: libcrypto   system  ratio`);
  let from = SIZES.length;
  for (let size = SIZES.length - 1; size >= 0; size--) {
    if (of(0, size, 0) >= of(1, size, 0) && from === size + 1) from = size;
  }
  SIZES.forEach((bytes, size) => {
    const cells = [0, 1].map((column) => {
      const [ours, theirs] = [of(0, size, column), of(1, size, column)];
      return `${ours.toFixed(2).padStart(15)} ${theirs.toFixed(2).padStart(8)} ${
        (ours / theirs).toFixed(2).padStart(6)
      }`;
    });
    console.log(`${String(bytes).padStart(8)} bytes ${cells.join("   ")}`);
  });
  const least = from === SIZES.length ? "no size" : from === 0 ? "every size" : `${SIZES[from]} bytes on`;
  console.log(`libcrypto seals faster from: ${least}`);
  ["seal", "open"].forEach((name, column) => {
    const share = of(0, SIZES.length - 1, column) / speed[column];
    const verdict = share >= LEAST ? "met" : "MISSED";
    console.log(
      `${name} 64 KiB: ${share.toFixed(2)} of openssl speed (${
        speed[column].toFixed(0)
      } MiB/s); >= ${LEAST}: ${verdict}`,
    );
  });
}

async function measure(ms: number, rounds: number): Promise<void> {
  await using folder = await temporaryFolder("bench-records");
  await using realm = await startRealm({ dir: `${folder.path}/realm` });
  await realm.kinit("alice");
  Object.assign(process.env, realm.env);
  const node = [await ensureNode(22), await programForNode(`${folder.path}/node`)];
  const found: { readonly [runtime: string]: Rates[][] } = { Deno: [], Node: [] };
  const speeds: number[][] = [];
  for (let round = 0; round < rounds; round++) {
    speeds.push(await opensslSpeed(SIZES[SIZES.length - 1]));
    found.Deno.push(await measureHere(ms));
    const { stdout } = await mustRun(node[0], [node[1], "--here", "--ms", String(ms)]);
    found.Node.push(JSON.parse(stdout.slice(stdout.indexOf(MARK) + MARK.length)));
  }
  const speed = [0, 1].map((column) => median(speeds.map((both) => both[column])));
  for (const [runtime, rates] of Object.entries(found)) report(runtime, rates, speed);
}

/** What the command line asks for. */
function readArguments(args: string[]): { here: boolean; help: boolean; ms: number; rounds: number } {
  const { values: { here = false, help = false, ...numbers } } = parseArgs({
    args,
    options: {
      here: { type: "boolean" },
      help: { type: "boolean" },
      ms: { type: "string", default: "150" },
      rounds: { type: "string", default: "5" },
    },
  });
  const [ms, rounds] = [Number(numbers.ms), Number(numbers.rounds)];
  if (!(ms >= 1 && Number.isInteger(rounds) && rounds >= 1)) {
    throw new TypeError("--ms and --rounds need numbers");
  }
  return { here, help, ms, rounds };
}

async function run(args: string[]): Promise<number> {
  let asked: ReturnType<typeof readArguments>;
  try {
    asked = readArguments(args);
  } catch (error) {
    console.error((error as Error).message);
    return 2;
  }
  if (asked.help) console.log(HELP);
  else if (asked.here) console.log(MARK + JSON.stringify(await measureHere(asked.ms)));
  else {
    cleanUpWhenInterrupted();
    await measure(asked.ms, asked.rounds);
  }
  return 0;
}

if (import.meta.main) process.exitCode = await run(process.argv.slice(2));
