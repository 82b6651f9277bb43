import { assertEquals } from "@std/assert";
import { test } from "@test";
import { existsSync, readFileSync } from "node:fs";
import { join, sep } from "node:path";
import { listFiles } from "../../scripts/files.ts";
import { pathFrom, ROOT } from "../../scripts/root.ts";

test("the root is the repository's, and ends with a separator", () => {
  assertEquals([ROOT.endsWith(sep), existsSync(`${ROOT}deno.json`)], [true, true]);
});

test("a path below a root is returned with slashes, and another path is null", () => {
  assertEquals(pathFrom(ROOT, join(ROOT, "tests", "scripts", "root_test.ts")), "tests/scripts/root_test.ts");
  assertEquals(pathFrom(ROOT, join(ROOT, "..", "elsewhere.ts")), null);
});

/** What works as a path on Unix alone: a file's address without its scheme, and a path with one put before it. */
const UNIX_ONLY = [/import\.meta\.url\)\.pathname/, /(?:ROOT|URL|MAP)\.pathname/, /`file:\/\/\$\{/];

test("no script, test or bench uses a file's URL as a path", async () => {
  const files = await listFiles(ROOT, (folder) => folder !== "npm/");
  const found = files
    .filter((file) => /^(scripts|tests|bench)\/.*\.ts$/.test(file) && file !== "tests/scripts/root_test.ts")
    .filter((file) => UNIX_ONLY.some((pattern) => pattern.test(readFileSync(ROOT + file, "utf8"))));
  assertEquals(found, []);
});
