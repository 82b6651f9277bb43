/** Runs the command line as a program: the sources on Deno, the installed package's `bin` on Node. */

import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { constants } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { run, type RunOptions, type RunResult } from "../../scripts/process.ts";

/** The installed package that `deno task test:npm` tests. */
const INSTALLED = "../../.cache/npm-suite/node_modules/@winsock/secure-sockets/";

/** The tests' own import map: `spn` loads an npm package, and JSR need not answer. */
const IMPORTS = ["--no-config", "--import-map", file("../../.cache/import_map.json")];

/** The program and its first arguments, to which a command's are added. */
export const CLI: readonly string[] = process.versions.deno
  ? [process.execPath, "run", "-A", "--quiet", "--no-prompt", ...IMPORTS, file("../../cli.ts")]
  : [process.execPath, join(file(INSTALLED), binOf(file(INSTALLED)))];

/** Runs `secure-sockets` with these arguments. */
export function runCli(args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  const [program, ...first] = CLI;
  return run(program, [...first, ...args], { timeoutMs: 120_000, ...options });
}

/** A program that runs while the test does. */
export interface Started extends AsyncDisposable {
  /** The process: its standard input and signals. */
  readonly child: ChildProcess;
  /** What it has written so far. */
  readonly written: { stdout: string; stderr: string };
  /** Resolves to the first match in what it has written; rejects where it ends without one. */
  until(stream: "stdout" | "stderr", pattern: RegExp): Promise<RegExpExecArray>;
  /** Resolves to its exit status. */
  readonly ended: Promise<number>;
}

/** Starts `secure-sockets` with these arguments. */
export function startCli(args: readonly string[], env: Record<string, string> = {}): Started {
  const [program, ...first] = CLI;
  return start(program, [...first, ...args], env);
}

/** Starts a program; it is killed at the end of the block that uses it. */
export function start(program: string, args: readonly string[], env: Record<string, string> = {}): Started {
  const child = spawn(program, [...args], { env: { ...process.env, ...env }, stdio: "pipe" });
  const written = { stdout: "", stderr: "" };
  const looking = new Set<() => void>();
  for (const name of ["stdout", "stderr"] as const) {
    child[name]!.setEncoding("latin1").on("data", (text: string) => {
      written[name] += text;
      for (const look of [...looking]) look();
    });
  }
  child.stdin!.on("error", () => {});
  const ended = new Promise<number>((resolve, reject) => {
    child.on("error", reject);
    // Deno reports the exit statuses 130 and 143 of a child as the signals after which they are named.
    child.on("close", (code, signal) => resolve(code ?? 128 + (constants.signals[signal!] ?? 0)));
  });
  return {
    child,
    written,
    ended,
    until(stream, pattern) {
      const { promise, resolve, reject } = Promise.withResolvers<RegExpExecArray>();
      const look = (): void => {
        const match = pattern.exec(written[stream]);
        if (match) resolve(match);
      };
      look();
      looking.add(look);
      ended.then((code) => reject(new Error(`ended with ${code}: ${JSON.stringify(written)}`)));
      return promise.finally(() => looking.delete(look));
    },
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await ended.catch(() => {});
    },
  };
}

function file(path: string): string {
  return fileURLToPath(new URL(path, import.meta.url));
}

function binOf(folder: string): string {
  return JSON.parse(readFileSync(join(folder, "package.json"), "utf8")).bin["secure-sockets"];
}
