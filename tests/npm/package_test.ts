import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { test } from "@test";
import { pathToFileURL } from "node:url";
import { ensureNode, NODE_VERSIONS, TOO_OLD_NODE } from "../../scripts/node.ts";
import { DEPENDENCIES, ENTRIES, OLDEST_NODE } from "../../scripts/npm_package.ts";
import { npm, run } from "../../scripts/process.ts";
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

test(
  "package.json has the metadata, runs nothing on installation, and depends on what the library needs alone",
  async () => {
    const json = JSON.parse(await tar("-xzOf", "package/package.json"));
    assertEquals(json.name, PACKAGE);
    assertEquals(json.engines, { node: ">=22.3" });
    assertEquals(Object.keys(json.dependencies), [...DEPENDENCIES]);
    assertEquals(Object.keys(json.bin), ["secure-sockets"]);
    assertEquals(json.license, "MIT");
    assert(json.description.length > 40);
    for (const absent of ["scripts", "devDependencies", "optionalDependencies", "peerDependencies"]) {
      assertEquals(json[absent], undefined);
    }
  },
  { skip },
);

test("no built module contains the path where it was built", async () => {
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
    `a missing or broken koffi is reported as such on Node ${major}, and the advice works`,
    async () => {
      await using consumer = await makeConsumer();
      await consumer.write(
        "use.mjs",
        `import { openSystem } from ${JSON.stringify(PACKAGE)};
      const system = openSystem({ grants: ["sspi"] });
      const { available, reason, cause } = system.capabilities().securityContexts;
      console.log(JSON.stringify({ available, reason, dll: cause?.dll }));`,
      );
      const use = async () => {
        const { code, stdout, stderr } = await consumer.node(major, "use.mjs");
        assertEquals([code, stderr], [0, ""]);
        return JSON.parse(stdout);
      };
      const whole = await use();
      for (const gone of ["koffi", "@koromix"]) {
        await Deno.remove(`${consumer.folder}/node_modules/${gone}`, { recursive: true });
        const { available, reason, dll } = await use();
        assertEquals([available, dll], [false, "koffi"]);
        assertStringIncludes(
          reason,
          gone === "koffi" ? "koffi, through which Node calls libraries, is missing" : "cannot be loaded",
        );
        const advice = /npm (install [^.]*koffi)/.exec(reason);
        await npm([...advice![1].split(" "), "--ignore-scripts", "--prefer-offline"], {
          cwd: consumer.folder,
        });
        assertEquals(await use(), whole);
      }
    },
    { skip },
  );
}

test(
  "a koffi of the current directory is not loaded by a program that is given on the command line",
  async () => {
    await using consumer = await makeConsumer();
    const planted = `${consumer.folder}/elsewhere/node_modules/koffi`;
    await Deno.mkdir(planted, { recursive: true });
    await Deno.writeTextFile(`${planted}/index.js`, 'throw new Error("the planted koffi ran");');
    const program = `import(${
      JSON.stringify(pathToFileURL(`${consumer.installed}/mod.js`).href)
    }).then(({ openSystem }) => {
    console.log(openSystem({ grants: ["sspi"] }).capabilities().securityContexts.reason ?? "available");
  });`;
    const { stdout, stderr } = await run(await ensureNode(OLDEST_NODE), ["--eval", program], {
      cwd: `${consumer.folder}/elsewhere`,
    });
    assertEquals([/koffi/.test(stdout), stdout === "", stderr], [false, false, ""]);
  },
  { skip },
);

test("Node 22.3 is the oldest supported version", async () => {
  await using consumer = await makeConsumer();
  await consumer.write(
    "versions.mjs",
    `globalThis.process = { versions: { node: process.argv[2] }, stdout: process.stdout };
    const outcome = await import(${JSON.stringify(PACKAGE)}).then(() => "imported", (error) => error.message);
    console.log(outcome);`,
  );
  for (
    const version of ["18.20.8", "20.20.2", "22.0.0", "22.2.0", "22.3.0", "22.10.0", "23.0.0", "100.0.0"]
  ) {
    const { stdout } = await consumer.node(OLDEST_NODE, "versions.mjs", version);
    const refusal = `Cannot run on Node ${version}: ${PACKAGE} needs Node 22.3 or later. Update Node`;
    const [major, minor] = version.split(".").map(Number);
    assertEquals(stdout.trim(), major > 22 || major === 22 && minor >= 3 ? "imported" : refusal);
  }
}, { skip });

for (const way of ["imported", "required"]) {
  test(`${way} on a Node that is too old, every entry point names the version that it needs`, async () => {
    await using consumer = await makeConsumer();
    const { engines } = JSON.parse(await tar("-xzOf", "package/package.json"));
    for (const entry of LIBRARY_ENTRIES) {
      const name = JSON.stringify(PACKAGE + entry.slice(1));
      const load = way === "imported" ? `await import(${name})` : `require(${name})`;
      const file = way === "imported" ? "old.mjs" : "old.cjs";
      await consumer.write(
        file,
        `try { ${load}; } catch (error) { console.log(error.code, error.message); }`,
      );
      const { stdout } = await consumer.node(TOO_OLD_NODE, "--no-warnings", file);
      const [, version] = /Node (\S+):/.exec(stdout) ?? [];
      assertMatch(version, new RegExp(`^${TOO_OLD_NODE}\\.`));
      assertEquals(
        stdout.trim(),
        `UNSUPPORTED_PLATFORM Cannot run on Node ${version}: ${PACKAGE} needs Node ${
          engines.node.slice(2)
        } or later. Update Node`,
      );
    }
  }, { skip: skip ?? (Deno.build.os === "linux" ? null : "the old Node is fetched for Linux alone") });
}
