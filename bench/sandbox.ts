/**
 * `deno task bench:sandbox`: what the sandbox costs: a call of a guarded module beside the same module unguarded and beside Extism, arithmetic with
 * and without fuel, guarding and compiling, and how long a unit of fuel lasts at worst.
 *
 * @module
 */

import { createPlugin, type Plugin } from "@extism/extism";
import { readFile } from "node:fs/promises";
import { guard, type GuardRules } from "../plugins/sandbox/guard.ts";
import { GuestInstance } from "../plugins/sandbox/instance.ts";
import { DEFAULT_LIMITS } from "../plugins/sandbox/limits.ts";
import type { OperationName } from "../plugins/sandbox/abi.ts";
import type { Reader } from "../plugins/sandbox/wire.ts";
import { compileGuest } from "../scripts/assembly.ts";
import { guestModule as templateModule } from "../plugins/sdk/template/guest_wasm.ts";
import { compileWat } from "../tests/support/wat.ts";
import { helpOnly } from "./command_line.ts";
import { SLOW_LOOPS } from "./sandbox_loops.ts";

const HELP = `Usage: deno task bench:sandbox [--help]

Measures what guarding and metering a WebAssembly guest costs: calls beside the same module unguarded and beside
Extism, arithmetic with and without fuel, guarding and compiling, and how long all the fuel of a call lasts at worst.
The targets follow at the end, each met or MISSED.

Exit status: 0 measured, whether or not every target was met; 2 the command is wrong.`;
const ROOT = new URL("../", import.meta.url);
// The engine optimises in the background; a machine that is busy takes its time over it.
const WARM_UP_MS = 1_000;
/** Many short rounds: the best of them is one that nothing else disturbed. */
const ROUNDS = 200;
const SIZES = [64, 1024, 16_384, 65_536];
const RULES: GuardRules = {
  limits: DEFAULT_LIMITS,
  importModule: "host",
  imports: new Map([["random", "i32,i32->"], ["clock", "->i64"]]),
  required: new Map(),
  optional: new Map(),
};
/** The operations of bench/guests/work.ts, by the names of the ABI that have their numbers. */
const WORK = { echo: "wrap", sha256: "unwrap", rc4: "sign", mix: "verify" } as const;

/**
 * The time one of `count` runs takes, in microseconds, for each of `runs`, taken in turns: the best round of all, for what
 * else the machine does only ever adds.
 */
async function measure(count: number, runs: readonly (() => unknown)[]): Promise<number[]> {
  const times = runs.map(() => Infinity);
  const begin = performance.now();
  for (let round = 0; round < ROUNDS;) {
    for (const [index, run] of runs.entries()) {
      const start = performance.now();
      for (let i = 0; i < count; i++) {
        const result = run();
        if (result instanceof Promise) await result;
      }
      times[index] = Math.min(times[index], (performance.now() - start) * 1000 / count);
    }
    if (performance.now() - begin > WARM_UP_MS) round++;
  }
  return times;
}

function instantiate(module: Uint8Array<ArrayBuffer>, guarded: boolean): GuestInstance {
  const found = guard(guarded ? module : templateModule(), RULES);
  const bytes = guarded ? found.bytes : module;
  return new GuestInstance({
    name: "bench",
    module: new WebAssembly.Module(bytes),
    guarded: { ...found, imports: [] },
    limits: DEFAULT_LIMITS,
    grants: {},
  });
}

function row(...cells: (string | number)[]): void {
  const [first, ...rest] = cells.map((cell) => typeof cell === "number" ? format(cell) : cell);
  console.log(first.padEnd(34) + rest.map((cell) => cell.padStart(11)).join(""));
}

function format(value: number): string {
  return value < 10 ? value.toFixed(3) : value.toFixed(1);
}

function goal(name: string, value: number, most: number, unit: string): void {
  console.log(
    `${value <= most ? "met   " : "MISSED"} ${name}: ${format(value)} ${unit}, at most ${most} ${unit}`,
  );
}

const exitCode = helpOnly(Deno.args, HELP);
if (exitCode !== null) Deno.exit(exitCode);

const out = new Uint8Array(70_000);
const read = (answer: Reader): void => {
  answer.u32();
  out.set(answer.rest());
};

const unguarded = instantiate(await compileGuest(ROOT, "bench/guests/unguarded.ts"), false);
const guarded = instantiate(await compileGuest(ROOT, "bench/guests/work.ts"), true);
const extism: Plugin = await createPlugin(
  {
    wasm: [{
      data: compileWat("echo", await readFile(new URL("bench/guests/extism_echo.wat", ROOT), "utf8")),
    }],
  },
  { useWasi: false, runInWorker: false },
);

let extismCalls = 0;
async function echoByExtism(body: Uint8Array): Promise<void> {
  await extism.call("echo", body);
  // Version 1.0.3 runs out of addresses after some ten thousand calls.
  if (++extismCalls % 1000 === 0) await extism.reset();
}

console.log("one call that echoes, microseconds (host's checks, copies and wiping in all but Extism's)");
row("", ...SIZES.map((size) => `${size} B`));
const calls: number[][] = [];
for (const size of SIZES) {
  const body = new Uint8Array(size);
  const call = (instance: GuestInstance) => () => instance.call(WORK.echo, body, read);
  const count = Math.ceil(Math.min(1_000, 500_000 / size));
  const ours = await measure(count, [call(unguarded), call(guarded)]);
  const theirs = await measure(Math.ceil(count / 10), [() => echoByExtism(body)]);
  calls.push([...ours, ...theirs]);
}
row("unguarded", ...calls.map(([time]) => time));
row("guarded and metered", ...calls.map(([, time]) => time));
row("@extism/extism, in process", ...calls.map(([, , time]) => time));
row("guarded : unguarded", ...calls.map(([a, b]) => b / a));
await extism.close();

console.log("\narithmetic over 16 KiB, microseconds");
row("", "unguarded", "guarded", "overhead %");
const overheads: number[] = [];
for (const [name, operation] of Object.entries(WORK).slice(1) as [string, OperationName][]) {
  const body = new Uint8Array(16_384);
  const call = (instance: GuestInstance) => () => instance.call(operation, body, read);
  const [plain, metered] = await measure(5, [call(unguarded), call(guarded)]);
  overheads.push((metered / plain - 1) * 100);
  row(name, plain, metered, overheads.at(-1)!);
}

console.log("\nguarding and compiling, milliseconds");
row("", "bytes", "guard", "compile", "instance");
const modules: [string, Uint8Array][] = [["template of the SDK", templateModule()]];
const ntlm = await readFile(new URL("plugins/ntlm/guest.wasm", ROOT)).catch(() => null);
if (ntlm) modules.push(["NTLM", ntlm]);
let preparing = 0;
for (const [name, module] of modules) {
  const { bytes, imports } = guard(module, RULES);
  const host = { random: () => {}, clock: () => 0n };
  const compiled = new WebAssembly.Module(bytes);
  const [guardTime, compileTime, instanceTime] = await measure(5, [
    () => guard(module, RULES),
    () => WebAssembly.compile(bytes),
    () => new WebAssembly.Instance(compiled, imports.length > 0 ? { host } : {}),
  ]);
  preparing = (guardTime + compileTime) / 1000;
  row(name, String(module.length), guardTime / 1000, compileTime / 1000, instanceTime / 1000);
}

console.log("\nhow long all the fuel of a call lasts at worst, milliseconds");
let longest = 0;
for (const [name, text] of Object.entries(SLOW_LOOPS)) {
  const instance = instantiate(compileWat(name, text), true);
  const start = performance.now();
  try {
    instance.call("wrap", new Uint8Array(1), () => {});
  } catch {
    // It runs until the fuel is used up: that is what is measured.
  }
  const elapsed = performance.now() - start;
  longest = Math.max(longest, elapsed);
  row(name, elapsed);
}

console.log();
goal("64-byte call", calls[0][1], 1, "us");
goal("64-byte call, guarded : unguarded", calls[0][1] / calls[0][0], 1.3, "x");
goal("fuel overhead on arithmetic", Math.max(...overheads), 10, "%");
goal(`guard and compile, ${modules.at(-1)![0]}`, preparing, 10, "ms");
goal("an endless loop", longest, 250, "ms");
