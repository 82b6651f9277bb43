/**
 * The rig's Debian system in the cache: built once for each set of versions, then only read.
 *
 * @module
 */

import { ensurePackages } from "../install.ts";
import { cacheFolder, exists, lastUsed, lock, markUsed, removeTree, tryExclusive } from "./cache.ts";
import { isolate } from "./namespace.ts";
import { progress } from "./progress.ts";
import { cacheKey } from "./versions.ts";

/** A built system, kept from being removed until it is disposed. */
export interface RootFs extends Disposable {
  /** Its folder; never write to it. */
  readonly path: string;
}

/** How {@linkcode ensureRootFs} goes about it. */
export interface RootFsOptions {
  /** Builds it anew even where it is there. */
  readonly rebuild: boolean;
  /** Ends a build under way and removes what it has made. */
  readonly signal: AbortSignal;
}

/** Opens the system of the pinned versions, building it first where it is not there. */
export async function ensureRootFs(options: RootFsOptions): Promise<RootFs> {
  const name = `rootfs-${await cacheKey()}`;
  const path = `${cacheFolder()}/${name}`;
  const wait = () => progress("another run holds the system; waiting for it");
  if (options.rebuild || !await exists(path)) {
    using _building = await lock(name, "exclusive", wait);
    if (options.rebuild) await removeTree(path);
    if (!await exists(path)) await build(path, options.signal);
    await removeOld(name);
  }
  const held = await lock(name, "shared", wait);
  await markUsed(name);
  return { path, [Symbol.dispose]: () => held.release() };
}

async function build(path: string, signal: AbortSignal): Promise<void> {
  const lacking = await ensurePackages(["debootstrap", "debian-archive-keyring"], { say: progress });
  if (lacking !== null) throw new Error(`the rig's Debian system cannot be built: ${lacking}`);
  const partial = `${path}.building`;
  await removeTree(partial);
  await Deno.mkdir(partial, { recursive: true });
  signal.throwIfAborted();
  const building = isolate(new URL("./build.ts", import.meta.url), [partial], { network: "host" });
  const stop = () => building.kill();
  signal.addEventListener("abort", stop);
  try {
    const code = await building.ended;
    signal.throwIfAborted();
    if (code !== 0) throw new Error("the rig's Debian system could not be built; the lines above say why");
    await Deno.rename(partial, path);
  } finally {
    signal.removeEventListener("abort", stop);
    await removeTree(partial);
  }
}

const MONTH_MS = 30 * 24 * 3600 * 1000;

/** Removes systems of other versions that nobody has used for a month. */
async function removeOld(current: string): Promise<void> {
  for await (const { name } of Deno.readDir(cacheFolder())) {
    if (!/^rootfs-[0-9a-f]{12}$/.test(name) || name === current) continue;
    if (Date.now() - await lastUsed(name) < MONTH_MS) continue;
    using held = await tryExclusive(name);
    if (held === null) continue;
    progress(`removing ${name}, unused for a month`);
    await removeTree(`${cacheFolder()}/${name}`);
  }
}
