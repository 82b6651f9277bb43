/**
 * `deno task fuzz`: gives changed and random bytes to every parser that reads a stranger's bytes.
 *
 * @module
 */

import { type FuzzTarget, TARGETS } from "../tests/fuzz/targets.ts";
import { ROOT } from "./root.ts";
import { Random } from "./random.ts";

const HELP = `Usage: deno task fuzz [TARGET...] [--minutes N] [--seed S] [--help]

Gives changed and random bytes to the parsers that read a stranger's bytes, one target after the other, and prints
how many inputs each had. An input that ends otherwise than in a result or a typed error is made shorter, written
to tests/fuzz/found/TARGET-HASH.hex, which deno task test runs again from then on, and printed. Exit code 1 where
there was one.

  --minutes N  how long in all; default 1
  --seed S     the number that all inputs follow from; default: the time, which is printed

Targets: ${Object.keys(TARGETS).join(", ")}`;

/** Where inputs that failed are kept, one a file. */
export const FOUND = `${ROOT}tests/fuzz/found/`;
/** The most inputs that are kept to start from, of one target. */
const CORPUS = 2_000;
const MAX_BYTES = 8_192;
/** An input may take this long; a longer one is reported as a hang. */
const HANG_MS = 5_000;

const WORDS = [0, 1, 2, 4, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff];

/** A changed copy of one of `corpus`. */
export function change(corpus: readonly Uint8Array[], random: Random): Uint8Array {
  let out = [...random.of(corpus)];
  for (let left = 1 + random.below(4); left > 0; left--) {
    const at = random.below(out.length + 1);
    const extent = 1 + random.below(random.below(8) === 0 ? 64 : 4);
    switch (random.below(7)) {
      case 0:
        if (at < out.length) out[at] ^= 1 << random.below(8);
        break;
      case 1:
        if (at < out.length) out[at] = random.below(256);
        break;
      case 2:
        out.splice(at, extent);
        break;
      case 3:
        out.splice(at, 0, ...Array.from({ length: extent }, () => random.below(256)));
        break;
      case 4:
        out.splice(at, 0, ...out.slice(at, at + extent));
        break;
      case 5: {
        const word = random.of(WORDS), size = random.of([1, 2, 4]), little = random.below(2) === 0;
        for (let i = 0; i < size && at + i < out.length; i++) {
          out[at + i] = word >>> 8 * (little ? i : size - 1 - i) & 0xff;
        }
        break;
      }
      default: {
        const other = random.of(corpus), from = random.below(other.length + 1);
        out = [...out.slice(0, at), ...other.slice(from)];
      }
    }
  }
  return Uint8Array.from(out.slice(0, MAX_BYTES));
}

/** What one target came to. */
export interface Tally {
  /** How many inputs it had. */
  inputs: number;
  /** How many different answers it gave. */
  answers: number;
  /** The inputs that ended otherwise than they may, with the reason. */
  failures: { input: Uint8Array; reason: string }[];
}

/** Runs one target for `milliseconds`, or for `inputs` inputs. */
export async function fuzz(
  target: FuzzTarget,
  random: Random,
  { milliseconds = Infinity, inputs = Infinity }: { milliseconds?: number; inputs?: number },
): Promise<Tally> {
  const corpus: Uint8Array[] = [];
  const answers = new Set<string>();
  const tally: Tally = { inputs: 0, answers: 0, failures: [] };
  const end = performance.now() + milliseconds;
  const give = async (input: Uint8Array): Promise<void> => {
    tally.inputs++;
    const began = performance.now();
    try {
      const answer = await target.run(input);
      if (performance.now() - began > HANG_MS) throw new Error(`took ${performance.now() - began} ms`);
      if (answers.has(answer)) return;
      answers.add(answer);
      if (corpus.length < CORPUS) corpus.push(input);
    } catch (error) {
      tally.failures.push({ input, reason: (error as Error).stack ?? String(error) });
    }
  };
  const seeds = await target.seeds();
  for (const seed of seeds) await give(seed);
  corpus.push(...seeds);
  while (tally.inputs < inputs && performance.now() < end && tally.failures.length < 20) {
    await give(change(corpus, random));
    // Lets timers and signals in.
    if (tally.inputs % 500 === 0) await new Promise((resolve) => setTimeout(resolve));
  }
  tally.answers = answers.size;
  return tally;
}

/** A shorter input that fails as well. */
async function shorten(target: FuzzTarget, input: Uint8Array): Promise<Uint8Array> {
  let best = input;
  for (let size = best.length >> 1; size > 0; size >>= 1) {
    for (let at = 0; at + size <= best.length;) {
      const candidate = Uint8Array.from([...best.subarray(0, at), ...best.subarray(at + size)]);
      const fails = await Promise.resolve().then(() => target.run(candidate)).then(() => false, () => true);
      if (fails) best = candidate;
      else at += size;
    }
  }
  return best;
}

async function keep(name: string, input: Uint8Array): Promise<string> {
  const hex = Array.from(input, (byte) => byte.toString(16).padStart(2, "0")).join("");
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", Uint8Array.from(input)));
  const hash = Array.from(digest.subarray(0, 4), (byte) => byte.toString(16).padStart(2, "0")).join("");
  await Deno.mkdir(FOUND, { recursive: true });
  const path = `${FOUND}${name}-${hash}.hex`;
  await Deno.writeTextFile(path, `${hex}\n`);
  return path;
}

async function main(args: string[]): Promise<number> {
  if (args.includes("--help")) {
    console.log(HELP);
    return 0;
  }
  const names: string[] = [];
  let minutes = 1, seed = Date.now() % 2 ** 32;
  for (let at = 0; at < args.length; at++) {
    if (args[at] === "--minutes") minutes = Number(args[++at]);
    else if (args[at] === "--seed") seed = Number(args[++at]);
    else if (Object.hasOwn(TARGETS, args[at])) names.push(args[at]);
    else {
      console.error(`${args[at]} is neither an option nor a target; deno task fuzz --help lists both`);
      return 2;
    }
  }
  if (!(minutes > 0) || !Number.isInteger(seed)) {
    console.error("--minutes wants a number above 0, and --seed an integer");
    return 2;
  }
  const chosen = names.length > 0 ? names : Object.keys(TARGETS);
  console.log(`seed ${seed}, ${minutes} minutes for ${chosen.length} targets`);
  let failures = 0;
  for (const name of chosen) {
    const target = TARGETS[name];
    const milliseconds = minutes * 60_000 / chosen.length;
    const tally = await fuzz(target, new Random(seed), { milliseconds });
    failures += tally.failures.length;
    console.log(
      `${
        name.padEnd(20)
      } ${tally.inputs} inputs, ${tally.answers} different answers, ${tally.failures.length} failures`,
    );
    for (const { input, reason } of tally.failures.slice(0, 3)) {
      console.log(`  ${await keep(name, await shorten(target, input))}\n  ${reason.split("\n")[0]}`);
    }
  }
  return failures === 0 ? 0 : 1;
}

if (import.meta.main) Deno.exit(await main(Deno.args));
