import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { test } from "@test";
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { pathToFileURL } from "node:url";
import { testProvider } from "../../../testing/mod.ts";
import { buildPlugin } from "../../../scripts/plugin_build.ts";
import { newPlugin } from "../../../scripts/plugin_new.ts";
import { GUEST_SHA256, guestModule } from "../../../plugins/sdk/template/guest_wasm.ts";

const root = pathToFileURL(`${process.cwd()}/`);

/** Runs `work` in an empty folder that has the SDK in it, and removes it. */
async function inFolder(work: (folder: URL) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "plugin-"));
  try {
    await cp(new URL("plugins/sdk", root), join(folder, "plugins/sdk"), { recursive: true });
    await work(pathToFileURL(`${folder}/`));
  } finally {
    await rm(folder, { recursive: true });
  }
}

test("the embedded module of the template is what its sources compile to, in any folder", async () => {
  const here = await buildPlugin(root, "plugins/sdk/template");
  assertEquals(here.sha256, GUEST_SHA256);
  assertEquals(here.module, Uint8Array.from(guestModule()));
  await inFolder(async (folder) => {
    assertEquals((await buildPlugin(folder, "plugins/sdk/template")).sha256, GUEST_SHA256);
  });
});

test("a new provider is built, conforms, and has its own name", async () => {
  await inFolder(async (folder) => {
    assertEquals(await newPlugin(folder, "my-own"), [
      "plugins/my-own/guest/index.ts",
      "plugins/my-own/mod.ts",
    ]);
    const { module, sha256, embedded } = await buildPlugin(folder, "plugins/my-own");
    const { description, outcomes } = await testProvider(module);
    assertEquals(description.name, "my-own");
    assertEquals(outcomes.filter(({ result }) => result === "FAILED"), []);
    assertStringIncludes(embedded, sha256);
    const host = await readFile(new URL("plugins/my-own/mod.ts", folder), "utf8");
    assertStringIncludes(host, "export function myOwn(options: MyOwnOptions");
    const imported = [...host.matchAll(/from "(\..*?)"/g)].map(([, path]) => path);
    for (const path of imported.filter((path) => path !== "./guest_wasm.ts")) {
      await readFile(new URL(path, new URL("plugins/my-own/mod.ts", root)));
    }
    assert(!/template/i.test(host), host);
  });
});

test("plugin:new refuses a name that is invalid or in use", async () => {
  await inFolder(async (folder) => {
    await assertRejects(() => newPlugin(folder, "../escape"), TypeError, "not a valid provider's name");
    await assertRejects(() => newPlugin(folder, ""), TypeError, "not a valid provider's name");
    await assertRejects(() => newPlugin(folder, "sdk"), Error, "is there already");
    await assertRejects(() => newPlugin(folder, "my-kerberos"), TypeError, "is a built-in name");
  });
});

test("plugin:build reports a guest that does not compile with the compiler's message and position", async () => {
  await inFolder(async (folder) => {
    await newPlugin(folder, "broken");
    await writeFile(
      new URL("plugins/broken/guest/index.ts", folder),
      "export function call(): i32 { return nothing; }",
    );
    await assertRejects(() => buildPlugin(folder, "plugins/broken"), Error, "Cannot find name 'nothing'");
  });
});
