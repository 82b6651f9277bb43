import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { test } from "@test";
import { pathToFileURL } from "node:url";
import type { Bundles } from "../../scripts/node_bundle.ts";
import { mustRun } from "../../scripts/process.ts";
import { ROOT, ROOT_URL } from "../../scripts/root.ts";

const FILE = "tests/sockets/framing_test.ts";

/** Bundles one test in a process of its own: esbuild's, which does the work, does not wait to be told to end. */
async function bundle(packageFolder: string, outFolder: string): Promise<Bundles> {
  const options = JSON.stringify({ files: [FILE], packageFolder, outFolder });
  const code = `import { bundleTests } from ${
    JSON.stringify(new URL("scripts/node_bundle.ts", ROOT_URL).href)
  };
    console.log(JSON.stringify(await bundleTests(${options})));`;
  return JSON.parse((await mustRun(Deno.execPath(), ["eval", code], { cwd: ROOT })).stdout);
}

/** A folder with an installed package in it that holds the modules named, and a folder for bundles. */
async function withPackage(
  modules: readonly string[],
  entry: string,
  body: (packageFolder: string, outFolder: string) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(
      `${folder}/package.json`,
      JSON.stringify({ exports: { ".": { default: entry } } }),
    );
    for (const path of modules) {
      await Deno.mkdir(`${folder}/${path}`.replace(/\/[^/]*$/, ""), { recursive: true });
      await Deno.writeTextFile(`${folder}/${path}`, "export {};");
    }
    await body(folder, `${folder}/out`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

test("imports of the library in a test are resolved in the package, in either layout", async () => {
  for (const [entry, base] of [["./mod.js", ""], ["./esm/mod.js", "esm/"]]) {
    const modules = [`${base}sockets/framing.js`, `${base}errors.js`];
    await withPackage(modules, entry, async (packageFolder, outFolder) => {
      const { outputs, packages } = await bundle(packageFolder, outFolder);
      assertEquals(outputs.length, 1);
      assertEquals(packages.map((name) => name.split("@")[0]), ["fast-check"]);
      const text = await Deno.readTextFile(outputs[0]);
      const module = pathToFileURL(`${packageFolder}/${base}sockets/framing.js`);
      assertStringIncludes(text, `from "${module}"`);
      assert(!/class ProtocolError/.test(text), "a class of the sources is in the bundle");
      assertStringIncludes(text, "node:test");
    });
  }
});

test("a test of a module that is not in the package is reported with the module's name, and is not run", async () => {
  await withPackage(["errors.js"], "./mod.js", async (packageFolder, outFolder) => {
    const { outputs, failures } = await bundle(packageFolder, outFolder);
    assertEquals(outputs, []);
    assertEquals(failures, [{ file: FILE, reason: "sockets/framing.ts is not part of the npm package" }]);
  });
});
