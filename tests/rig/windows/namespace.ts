/**
 * Runs a script of this folder in Linux namespaces of its own, so that every mount and every process it makes
 * ends with it, however it ends: the kernel unmounts and kills what is left.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { NAMESPACES } from "../daemon.ts";
import { startedMs } from "./progress.ts";

/** What the inner script is given. */
export interface IsolateOptions {
  /** A network of its own, with nothing but loopback: nothing inside can reach out, and no port is in use. */
  readonly network: "own" | "host";
}

/** A process in its own namespaces. */
export interface Isolated {
  /** Its exit code, once it and everything it started has ended. */
  readonly ended: Promise<number>;
  /** Ends it and everything it started, at once. */
  kill(): Promise<void>;
}

/**
 * Starts `deno run -A <script> <args>` as the first process of new mount, process and (if asked) network
 * namespaces. Needs what `namespacesUnavailable()` looks for.
 *
 * The script must call {@linkcode endWithParent}, so that it ends where this process is killed outright.
 */
export function isolate(script: URL, args: readonly string[], options: IsolateOptions): Isolated {
  const child = new Deno.Command("unshare", {
    args: [
      ...NAMESPACES,
      ...(options.network === "own" ? ["--net"] : []),
      "--kill-child=KILL",
      "--",
      Deno.execPath(),
      "run",
      "--quiet",
      "--allow-all",
      "--no-config",
      "--no-lock",
      fileURLToPath(script),
      ...args,
    ],
    env: { RIG_STARTED_MS: String(startedMs) },
    stdin: "piped",
  }).spawn();
  const ended = child.status.then(async (status) => {
    await child.stdin.close().catch(() => {});
    return status.code;
  });
  return {
    ended,
    async kill() {
      // The namespaces' first process, not unshare: it ends only after all the others.
      for (const pid of [...await childrenOf(child.pid), child.pid]) {
        try {
          Deno.kill(pid, "SIGKILL");
          break;
        } catch (error) {
          if (!(error instanceof Deno.errors.NotFound)) throw error;
        }
      }
      await ended;
    },
  };
}

async function childrenOf(pid: number): Promise<number[]> {
  const text = await Deno.readTextFile(`/proc/${pid}/task/${pid}/children`).catch(() => "");
  return text.trim().split(/\s+/).filter((word) => word !== "").map(Number);
}

const CLEAN_UP_TURNS = 10;
const CLEAN_UP_PAUSE_MS = 50;

/**
 * Ends this process, and with it its namespaces, as soon as the one that started it has ended.
 *
 * @param cleanUp removes what that process would have removed if it had not been killed.
 */
export function endWithParent(cleanUp: () => Promise<void> = () => Promise.resolve()): void {
  (async () => {
    const buffer = new Uint8Array(64);
    while (await Deno.stdin.read(buffer) !== null);
    // Others still run, and may write there behind its back: what was begun ends soon, and nothing new does well.
    for (let turn = 0; turn < CLEAN_UP_TURNS; turn++) {
      await cleanUp().catch(() => {});
      await new Promise((resolve) => setTimeout(resolve, CLEAN_UP_PAUSE_MS));
    }
    Deno.exit(1);
  })();
}
