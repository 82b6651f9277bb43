/**
 * Runs programs to their end, alike on Deno and on Node.
 *
 * @module
 */

import { type ChildProcess, spawn } from "node:child_process";
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
  /** Shows the output as it comes, as well as collecting it; a function: only the lines it is true for. */
  show?: boolean | ((line: string) => boolean);
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

/** What {@linkcode run} has started and has not ended. */
const running = new Set<ChildProcess>();
/** True from {@linkcode endRunning} on. */
let ending = false;
/** How long a program that is told to end may take, including its clean-up. */
const END_MS = 10_000;

/** Runs `command` and resolves once it has ended, whatever its exit code; rejects where it cannot be started. */
export function run(command: string, args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  const { promise, resolve, reject } = Promise.withResolvers<RunResult>();
  if (ending) return promise;
  const child = spawn(command, [...args], {
    cwd: options.cwd,
    env: options.clearEnv ? { ...options.env } : { ...process.env, ...options.env },
    stdio: [options.input === undefined ? "ignore" : "pipe", "pipe", "pipe"],
    timeout: options.timeoutMs,
    signal: options.signal,
    killSignal: "SIGKILL",
  });
  running.add(child);
  child.once("exit", () => running.delete(child));
  const result: RunResult = { code: 0, stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const) {
    const show = shower(process[name], options.show ?? false);
    child[name]!.setEncoding("utf8").on("data", (text: string) => {
      result[name] += text;
      show(text);
    }).on("end", () => show("", true));
  }
  child.on("error", reject);
  child.on("close", (code) => ending || resolve({ ...result, code: code ?? 128 }));
  // A program may end without reading its input; its exit code is more informative than EPIPE.
  child.stdin?.on("error", () => {});
  child.stdin?.end(options.input);
  return promise;
}

/** What writes to `output` the parts of a text that are to be shown; the last part is said to be so. */
function shower(
  output: NodeJS.WritableStream,
  show: boolean | ((line: string) => boolean),
): (text: string, last?: boolean) => void {
  if (typeof show === "boolean") return (text) => void (show && output.write(text));
  let rest = "";
  return (text, last = false) => {
    const lines = (rest + text).split(/(?<=\n)/);
    rest = last || lines.at(-1)!.endsWith("\n") ? "" : lines.pop()!;
    output.write(lines.filter((line) => show(line.trimEnd())).join(""));
  };
}

/**
 * For a process that is about to end: ends every program that {@linkcode run} has started, and resolves once they have
 * ended. Calls that wait for one of them never return, and no other is started.
 */
export async function endRunning(): Promise<void> {
  ending = true;
  await Promise.all([...running].map((child) =>
    new Promise<void>((resolve) => {
      const timer = setTimeout(() => child.kill("SIGKILL"), END_MS);
      child.once("exit", () => {
        clearTimeout(timer);
        resolve();
      });
      child.kill();
    })
  ));
}

/** Like {@linkcode run}, but an exit code other than 0 is an error that contains what the program wrote. */
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
  // Else it fills a folder beside the temporary files, and leaves it.
  const quiet = { ...options, env: { ...options.env, NODE_DISABLE_COMPILE_CACHE: "1" } };
  if (!WINDOWS) {
    if (findProgram("npm") === null) throw new Error("npm is needed: install Node");
    return await mustRun("npm", args, quiet);
  }
  const node = findProgram("node");
  const script = node && join(dirname(node), "node_modules", "npm", "bin", "npm-cli.js");
  if (!node || !script || !existsSync(script)) throw new Error("npm is needed beside node.exe: install Node");
  return await mustRun(node, [script, ...args], quiet);
}

/** The path of the program `name`, searched for in PATH and in the folders of system daemons; null where there is none. */
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
