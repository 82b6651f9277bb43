import { assertEquals, assertThrows } from "@std/assert";
import { test } from "@test";
import { existsSync, readdirSync } from "node:fs";
import { selectSuites, SUITES } from "../../scripts/windows/suites.ts";

test("every test file of tests/windows belongs to a suite", () => {
  const files = readdirSync(new URL("../windows/", import.meta.url)).filter((name) =>
    name.endsWith("_test.ts")
  );
  const listed = new Set(
    SUITES.flatMap((suite) => suite.files).filter((file) => file.startsWith("tests/windows/")),
  );
  assertEquals([...listed].sort(), files.map((name) => `tests/windows/${name}`).sort());
});

test("suites are chosen by name and by runtime", () => {
  assertEquals(selectSuites({}), [...SUITES]);
  assertEquals(
    selectSuites({ suite: "rig", runtime: "deno" }).map(({ name, runtimes }) => [name, runtimes]),
    [
      ["rig", ["deno"]],
    ],
  );
  assertEquals(selectSuites({ suite: "oracle" }), []);
  assertThrows(() => selectSuites({ suite: "nix" }), RangeError, "--suite=nix");
  assertThrows(() => selectSuites({ runtime: "bun" }), RangeError, "--runtime=bun");
});

test("every file a suite names is there", () => {
  for (const file of SUITES.flatMap((suite) => suite.files)) {
    assertEquals(existsSync(new URL(`../../${file}`, import.meta.url)), true, file);
  }
});
