/** What `deno task test:npm` runs, by its arguments. */

import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { test } from "@test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { sourceFiles } from "../../scripts/check.ts";
import { NODE_VERSIONS, SUITE_NODE_VERSIONS } from "../../scripts/node.ts";
import { selectTests } from "../../scripts/npm_selection.ts";
import { run } from "../../scripts/process.ts";
import { ROOT } from "../../scripts/root.ts";

const FILES = [
  "mod.ts",
  "tests/ffi/security/gss/order_test.ts",
  "tests/ffi/memory/struct_test.ts",
  "tests/npm/consumer.ts",
  "tests/npm/package_test.ts",
  "tests/scripts/root_test.ts",
  "tests/sockets/deadline_test.ts",
  "tests/spn_test.ts",
  "tests/windows/rig_test.ts",
];

/** Arguments as they are typed in the root, whatever folder the tests run in. */
const here = (path: string): string => join(ROOT, path);
const select = (...args: string[]) => selectTests(args, FILES)!;

test("tests that run on Node import nothing of the Windows rig, which is for Deno", async () => {
  const files = await sourceFiles();
  const read = [
    ...selectTests([], files)!.onNode,
    ...files.filter((file) => /^tests\/(support\/|rig\/[^/]+$)/.test(file)),
  ];
  assertEquals(read.includes("tests/rig/ad_dc.ts"), true);
  const importing = read.filter((file) =>
    /from "(\.\/|[^"]*\/rig\/)windows\//.test(readFileSync(ROOT + file, "utf8"))
  );
  assertEquals(importing, []);
});

test("without paths all tests run that are not Deno's own, on each version of Node", () => {
  assertEquals(select(), {
    all: true,
    install: true,
    versions: SUITE_NODE_VERSIONS,
    acceptance: ["tests/npm/package_test.ts"],
    onNode: [
      "tests/ffi/security/gss/order_test.ts",
      "tests/ffi/memory/struct_test.ts",
      "tests/sockets/deadline_test.ts",
      "tests/spn_test.ts",
    ],
  });
  assertEquals(select("--no-install").install, false);
});

test("files and folders select tests, each once, and nothing else runs", () => {
  for (const folder of ["tests/ffi", "tests/ffi/", "./tests/ffi"]) {
    const { all, acceptance, onNode } = select(here(folder));
    assertEquals([all, acceptance, onNode], [false, [], [
      "tests/ffi/security/gss/order_test.ts",
      "tests/ffi/memory/struct_test.ts",
    ]]);
  }
  assertEquals(
    select(
      here("tests/spn_test.ts"),
      here("tests/ffi/security"),
      here("tests/ffi/security/gss/order_test.ts"),
    )
      .onNode,
    [
      "tests/spn_test.ts",
      "tests/ffi/security/gss/order_test.ts",
    ],
  );
  assertEquals(select(here("tests/npm")).acceptance, ["tests/npm/package_test.ts"]);
  assertEquals(select(here("tests/npm")).onNode, []);
  assertEquals(select(here("tests")), select());
});

test("one version of Node runs without the tests that Deno runs", () => {
  assertEquals([NODE_VERSIONS, SUITE_NODE_VERSIONS], [[22, 24, 26], [22, 26]]);
  for (const major of NODE_VERSIONS) {
    for (const args of [["--node", `${major}`], [`--node=${major}`]]) {
      const { all, versions, acceptance, onNode } = select(...args, here("tests"));
      assertEquals([all, versions, acceptance, onNode.length], [false, [major], [], 4]);
    }
  }
});

const WRONG: readonly (readonly [args: string[], problem: string])[] = [
  [["--filter", "x"], "--filter is not known"],
  [["-v"], "-v is not known"],
  [["--no-instal"], "--no-instal is not known"],
  [["--node"], "--node takes one of 22, 24, 26, not nothing"],
  [["--node", "18"], "--node takes one of 22, 24, 26, not 18"],
  [["--node", here("tests/ffi")], "--node takes one of 22, 24, 26, not "],
  [[here("tests/nowhere")], "is not a test file of this repository, nor a folder with any"],
  [[here("tests/ff")], "is not a test file of this repository"],
  [[here("mod.ts")], "is not a test file of this repository"],
  [[here("tests/npm/consumer.ts")], "is not a test file of this repository"],
  [[here("")], "is not a test file of this repository"],
  [["/"], "is not a test file of this repository"],
  [[""], "is not a test file of this repository"],
  [[here("tests/spn_test.ts"), here("tests/nowhere_test.ts")], "nowhere_test.ts is not a test file"],
  [[here("tests/scripts")], "is not for the npm package: run deno task test"],
  [[here("tests/windows/rig_test.ts")], "is not for the npm package: run deno task test:windows"],
  [["--node", "22", here("tests/npm")], "is run without --node"],
];

for (const [args, problem] of WRONG) {
  const shown = args.map((arg) => arg.replace(ROOT, "<root>/")).join(" ");
  test(`"${shown}" is refused with the problem and the usage, and runs nothing`, () => {
    const { message } = assertThrows(() => select(...args), RangeError, problem);
    assertStringIncludes(message, "Usage: deno task test:npm");
  });
}

test("the task itself shows its help, and of a wrong argument the problem and an exit code", async () => {
  const task = (...args: string[]) =>
    run(Deno.execPath(), ["run", "-A", "--quiet", "scripts/test_npm.ts", ...args], { cwd: ROOT });
  const help = await task("tests/nowhere", "--help");
  assertEquals([help.code, help.stderr], [0, ""]);
  assertStringIncludes(help.stdout, "Usage: deno task test:npm");
  const wrong = await task("tests/nowhere");
  assertEquals([wrong.code, wrong.stdout], [1, ""]);
  assertStringIncludes(wrong.stderr, "tests/nowhere is not a test file");
});
