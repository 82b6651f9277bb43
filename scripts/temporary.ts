/**
 * Temporary folders of the scripts: removed however a script ends, unless it is killed outright.
 *
 * @module
 */

import { endRunning } from "./process.ts";
import { exists, removeTree } from "../tests/rig/windows/cache.ts";

/** A temporary folder. One owner, who disposes of it. */
export interface TemporaryFolder extends AsyncDisposable {
  /** Where it is. */
  readonly path: string;
  /** The environment that makes a program put its own temporary files in it. */
  readonly env: Readonly<Record<string, string>>;
  /** What is in it, sorted by name. */
  list(): Promise<string[]>;
}

const folders = new Set<string>();
/** A folder is removed again and again while programs that are just ending still write there. */
const TRIES = 50;
const TRY_MS = 100;

/** Makes a temporary folder; `name` is the part of its name that identifies its owner, `mode` its permissions on Unix. */
export async function temporaryFolder(name: string, mode = 0o700): Promise<TemporaryFolder> {
  const path = await Deno.makeTempDir({ prefix: `secure-sockets-${name}-` });
  folders.add(path);
  if (Deno.build.os !== "windows") await Deno.chmod(path, mode);
  return {
    path,
    env: { TMPDIR: path, TMP: path, TEMP: path },
    list: async () => (await Array.fromAsync(Deno.readDir(path), ({ name }) => name)).sort(),
    async [Symbol.asyncDispose](): Promise<void> {
      await remove(path);
      folders.delete(path);
    },
  };
}

async function remove(path: string): Promise<void> {
  for (let tries = 1; await exists(path); tries++) {
    try {
      await removeTree(path);
    } catch (error) {
      if (tries === TRIES) throw error;
      await new Promise((resolve) => setTimeout(resolve, TRY_MS));
    }
  }
}

/** For a main program: SIGINT and SIGTERM end what `run` has started, remove the folders, and end the process. */
export function cleanUpWhenInterrupted(): void {
  const signals = { SIGINT: 2, ...(Deno.build.os === "windows" ? {} : { SIGTERM: 15 }) };
  for (const [name, number] of Object.entries(signals)) {
    Deno.addSignalListener(name as Deno.Signal, async () => {
      await endRunning();
      await Promise.allSettled([...folders].map(remove));
      Deno.exit(128 + number);
    });
  }
}
