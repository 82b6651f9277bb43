/**
 * What the daemons of the rig share: each keeps everything in a temporary folder, and both are gone when the process
 * that started them is, however that ended.
 *
 * @module
 */

import { spawn, spawnSync } from "node:child_process";
import { chownSync, existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { findProgram } from "../../scripts/process.ts";

const READY_MS = 20_000;

// The shell holds the daemon as its child and ends it at the end of its own input, which comes even when whoever holds
// the other end of the pipe was killed outright.
const KEEPER = `dir="$1"
shift
"$@" >"$dir/daemon.out" 2>&1 </dev/null &
daemon=$!
read -r _
kill "$daemon"
wait "$daemon"
rm -rf -- "$dir"`;

/** A running daemon. One owner; `stop` twice is harmless. */
export interface Daemon extends AsyncDisposable {
  /** Its port on 127.0.0.1. */
  readonly port: number;
}

/** How a daemon is started. */
export interface DaemonOptions {
  /** Its folder, which it takes with it. */
  readonly dir: string;
  /** Where it will answer, on 127.0.0.1. */
  readonly port: number;
  /** The program and its arguments, such that it stays in the foreground. */
  readonly command: readonly string[];
  /** Variables to add to the environment. */
  readonly env: Readonly<Record<string, string>>;
}

/** A folder for a daemon. */
export function daemonFolder(name: string): string {
  return mkdtempSync(join(tmpdir(), `secure-sockets-${name}-`));
}

/** The path of a program that may lie where Debian keeps daemons out of users' PATH. */
export function findDaemon(name: string): string | null {
  return findProgram(name) ?? ["/usr/sbin", "/usr/bin"].map((dir) => join(dir, name)).find(existsSync) ??
    null;
}

/** What `unshare` is asked for; beside them, where wanted, `--net`. */
export const NAMESPACES: readonly string[] = ["--mount", "--pid", "--mount-proc", "--ipc", "--fork"];

/** Why this process can make no Linux namespaces, as a sentence that says what to do; null where it can. */
export function namespacesUnavailable(): string | null {
  if (process.platform !== "linux") return "namespaces are of Linux";
  const { status, error, stderr } = spawnSync("unshare", [...NAMESPACES, "--net", "--", "true"], {
    encoding: "utf8",
  });
  if (status === 0) return null;
  const said = error?.message ?? stderr.trim().split("\n")[0];
  return `unshare makes no namespaces here (${said}): run it as root with CAP_SYS_ADMIN`;
}

/** Whether this process can give a file to another account, as daemons do that change theirs. */
export function mayChangeOwners(): boolean {
  const folder = daemonFolder("owner");
  try {
    chownSync(folder, 1, 1);
    return true;
  } catch {
    return false;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Starts a daemon and resolves once it answers. */
export async function startDaemon({ dir, port, command, env }: DaemonOptions): Promise<Daemon> {
  const keeper = spawn(findProgram("sh")!, ["-c", KEEPER, "keeper", dir, ...command], {
    env: { ...process.env, ...env },
    stdio: ["pipe", "ignore", "ignore"],
    // A session of its own: Ctrl-C reaches the owner, whose end then ends the keeper in order.
    detached: true,
  });
  keeper.unref();
  keeper.stdin!.on("error", () => {});
  const { promise: ended, resolve } = Promise.withResolvers<void>();
  keeper.once("close", () => resolve());
  const stop = (): Promise<void> => {
    keeper.ref();
    keeper.stdin!.end();
    return ended;
  };
  for (const until = Date.now() + READY_MS; Date.now() < until;) {
    if (await answers(port)) return { port, [Symbol.asyncDispose]: stop };
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  const said = existsSync(join(dir, "daemon.out"))
    ? readFileSync(join(dir, "daemon.out"), "utf8").trim()
    : "";
  await stop();
  throw new Error(`${command[0]} did not answer on port ${port} within ${READY_MS / 1000} s: ${said}`);
}

function answers(port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = connect(port, "127.0.0.1");
  socket.once("connect", () => resolve(true));
  socket.once("error", () => resolve(false));
  return promise.finally(() => socket.destroy());
}
