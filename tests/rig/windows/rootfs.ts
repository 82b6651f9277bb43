/**
 * The rig's Debian system in the cache: built once for each set of versions, then only read.
 *
 * @module
 */

import { ensurePackages } from "../../../scripts/install.ts";
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
  /** Ends a build under way and removes what it has made; ends waiting for others, too. */
  readonly signal: AbortSignal;
}

/** Makes a system in an empty folder, or throws. */
export type Build = (folder: string, signal: AbortSignal) => Promise<void>;

/** Opens the system of the pinned versions, building it first where it is missing. */
export async function ensureRootFs(options: RootFsOptions, build: Build = buildSystem): Promise<RootFs> {
  const name = `rootfs-${await cacheKey()}`;
  const path = `${cacheFolder()}/${name}`;
  const { rebuild, signal } = options;
  const wait = () => progress("another run holds the system; waiting for it");
  if (rebuild || !await exists(path)) {
    using _building = await lock(name, "exclusive", wait, signal);
    if (rebuild || !await exists(path)) await replace(path, build, signal);
    await removeOld(name);
  }
  const held = await lock(name, "shared", wait, signal);
  await markUsed(name);
  return { path, [Symbol.dispose]: () => held.release() };
}

/** Replaces the system that may exist by a new one; it stays where the build fails. */
async function replace(path: string, build: Build, signal: AbortSignal): Promise<void> {
  const partial = `${path}${PARTIAL}`;
  await removeTree(partial);
  try {
    await Deno.mkdir(partial, { recursive: true });
    signal.throwIfAborted();
    await build(partial, signal);
    signal.throwIfAborted();
    const old = await setAside(path);
    try {
      await Deno.rename(partial, path);
    } catch (error) {
      await Deno.rename(old, path).catch(() => {});
      throw error;
    }
    await removeTree(old);
  } finally {
    await removeTree(partial);
  }
}

const PARTIAL = ".building";
const OLD = ".old";

/** Moves a system away in one step, so that half of one is never used as a whole; returns its new path. */
async function setAside(path: string): Promise<string> {
  const old = `${path}${OLD}`;
  await removeTree(old);
  if (await exists(path)) await Deno.rename(path, old);
  return old;
}

async function buildSystem(folder: string, signal: AbortSignal): Promise<void> {
  const lacking = await ensurePackages(["debootstrap", "debian-archive-keyring"], { say: progress });
  if (lacking !== null) throw new Error(`the rig's Debian system cannot be built: ${lacking}`);
  signal.throwIfAborted();
  const building = isolate(new URL("./build.ts", import.meta.url), [folder], { network: "host" });
  const stop = () => building.kill();
  signal.addEventListener("abort", stop);
  try {
    const code = await building.ended;
    signal.throwIfAborted();
    if (code !== 0) throw new Error("the rig's Debian system could not be built; the lines above say why");
  } finally {
    signal.removeEventListener("abort", stop);
  }
}

const MONTH_MS = 30 * 24 * 3600 * 1000;

/** Removes systems of other versions that were not used for a month, and what killed builds of them left. */
async function removeOld(current: string): Promise<void> {
  for await (const entry of Deno.readDir(cacheFolder())) {
    const name = /^(rootfs-[0-9a-f]{12})(\.building|\.old)?$/.exec(entry.name)?.[1] ?? current;
    if (name === current) continue;
    if (Date.now() - await lastUsed(name) < MONTH_MS) continue;
    using held = await tryExclusive(name);
    if (held === null) continue;
    progress(`removing ${entry.name}, unused for a month`);
    const path = `${cacheFolder()}/${entry.name}`;
    await removeTree(entry.name === name ? await setAside(path) : path);
  }
}
