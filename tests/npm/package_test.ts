import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { test } from "@test";
import { NODE_VERSIONS } from "../../scripts/node.ts";
import { ENTRIES } from "../../scripts/npm_package.ts";
import { makeConsumer, PACKAGE, skip, tar } from "./consumer.ts";

const LIBRARY_ENTRIES = Object.keys(ENTRIES).filter((name) => name !== "./cli");

test("the tarball holds built modules and documents, and nothing of how they were made", async () => {
  const files = (await tar("-tzf")).trim().split(/\r?\n/).map((path) => path.replace("package/", ""));
  for (const needed of ["package.json", "README.md", "LICENSE", "CHANGELOG.md"]) {
    assert(files.includes(needed), needed);
  }
  const odd = files.filter((path) =>
    !/(\.js|\.d\.ts)$/.test(path) && !/^[A-Z]+(\.md)?$|^package\.json$/.test(path)
  );
  assertEquals(odd, []);
  assertEquals(files.filter((path) => /(^|\/)(tests|scripts|bench|examples|node_modules)\//.test(path)), []);
}, { skip });

test("package.json says what it is, runs nothing on installation, and depends on koffi alone", async () => {
  const json = JSON.parse(await tar("-xzOf", "package/package.json"));
  assertEquals(json.name, PACKAGE);
  assertEquals(json.engines, { node: ">=22.3" });
  assertEquals(Object.keys(json.dependencies), ["koffi"]);
  assertEquals(Object.keys(json.bin), ["secure-sockets"]);
  assertEquals(json.license, "MIT");
  assert(json.description.length > 40);
  for (const absent of ["scripts", "devDependencies", "optionalDependencies", "peerDependencies"]) {
    assertEquals(json[absent], undefined);
  }
}, { skip });

test("no built module tells where it was built", async () => {
  const places = /file:\/\/\/|\/home\/|\/tmp\/[\w-]+\/|[A-Z]:\\Users\\/;
  assertEquals(places.exec(await tar("-xzOf"))?.[0], undefined);
}, { skip });

test("where install scripts are allowed, koffi's own finds its binary and calls no compiler", async () => {
  await using consumer = await makeConsumer([], { scripts: true });
  assertEquals(consumer.compilersCalled, []);
}, { skip });

for (const major of NODE_VERSIONS) {
  test(
    `installed without a compiler, every entry point is imported and required on Node ${major}`,
    async () => {
      await using consumer = await makeConsumer();
      assertEquals(consumer.compilersCalled, []);
      const names = LIBRARY_ENTRIES.map((entry) => JSON.stringify(PACKAGE + entry.slice(1)));
      const check = `for (const m of all) if (Object.keys(m).length === 0) throw new Error("empty module");
      console.log(all.length);`;
      await consumer.write(
        "all.mjs",
        `const all = await Promise.all([${names}].map((n) => import(n))); ${check}`,
      );
      await consumer.write("all.cjs", `const all = [${names}].map((name) => require(name)); ${check}`);
      for (const file of ["all.mjs", "all.cjs"]) {
        const { code, stdout, stderr } = await consumer.node(major, file);
        assertEquals([code, stdout.trim(), stderr], [0, String(LIBRARY_ENTRIES.length), ""]);
      }
    },
    { skip },
  );

  const imports = LIBRARY_ENTRIES.map((entry) =>
    `await import(${JSON.stringify(PACKAGE + entry.slice(1))});`
  );

  test(`importing opens nothing on Node ${major}`, async () => {
    await using consumer = await makeConsumer();
    // Libraries, addons and sockets show in /proc even where an attempt to open them is swallowed.
    const look = `import { readdirSync, readFileSync, readlinkSync } from "node:fs";
      const seen = () => [
        ...new Set(readFileSync("/proc/self/maps", "utf8").match(/\\/\\S+\\.(so[.\\d]*|node)\\b/g)),
        ...readdirSync("/proc/self/fd").map((fd) => {
          try { return readlinkSync("/proc/self/fd/" + fd); } catch { return ""; }
        }).filter((path) => /^socket|\\/etc\\/|\\/tmp\\//.test(path)),
      ];
      const before = seen();
      ${imports.join("\n")}
      console.log(JSON.stringify(seen().filter((what) => !before.includes(what))));`;
    await consumer.write("look.mjs", look);
    const free = await consumer.node(major, "look.mjs");
    assertEquals([free.stdout.trim(), free.stderr], ["[]", ""]);
  }, { skip: skip ?? (Deno.build.os === "linux" ? null : "what a process has open is told by Linux") });

  test(`importing needs no permission on Node ${major}`, async () => {
    await using consumer = await makeConsumer();
    await consumer.write("bare.mjs", `${imports.join("\n")} console.log("imported");`);
    const args = ["--permission", `--allow-fs-read=${consumer.folder}/*`, "bare.mjs"];
    const confined = await consumer.node(major, ...args);
    assertEquals([confined.stdout.trim(), confined.stderr], ["imported", ""]);
  }, { skip });

  test(`the command line runs on Node ${major}`, async () => {
    await using consumer = await makeConsumer();
    // Windows has scripts there, which run the module itself.
    const windows = Deno.build.os === "windows";
    const { bin } = JSON.parse(await Deno.readTextFile(`${consumer.installed}/package.json`));
    const program = windows
      ? `${consumer.installed}/${bin["secure-sockets"]}`
      : `${consumer.folder}/node_modules/.bin/secure-sockets`;
    assertMatch(await Deno.readTextFile(program), /^#!\/usr\/bin\/env node\n/);
    if (!windows) assert((await Deno.stat(program)).mode! & 0o100);
    const { code, stdout, stderr } = await consumer.node(major, program, "--help");
    assertEquals([code, stderr], [0, ""]);
    assertStringIncludes(stdout, "secure-sockets");
  }, { skip });

  test(
    `without koffi the package still imports on Node ${major}, and says what is missing when used`,
    async () => {
      await using consumer = await makeConsumer();
      await Deno.remove(`${consumer.folder}/node_modules/koffi`, { recursive: true });
      await consumer.write(
        "use.mjs",
        `import { openSystem } from ${JSON.stringify(PACKAGE)};
      const system = openSystem({ grants: ["sspi"] });
      console.log(JSON.stringify(system.capabilities().securityContexts));`,
      );
      const { code, stdout, stderr } = await consumer.node(major, "use.mjs");
      assertEquals([code, stderr], [0, ""]);
      const answer = JSON.parse(stdout);
      assertEquals(answer.available, false);
      assertStringIncludes(answer.reason, "koffi");
    },
    { skip },
  );
}
