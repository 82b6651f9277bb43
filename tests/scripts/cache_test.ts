import { assertEquals, assertRejects } from "@std/assert";
import { test } from "@test";
import process from "node:process";
import { cached, fetchNpm, npmFolder, once } from "../../scripts/cache.ts";
import { ensureDotnet } from "../rig/dotnet.ts";
import { ensureNode } from "../../scripts/node.ts";
import { findProgram } from "../../scripts/process.ts";

/** Runs `body` with a cache folder of its own. */
async function withCache(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  const before = process.env.XDG_CACHE_HOME;
  process.env.XDG_CACHE_HOME = folder;
  try {
    await body(`${folder}/secure-sockets`);
  } finally {
    if (before === undefined) delete process.env.XDG_CACHE_HOME;
    else process.env.XDG_CACHE_HOME = before;
    await Deno.remove(folder, { recursive: true });
  }
}

function names(folder: string): string[] {
  return Array.from(Deno.readDirSync(folder), (entry) => entry.name);
}

test("a cache folder is filled once, by one of several processes that try at the same time", async () => {
  await withCache(async (folder) => {
    let filled = 0;
    const fill = async (draft: string) => {
      filled++;
      await Deno.writeTextFile(`${draft}/whole`, "");
    };
    await Promise.all([once(cached("thing"), fill), once(cached("thing"), fill)]);
    await once(cached("thing"), () => Promise.reject(new Error("filled again")));
    assertEquals(names(folder), ["thing"]);
    assertEquals(names(`${folder}/thing`), ["whole"]);
    assertEquals(filled <= 2, true);
  });
});

test("a cache folder that could not be filled leaves nothing behind", async () => {
  await withCache(async (folder) => {
    await assertRejects(
      () =>
        once(cached("thing"), async (draft) => {
          await Deno.writeTextFile(`${draft}/half`, "");
          throw new Error("no more");
        }),
      Error,
      "no more",
    );
    assertEquals(names(folder), []);
  });
});

test("a package that does not have the hash it is pinned to is refused and not kept", async () => {
  await withCache(async (folder) => {
    const pin = { spec: "pure-rand@8.4.2", integrity: "sha512-AAAA", parts: ["package.json"] };
    await assertRejects(() => fetchNpm(pin), Error, "pure-rand@8.4.2 does not have the pinned hash: sha512-");
    assertEquals(npmFolder(pin), `${folder}/pure-rand-8.4.2`);
    assertEquals(names(folder), []);
  });
}, { skip: findProgram("npm") ? null : "npm is not installed" });

test("where .NET must not be fetched, the reason says how to install it", async () => {
  await withCache(async () => {
    assertEquals(await ensureDotnet({ install: false }), {
      reason: ".NET has not been fetched yet: run deno task test without --no-install",
    });
  });
}, {
  skip: process.platform === "linux" && process.arch === "x64" ? null : "the .NET peer is for Linux on x64",
});

test("a version of Node that is not pinned is refused", async () => {
  await assertRejects(() => ensureNode(18), TypeError, "only 20, 22, 24, 26");
});
