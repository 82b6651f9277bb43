/**
 * The help of the program and of each command.
 *
 * @module
 */

import type { Command, OptionSpec } from "./command.ts";

/** The program's name, as it is typed. */
export const PROGRAM = "secure-sockets";
/** The library's version: the same as in `deno.json`. */
export const VERSION = "0.1.0";

/** Returns the help of the program: every command with its summary. */
export function programHelp(commands: Readonly<Record<string, { readonly summary: string }>>): string {
  const rows = Object.entries(commands).map(([name, { summary }]): Row => [name, summary]);
  return `${PROGRAM}: authenticated, encrypted sockets for Deno and Node

Usage:
  ${PROGRAM} COMMAND [ARGUMENT...] [OPTION...]

Commands:
${table(rows)}

Options:
${
    table([["-h, --help", "print this text, or a command's help after its name"], [
      "--version",
      "print the version",
    ]])
  }

Exit status: 0 no problem was found, 1 something failed or is missing, 2 the command line is wrong.
Output has no colours where NO_COLOR is set or standard output is not a terminal.`;
}

/** Returns the help of the command `name`. */
export function commandHelp(name: string, summary: string, command: Command): string {
  const options = Object.entries({
    ...command.options,
    help: { type: "boolean", short: "h", help: "print this text" },
  });
  const usage = [PROGRAM, name, command.usage, "[OPTION...]"].filter(Boolean).join(" ");
  const examples = command.examples.map(({ line, text }) => `  ${PROGRAM} ${line}\n      ${text}`);
  return [
    `${name}: ${summary}`,
    `Usage: ${usage}`,
    ...(command.description === undefined ? [] : [command.description]),
    `Options:\n${
      table(
        options.map((
          [name, option],
        ): Row => [optionName(name, option as OptionSpec), help(option as OptionSpec)]),
      )
    }`,
    `Examples:\n${examples.join("\n")}`,
  ].join("\n\n");
}

type Row = readonly [name: string, text: string];

function optionName(name: string, { short, type, value, choices }: OptionSpec): string {
  const word = type === "boolean" ? "" : ` ${value ?? choices?.join("|") ?? "VALUE"}`;
  return `${short === undefined ? "    " : `-${short}, `}--${name}${word}`;
}

function help({ help, value, choices }: OptionSpec): string {
  return choices !== undefined && value !== undefined ? `${help}: ${choices.join(", ")}` : help;
}

/** Two columns, indented. */
function table(rows: readonly Row[]): string {
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows.map(([name, text]) => `  ${name.padEnd(width)}  ${text}`).join("\n");
}
