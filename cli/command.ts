/**
 * What a command of the command line is, and how its arguments are read.
 *
 * @module
 */

import { parseArgs } from "node:util";
import type { Io } from "./io.ts";

/** One option of a command. */
export interface OptionSpec {
  /** `boolean`: it is given or not. `string`: it takes a value. */
  readonly type: "boolean" | "string";
  /** What it does, in a few words. */
  readonly help: string;
  /** Its one-letter form. */
  readonly short?: string;
  /** The name of its value in the help, for instance `FILE`. */
  readonly value?: string;
  /** The values that it takes; any other is refused. */
  readonly choices?: readonly string[];
  /** It may be given more than once. */
  readonly multiple?: boolean;
}

/** The options of a command, by their long names. */
export type Options = { readonly [name: string]: OptionSpec };

/** The options that were given. */
export type Given<O extends Options> = {
  readonly [N in keyof O]?: O[N]["multiple"] extends true ? readonly string[]
    : O[N]["type"] extends "boolean" ? boolean
    : string;
};

/** What a command is called with. */
export interface Arguments<O extends Options = Options> {
  /** The options that were given. */
  readonly options: Given<O>;
  /** The other arguments, in their order. */
  readonly operands: readonly string[];
}

/** An example, for the help of a command. */
export interface CommandExample {
  /** The command line, without the program's name. */
  readonly line: string;
  /** What it does. */
  readonly text: string;
}

/** One command, which is the export `command` of its module. */
export interface Command<O extends Options = Options> {
  /** Its operands, as the usage line shows them, for instance `HOST:PORT [SPN]`; empty where it takes none. */
  readonly usage: string;
  /** How many operands it takes at least and at most. */
  readonly operands: readonly [least: number, most: number];
  /** The only operands that it takes, where they are words to choose from. */
  readonly words?: readonly string[];
  /** The only words that its first operand can be, where that says what to do with the others: the options of each. */
  readonly actions?: { readonly [action: string]: readonly string[] };
  /** What the help says below the usage line. */
  readonly description?: string;
  /** Its options, besides `--help`. */
  readonly options: O;
  /** Examples for the help; at least one. */
  readonly examples: readonly CommandExample[];
  /** Runs it and returns the exit status: 0 for success, 1 where something failed or is missing. */
  run(args: Arguments<O>, io: Io): Promise<number> | number;
}

/** A command line that is wrong: exit status 2. */
export class UsageError extends Error {
  /** Always `"UsageError"`. */
  override readonly name = "UsageError";
}

/** The option of every command whose result can be read by a program. */
export const JSON_OPTION = { type: "boolean", help: "print the result as JSON" } as const;

/** Returns `command` with the types of its options checked against what its `run` reads. */
export function defineCommand<const O extends Options>(command: Command<O>): Command {
  return command as unknown as Command;
}

/** What one word of a command does with the operands behind it. */
export interface Action<O extends Options = Options> {
  /** Its operands, as the help shows them: `ACCOUNT SPN...`, `[KEYWORD...]`; empty where it takes none. */
  readonly operands: string;
  /** The options of the command that it has; any other is refused. */
  readonly options: readonly (keyof O & string)[];
  /** Runs it and returns the exit status. */
  run(operands: readonly string[], options: Given<O>, io: Io): Promise<number>;
}

/** Returns the command `name` whose first operand is one of `actions`. `notes` are lines of its help. */
export function defineActions<const O extends Options>(
  { name, notes, actions, ...command }:
    & Pick<Command<O>, "options" | "examples">
    & {
      readonly name: string;
      readonly notes: readonly string[];
      readonly actions: { readonly [action: string]: Action<O> };
    },
): Command {
  const lines = Object.entries(actions).map(([action, { operands }]) => `  ${action} ${operands}`.trimEnd());
  return defineCommand({
    ...command,
    usage: "ACTION [ARGUMENT...]",
    operands: [1, Infinity],
    actions: Object.fromEntries(Object.entries(actions).map(([action, { options }]) => [action, options])),
    description: ["Actions:", ...lines, "", ...notes].join("\n"),
    run({ options, operands: [action, ...given] }, io) {
      const { operands, run } = actions[action];
      const words = operands === "" ? [] : operands.split(" ");
      const least = words.filter((word) => !word.startsWith("[")).length;
      if (given.length < least || (given.length > words.length && !operands.includes("..."))) {
        throw new UsageError(`${name} ${action} takes ${operands || "no arguments"}`);
      }
      return run(given, options as Given<O>, io);
    },
  } as Command<O>);
}

/**
 * Reads the arguments of the command `name`; `"help"` where they ask for it.
 *
 * @throws UsageError where one is wrong.
 */
export function parse(name: string, command: Command, args: readonly string[]): Arguments | "help" {
  const { values, positionals } = parseBy(command, args);
  if (values.help) return "help";
  const [least, most] = command.operands;
  if (positionals.length < least) {
    throw new UsageError(`${name} needs ${command.usage}`);
  }
  if (positionals.length > most) {
    const extra = JSON.stringify(positionals[most]);
    throw new UsageError(
      most === 0
        ? `${name} takes no arguments, and ${extra} was given`
        : `${name} takes ${command.usage} only, and ${extra} was given too`,
    );
  }
  for (const word of positionals) checkChoice("", word, command.words);
  const [action] = positionals;
  if (command.actions !== undefined) checkAction(name, action, command.actions, Object.keys(values));
  for (const [option, { choices }] of Object.entries(command.options)) {
    for (const value of [values[option] ?? []].flat()) checkChoice(`--${option} `, String(value), choices);
  }
  return { options: values as Arguments["options"], operands: positionals };
}

function parseBy(command: Command, args: readonly string[]): {
  values: { [name: string]: unknown };
  positionals: string[];
} {
  const help: OptionSpec = { type: "boolean", short: "h", help: "" };
  try {
    return parseArgs({ args: [...args], options: { ...command.options, help }, allowPositionals: true });
  } catch (error) {
    // The first sentence says what is wrong; the second advises for a program that takes anything after "--".
    const [problem] = (error as Error).message.split(/\. |\n/);
    throw new UsageError(problem);
  }
}

function checkAction(
  name: string,
  action: string,
  actions: { readonly [action: string]: readonly string[] },
  given: readonly string[],
): void {
  if (!Object.hasOwn(actions, action)) {
    const known = Object.keys(actions).join(", ");
    throw new UsageError(`${JSON.stringify(action)} is not an action; use one of ${known}`);
  }
  const wrong = given.find((option) => !actions[action].includes(option));
  if (wrong === undefined) return;
  const has = actions[action].map((option) => `--${option}`).join(", ");
  throw new UsageError(`${name} ${action} has no option --${wrong}; it has ${has}`);
}

function checkChoice(option: string, given: string, choices: readonly string[] | undefined): void {
  if (choices === undefined || choices.includes(given)) return;
  throw new UsageError(`${option}${JSON.stringify(given)} is unknown; use one of ${choices.join(", ")}`);
}

/**
 * Reads a URL of http or https.
 *
 * @throws UsageError where it is none, or contains a password, which the message does not repeat.
 */
export function readUrl(text: string): URL {
  const url = URL.parse(text);
  if (text.includes("@") && (url === null || url.username + url.password !== "")) {
    throw new UsageError(
      "the URL contains a user name or password, which others can read in the list of processes",
    );
  }
  if (url !== null && /^https?:$/.test(url.protocol)) return url;
  throw new UsageError(`${JSON.stringify(text)} is not a URL of http or https`);
}

/** A command before its module is loaded. */
export interface CommandEntry {
  /** What it does, in one line without a full stop. */
  readonly summary: string;
  /** Loads its module. */
  load(): Promise<{ readonly command: Command }>;
}
