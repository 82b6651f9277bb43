/** Runs a test file again, as a separate program with other flags. */

import process from "node:process";
import { fileURLToPath } from "node:url";
import { run, type RunOptions, type RunResult } from "../../scripts/process.ts";

/** The part of the Deno namespace used here: the tests run on Node too. */
interface DenoRun {
  execPath(): string;
  Command: new (path: string, options: object) => {
    spawn(): {
      stdin: WritableStream<Uint8Array>;
      kill(signal: string): void;
      output(): Promise<{ code: number; stdout: Uint8Array; stderr: Uint8Array }>;
    };
  };
}

const deno = (globalThis as { Deno?: DenoRun }).Deno;
const CHILD = "--child=";
const wanted = process.argv.find((argument) => argument.startsWith(CHILD))?.slice(CHILD.length);

/**
 * Declares the functions of a test file that can run as a program. Call it before any test is declared: such a run
 * calls the named function, prints its result as JSON or its error as `{ error: {...} }`, and exits.
 */
export async function children(functions: { readonly [name: string]: () => unknown }): Promise<void> {
  const body = wanted === undefined ? undefined : functions[wanted];
  if (body === undefined) return;
  let outcome: unknown;
  try {
    outcome = await body() ?? null;
  } catch (error) {
    outcome = {
      error: { ...error as object, message: (error as Error).message, name: (error as Error).name },
    };
  }
  console.log(`outcome:${JSON.stringify(outcome)}`);
  process.exit(0);
}

/** How to run a test file as a program. */
export interface ChildOptions extends RunOptions {
  /** The runtime's flags, such as `--allow-ffi=...` or `--permission`. */
  readonly flags?: readonly string[];
  /** Arguments for the function, which finds them at the end of `process.argv`. */
  readonly args?: readonly string[];
  /** The most file descriptors it may have; not on Windows. */
  readonly descriptors?: number;
}

/** Runs the function `name` of the test file at `url` as a program with the permissions of `flags` only. */
export function runChild(url: string, name: string, options: ChildOptions = {}): Promise<RunResult> {
  const { flags = [], args = [], descriptors, ...rest } = options;
  const file = fileURLToPath(url);
  const map = fileURLToPath(new URL("../../.cache/import_map.json", import.meta.url));
  const fixed = process.versions.deno
    ? ["run", "--quiet", "--no-prompt", "--no-check", "--import-map", map]
    : [];
  const words = [...fixed, ...flags, file, CHILD + name, ...args];
  const limits = { timeoutMs: 300_000, ...rest };
  const path = deno?.execPath() ?? process.execPath;
  const limited = ["-c", `ulimit -n ${descriptors} && exec "$@"`, "sh", path, ...words];
  const [program, all] = descriptors === undefined ? [path, words] : ["sh", limited];
  return deno ? runDeno(deno, program, all, limits) : run(program, all, limits);
}

/** Deno's node:child_process gives all permissions to every Deno it starts; `Deno.Command` does not. */
async function runDeno(
  deno: DenoRun,
  program: string,
  args: string[],
  options: RunOptions,
): Promise<RunResult> {
  const env = Object.entries(options.env ?? {}).filter((entry): entry is [string, string] =>
    entry[1] !== undefined
  );
  const child = new deno.Command(program, {
    args,
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    env: Object.fromEntries(env),
    stdin: options.input === undefined ? "null" : "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  if (options.input !== undefined) {
    const writer = child.stdin.getWriter();
    // A program may end without reading its input; its exit code is more useful than a broken pipe.
    await writer.write(new TextEncoder().encode(options.input)).then(() => writer.close()).catch(() => {});
  }
  const hang = setTimeout(() => child.kill("SIGKILL"), options.timeoutMs);
  const { code, stdout, stderr } = await child.output();
  clearTimeout(hang);
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, stdout: text(stdout), stderr: text(stderr) };
}

/** Returns the function's result, or its error as `{ error }`. */
export async function childOutcome<T>(url: string, name: string, options: ChildOptions = {}): Promise<T> {
  const { code, stdout, stderr } = await runChild(url, name, options);
  const line = /^outcome:(.*)$/m.exec(stdout)?.[1];
  if (line === undefined) throw new Error(`${name} ended with ${code} and no outcome: ${stderr}${stdout}`);
  return JSON.parse(line) as T;
}
