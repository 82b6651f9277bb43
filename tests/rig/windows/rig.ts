/**
 * Runs a script in the rig: a separate Debian system with Wine, in separate Linux namespaces. Needs root.
 *
 * @module
 */

import { ensurePackages } from "../../../scripts/install.ts";
import { ROOT } from "../../../scripts/root.ts";
import { cacheFolder, removeTree } from "./cache.ts";
import { namespacesUnavailable } from "../daemon.ts";
import { isolate } from "./namespace.ts";
import { progress } from "./progress.ts";
import { ensureRootFs } from "./rootfs.ts";
import type { SystemParts } from "./system.ts";
import { RIG } from "./wine_paths.ts";

/** What the runs in the rig ask for of the system around it. */
const PACKAGES = ["krb5-kdc", "krb5-admin-server", "krb5-user", "winbind"];

/** What is to run, and what with. */
export interface RigRun<T> {
  /** The first process of the namespaces; it gets a {@linkcode RigJob} with `more`, as JSON, as its argument. */
  readonly script: URL;
  /** Whether the Debian system is built anew. */
  readonly rebuild: boolean;
  /** Ends the run and everything it started. */
  readonly signal: AbortSignal;
  /** Fills the folder that both sides see, while there is a network; resolves to the script's other arguments. */
  prepare(staged: string, rootfs: string): Promise<object>;
  /** Reads what the script left in that folder; `code` is its exit code. */
  collect(staged: string, code: number): Promise<T>;
}

/** Runs it to its end; whatever becomes of it, nothing is left mounted or running. */
export async function runInRig<T>({ script, rebuild, signal, prepare, collect }: RigRun<T>): Promise<T> {
  if (Deno.uid() !== 0) {
    throw new Error(
      "the rig mounts and changes root: run it as root " +
        '(sudo --preserve-env=PATH,HOME "$(command -v deno)" task …)',
    );
  }
  const unavailable = namespacesUnavailable();
  if (unavailable !== null) throw new Error(`the rig cannot run: ${unavailable}`);
  const lacking = await ensurePackages(PACKAGES, { say: progress });
  if (lacking !== null) throw new Error(`the rig has no Kerberos realm: ${lacking}`);
  using rootfs = await ensureRootFs({ rebuild, signal });
  const staged = await Deno.makeTempDir({ prefix: "secure-sockets-windows-" });
  try {
    const more = await prepare(staged, rootfs.path);
    signal.throwIfAborted();
    const mountPoint = `${cacheFolder()}/mnt`;
    await Deno.mkdir(mountPoint, { recursive: true });
    const parts: SystemParts = { rootfs: rootfs.path, mountPoint, repository: ROOT, staged };
    const inside = isolate(script, [JSON.stringify({ ...parts, ...more })], { network: "own" });
    signal.addEventListener("abort", () => inside.kill());
    return await collect(staged, await inside.ended);
  } finally {
    await removeTree(staged);
  }
}

/** What a built system is made of: one line for each package, with its version. */
export async function manifestOf(rootfs: string): Promise<string> {
  return (await Deno.readTextFile(`${rootfs}${RIG}/manifest.txt`)).trim();
}

/** The version of Wine in a manifest; null where none stands there. */
export function wineVersion(manifest: string): string | null {
  return /^wine64 ([\d.]+)/m.exec(manifest)?.[1] ?? null;
}

/** Aborts where the process is told to end. */
export function interruption(): AbortSignal {
  const stop = new AbortController();
  for (const name of Deno.build.os === "windows" ? ["SIGINT"] as const : ["SIGINT", "SIGTERM"] as const) {
    Deno.addSignalListener(name, () => stop.abort(new Error(`interrupted by ${name}`)));
  }
  return stop.signal;
}
