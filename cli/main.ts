/**
 * Runs the command that the arguments name.
 *
 * @module
 */

import { parse, UsageError } from "./command.ts";
import { COMMANDS } from "./commands.ts";
import { commandHelp, PROGRAM, programHelp, VERSION } from "./help.ts";
import { BrokenPipe, Interrupted, type Io } from "./io.ts";

/** The status of a program that SIGPIPE ended, as shells report it. */
const BROKEN_PIPE = 141;
/** The status of a program that SIGINT ended, as shells report it. */
const INTERRUPTED = 130;

/** Runs the command that `args` name and returns the exit status. */
export async function main(args: readonly string[], io: Io): Promise<number> {
  try {
    return await dispatch(args, io);
  } catch (error) {
    if (error instanceof BrokenPipe) return BROKEN_PIPE;
    if (error instanceof Interrupted) return INTERRUPTED;
    await io.note(`${PROGRAM}: ${(error as Error).message}`);
    if (!(error instanceof UsageError)) return 1;
    const name = Object.hasOwn(COMMANDS, args[0] ?? "") ? ` ${args[0]}` : "";
    await io.note(`Try: ${PROGRAM}${name} --help`);
    return 2;
  }
}

async function dispatch([name, ...rest]: readonly string[], io: Io): Promise<number> {
  switch (name) {
    case undefined:
    case "--help":
    case "-h":
      await io.print(programHelp(COMMANDS));
      return 0;
    case "--version":
    case "-V":
      await io.print(VERSION);
      return 0;
    case "help":
      if (rest.length === 0) return await dispatch(["--help"], io);
      return await dispatch([rest[0], "--help"], io);
  }
  if (!Object.hasOwn(COMMANDS, name)) throw new UsageError(`${JSON.stringify(name)} is not a command`);
  const { summary, load } = COMMANDS[name];
  const { command } = await load();
  const given = parse(name, command, rest);
  if (given === "help") {
    await io.print(commandHelp(name, summary, command));
    return 0;
  }
  return await command.run(given, io);
}
