/** Runs the command line as a program: the sources on Deno, the installed package's `bin` on Node. */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { run, type RunOptions, type RunResult } from "../../scripts/process.ts";

/** The installed package that `deno task test:npm` tests. */
const INSTALLED = "../../.cache/npm-suite/node_modules/@winsock/secure-sockets/";

/** The program and its first arguments, to which a command's are added. */
export const CLI: readonly string[] = process.versions.deno
  ? [process.execPath, "run", "-A", "--quiet", "--no-prompt", "--no-config", file("../../cli.ts")]
  : [process.execPath, join(file(INSTALLED), binOf(file(INSTALLED)))];

/** Runs `secure-sockets` with these arguments. */
export function runCli(args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  const [program, ...first] = CLI;
  return run(program, [...first, ...args], { timeoutMs: 120_000, ...options });
}

function file(path: string): string {
  return fileURLToPath(new URL(path, import.meta.url));
}

function binOf(folder: string): string {
  return JSON.parse(readFileSync(join(folder, "package.json"), "utf8")).bin["secure-sockets"];
}
