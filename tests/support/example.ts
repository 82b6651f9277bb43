/** Runs the programs of examples/ with the permissions that they state. */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import process from "node:process";
import { run, type RunResult } from "../../scripts/process.ts";

/** Why the examples cannot be run here; `null` where they can. */
export const noExamples: string | null = process.versions.deno ? null : "the examples are Deno programs";

const FLAGS = ["--allow-net", "--allow-ffi", "--allow-env", "--allow-sys"];
const ROOT = fileURLToPath(new URL("../../", import.meta.url));

function denoArguments(name: string, args: readonly string[]): string[] {
  return ["run", "--no-prompt", "--quiet", "--no-lock", ...FLAGS, `examples/${name}.ts`, ...args];
}

/** Runs an example with the permissions that its first lines state. */
export function runExample(name: string, args: readonly string[]): Promise<RunResult> {
  return run(process.execPath, denoArguments(name, args), { cwd: ROOT, timeoutMs: 60_000 });
}

/** An example that runs until it is disposed. */
export interface RunningExample extends AsyncDisposable {
  /** Resolves once it has written `text`. @throws Error with all that it wrote where it ends before. */
  said(text: string): Promise<void>;
}

/** Starts an example with the permissions that its first lines state. */
export function startExample(name: string, args: readonly string[]): RunningExample {
  const child = spawn(process.execPath, denoArguments(name, args), {
    cwd: ROOT,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let written = "";
  const closed = once(child, "close");
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => void (written += chunk));
  return {
    async said(text) {
      const ended = closed.then(() => "ended");
      while (!written.includes(text)) {
        const data = [child.stdout, child.stderr].map((stream) => once(stream, "data"));
        if (await Promise.race([ended, ...data]) === "ended") {
          throw new Error(`${name} ended before it wrote ${JSON.stringify(text)}: ${written}`);
        }
      }
    },
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await closed;
    },
  };
}
