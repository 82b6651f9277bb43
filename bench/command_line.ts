/**
 * The command line that the benches share.
 *
 * @module
 */

import { cpus } from "node:os";
import { parseArgs } from "node:util";
import type { Measure } from "./measure.ts";
import type { Turns } from "./rounds.ts";

/** What was asked for. */
export interface Options extends Turns {
  /** Whether the results are kept. */
  readonly save: boolean;
  /** The processor to run on. */
  readonly core: number;
  /** What to measure. */
  readonly measures: readonly Measure[];
  /** Which of a bench's own flags were given. */
  readonly flags: ReadonlySet<string>;
}

/**
 * Reads a command line; null where only help is wanted.
 *
 * @param flags a bench's own flags, without the hyphens.
 * @throws TypeError for one that is wrong.
 */
export function readOptions(
  args: string[],
  measures: readonly Measure[],
  flags: readonly string[] = [],
): Options | null {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      help: { type: "boolean" },
      save: { type: "boolean" },
      rounds: { type: "string", default: "9" },
      ms: { type: "string", default: "400" },
      core: { type: "string", default: String(Math.max(0, cpus().length - 1)) },
      ...Object.fromEntries(flags.map((flag) => [flag, { type: "boolean" } as const])),
    },
  });
  if (values.help) return null;
  const number = (name: "rounds" | "ms" | "core", least: number): number => {
    const value = Number(values[name]);
    if (Number.isInteger(value) && value >= least) return value;
    throw new TypeError(`--${name} must be a whole number of at least ${least}, not ${values[name]}`);
  };
  const unknown = positionals.find((word) => !measures.some(({ name }) => name.startsWith(word)));
  if (unknown !== undefined) {
    throw new TypeError(
      `${unknown} is not measured; there are ${measures.map(({ name }) => name).join(", ")}`,
    );
  }
  const given: { readonly [flag: string]: unknown } = values;
  return {
    save: values.save ?? false,
    rounds: number("rounds", 1),
    ms: number("ms", 1),
    core: number("core", 0),
    measures: positionals.length === 0
      ? measures
      : measures.filter(({ name }) => positionals.some((word) => name.startsWith(word))),
    flags: new Set(flags.filter((flag) => given[flag] === true)),
  };
}

/**
 * The command line of a bench that takes no arguments: help, or an error for any other argument.
 *
 * @returns the exit code; null where the bench is to run.
 */
export function helpOnly(args: readonly string[], help: string): number | null {
  if (args.length === 0) return null;
  if (args.length === 1 && args[0] === "--help") {
    console.log(help);
    return 0;
  }
  console.error(`${args.join(" ")}: this bench takes no arguments but --help`);
  return 2;
}

/**
 * Runs a bench from its command line: help, an error with exit code 2, or what `bench` answers.
 *
 * @returns the exit code.
 */
export async function runBench(
  { args, help, measures, flags }: {
    readonly args: string[];
    readonly help: string;
    readonly measures: readonly Measure[];
    readonly flags?: readonly string[];
  },
  bench: (options: Options) => Promise<number>,
): Promise<number> {
  let options: Options | null;
  try {
    options = readOptions(args, measures, flags);
  } catch (error) {
    console.error((error as Error).message);
    return 2;
  }
  if (options !== null) return await bench(options);
  console.log(help);
  return 0;
}
