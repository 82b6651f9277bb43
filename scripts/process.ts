/**
 * Runs programs to their end, alike on Deno and on Node.
 *
 * @module
 */

import { spawn } from "node:child_process";
import { accessSync, constants, existsSync } from "node:fs";
import { delimiter, dirname, isAbsolute, join } from "node:path";
import process from "node:process";

const WINDOWS = process.platform === "win32";

/** How to run a program. */
export interface RunOptions {
  /** The folder to run in; left out: this process's. */
  cwd?: string;
  /** Variables to add to this process's environment. */
  env?: Record<string, string | undefined>;
  /** Leaves this process's environment out: `env` is all there is. */
  clearEnv?: boolean;
  /** What the program reads on its standard input. */
  input?: string;
  /** Shows the output as it comes, as well as collecting it. */
  show?: boolean;
  /** Kills the program after so long, in milliseconds; left out: never. */
  timeoutMs?: number;
  /** Kills the program, and rejects. */
  signal?: AbortSignal;
}

/** How a program ended. */
export interface RunResult {
  /** The exit code; 128 where a signal ended it. */
  code: number;
  /** What it wrote to standard output. */
  stdout: string;
  /** What it wrote to standard error. */
  stderr: string;
}

/** Runs `command` and resolves once it has ended, whatever its exit code; rejects where it cannot be started. */
export function run(command: string, args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  const { promise, resolve, reject } = Promise.withResolvers<RunResult>();
  const child = spawn(command, [...args], {
    cwd: options.cwd,
    env: options.clearEnv ? { ...options.env } : { ...process.env, ...options.env },
    stdio: [options.input === undefined ? "ignore" : "pipe", "pipe", "pipe"],
    timeout: options.timeoutMs,
    signal: options.signal,
    killSignal: "SIGKILL",
  });
  const result: RunResult = { code: 0, stdout: "", stderr: "" };
  child.stdout!.setEncoding("utf8").on("data", (text: string) => {
    result.stdout += text;
    if (options.show) process.stdout.write(text);
  });
  child.stderr!.setEncoding("utf8").on("data", (text: string) => {
    result.stderr += text;
    if (options.show) process.stderr.write(text);
  });
  child.on("error", reject);
  child.on("close", (code) => resolve({ ...result, code: code ?? 128 }));
  // A program may end without reading its input; its exit code tells more than EPIPE does.
  child.stdin?.on("error", () => {});
  child.stdin?.end(options.input);
  return promise;
}

/** Like {@linkcode run}, but an exit code other than 0 is an error that holds what the program wrote. */
export async function mustRun(
  command: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<RunResult> {
  const result = await run(command, args, options);
  if (result.code !== 0) {
    const said = `${result.stderr}${result.stdout}`.trim();
    throw new Error(`${command} ${args.join(" ")} ended with ${result.code}: ${said || "it wrote nothing"}`);
  }
  return result;
}

/** Runs npm, which on Windows is a script that only a shell starts: there its own JavaScript is run with its Node. */
export async function npm(args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  if (!WINDOWS) return await mustRun("npm", args, options);
  const node = findProgram("node");
  const script = node && join(dirname(node), "node_modules", "npm", "bin", "npm-cli.js");
  if (!node || !script || !existsSync(script)) throw new Error("npm is needed beside node.exe: install Node");
  return await mustRun(node, [script, ...args], options);
}

/** The path of the program `name`, looked for in PATH and where system daemons stand; null where there is none. */
export function findProgram(name: string): string | null {
  const folders = (process.env.PATH ?? "").split(delimiter);
  if (!WINDOWS) folders.push("/usr/sbin", "/sbin");
  for (const folder of folders.filter(isAbsolute)) {
    const path = join(folder, WINDOWS ? `${name}.exe` : name);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // Not in this folder.
    }
  }
  return null;
}
