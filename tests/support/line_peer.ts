/** A program that answers each line on its standard input with one on its standard output. */

import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import process from "node:process";

const PATIENCE_MS = 20_000;

/** Communicates with one such program. One owner, who closes it. */
export class LinePeer {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #ended: Promise<void>;
  #text = "";
  #errors = "";
  #waiting: ((line: string) => void) | null = null;

  /** Starts the program. */
  constructor(command: string, args: readonly string[] = [], env: Record<string, string> = {}) {
    this.#child = spawn(command, [...args], { env: { ...process.env, ...env } });
    this.#child.stdout.setEncoding("utf8").on("data", (text: string) => {
      this.#text += text;
      this.#deliver();
    });
    this.#child.stderr.setEncoding("utf8").on("data", (text: string) => this.#errors += text);
    this.#child.stdin.on("error", () => {});
    this.#ended = new Promise((resolve) =>
      this.#child.on("close", () => {
        resolve();
        this.#waiting?.("ended");
      })
    );
  }

  /** Sends a line and resolves to the answer; rejects where none comes. */
  async say(line: string): Promise<string> {
    const { promise, resolve } = Promise.withResolvers<string>();
    this.#waiting = resolve;
    const timer = setTimeout(() => resolve("silent"), PATIENCE_MS);
    this.#child.stdin.write(`${line}\n`);
    this.#deliver();
    const answer = await promise;
    clearTimeout(timer);
    this.#waiting = null;
    if (answer !== "silent" && answer !== "ended") return answer;
    throw new Error(`${this.#child.spawnfile} ${answer} at ${line.slice(0, 40)}: ${this.#errors}`);
  }

  /** Ends the program and waits for its end. */
  async close(): Promise<void> {
    this.#child.stdin.end();
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), 2_000);
    await this.#ended;
    clearTimeout(timer);
  }

  #deliver(): void {
    const end = this.#text.indexOf("\n");
    if (end < 0 || !this.#waiting) return;
    const line = this.#text.slice(0, end);
    this.#text = this.#text.slice(end + 1);
    this.#waiting(line);
  }
}
