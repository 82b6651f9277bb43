import { assertEquals, assertThrows } from "@std/assert";
import { test } from "@test";
import { existsSync, readdirSync } from "node:fs";
import { GRANT_LIBRARIES, GRANTS } from "../../ffi/permissions.ts";
import { selectSuites, SUITES } from "../rig/windows/suites.ts";

test("every test file of tests/windows belongs to a suite", () => {
  const files = readdirSync(new URL("../windows/", import.meta.url)).filter((name) =>
    name.endsWith("_test.ts")
  );
  const listed = new Set(
    SUITES.flatMap((suite) => suite.files).filter((file) => file.startsWith("tests/windows/")),
  );
  assertEquals([...listed].sort(), files.map((name) => `tests/windows/${name}`).sort());
});

test("suites are selected by name and by runtime", () => {
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

test("every file that a suite names exists", () => {
  for (const file of SUITES.flatMap((suite) => suite.files)) {
    assertEquals(existsSync(new URL(`../../${file}`, import.meta.url)), true, file);
  }
});

test("every grant that opens anything on Windows has a suite with its printed flags and nothing else", () => {
  const tried = new Set(SUITES.flatMap(({ grants = [] }) => grants));
  const needed = GRANTS.filter((grant) => (GRANT_LIBRARIES[grant].windows ?? []).length > 0);
  assertEquals(needed.filter((grant) => !tried.has(grant)), []);
});
