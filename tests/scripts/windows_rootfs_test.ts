/** The Windows rig's system in the cache, with a build that costs nothing. */

import { assertEquals, assertRejects } from "@std/assert";
import { test } from "@test";
import process from "node:process";
import { cacheFolder, lock } from "../rig/windows/cache.ts";
import { type Build, ensureRootFs } from "../rig/windows/rootfs.ts";
import { cacheKey } from "../rig/windows/versions.ts";

const skip = "Deno" in globalThis ? null : "the rig runs on Deno";
const never = new AbortController().signal;

/** Runs `body` with a cache folder of its own. */
async function withCache(body: () => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  const before = process.env.XDG_CACHE_HOME;
  process.env.XDG_CACHE_HOME = folder;
  try {
    await body();
  } finally {
    if (before === undefined) delete process.env.XDG_CACHE_HOME;
    else process.env.XDG_CACHE_HOME = before;
    await Deno.remove(folder, { recursive: true });
  }
}

/** A build of a system that consists of one text. */
function making(text: string): Build {
  return (folder) => Deno.writeTextFile(`${folder}/made`, text);
}

async function made(rebuild: boolean, build: Build): Promise<string> {
  using rootfs = await ensureRootFs({ rebuild, signal: never }, build);
  return await Deno.readTextFile(`${rootfs.path}/made`);
}

/** What stands in the cache, without the key. */
async function kept(): Promise<string[]> {
  const key = await cacheKey();
  return Array.from(Deno.readDirSync(cacheFolder()), ({ name }) => name.replace(key, "*")).sort();
}

test("a system is built once, and again only on request", () =>
  withCache(async () => {
    assertEquals(await made(false, making("one")), "one");
    assertEquals(await made(false, making("two")), "one");
    assertEquals(await made(true, making("three")), "three");
    assertEquals(await kept(), ["rootfs-*", "rootfs-*.lock"]);
  }), { skip });

test(
  "a rebuild that fails or is aborted leaves the earlier system",
  () =>
    withCache(async () => {
      await made(false, making("one"));
      const failing: Build = async (folder) => {
        await making("half")(folder, never);
        throw new Error("no network");
      };
      await assertRejects(() => made(true, failing), Error, "no network");
      const stop = new AbortController();
      const given: Build = (folder) => {
        stop.abort(new Error("interrupted"));
        return making("two")(folder, never);
      };
      const rebuilding = () => ensureRootFs({ rebuild: true, signal: stop.signal }, given);
      await assertRejects(rebuilding, Error, "interrupted");
      await assertRejects(rebuilding, Error, "interrupted");
      assertEquals(await made(false, making("three")), "one");
      assertEquals(await kept(), ["rootfs-*", "rootfs-*.lock"]);
    }),
  { skip },
);

test(
  "an abort ends the wait for another run's system at once and removes nothing",
  () =>
    withCache(async () => {
      await made(false, making("one"));
      using _other = await ensureRootFs({ rebuild: false, signal: never }, making("two"));
      const stop = new AbortController();
      const waiting = ensureRootFs({ rebuild: true, signal: stop.signal }, making("three"));
      setTimeout(() => stop.abort(new Error("interrupted")), 50);
      await assertRejects(() => waiting, Error, "interrupted");
      assertEquals(await made(false, making("four")), "one");
    }),
  { skip },
);

test("lock waits until the other process has released the lock", () =>
  withCache(async () => {
    const held = await lock("thing", "exclusive", () => {}, never);
    let waited = 0;
    const second = lock("thing", "shared", () => waited++, never);
    setTimeout(() => held.release(), 50);
    (await second).release();
    assertEquals(waited, 1);
  }), { skip });

test(
  "the remains of a run that was killed while it removed a system are never used, and are removed",
  async () => {
    await withCache(async () => {
      assertEquals(await made(false, making("first")), "first");
      const path = `${cacheFolder()}/rootfs-${await cacheKey()}`;
      // Killed behind the first of two steps: the system has been set aside, and half of it removed.
      await Deno.rename(path, `${path}.old`);
      await Deno.remove(`${path}.old/made`);
      assertEquals(await made(false, making("second")), "second");
      assertEquals(await kept(), ["rootfs-*", "rootfs-*.lock"]);
    });
  },
  { skip },
);
