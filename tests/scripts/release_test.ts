import { assertEquals, assertStringIncludes } from "@std/assert";
import { test } from "@test";
import { problems } from "../../scripts/release.ts";

const READY = {
  changelog: "# Changelog\n\n## [Unreleased]\n\n## [1.2.3] - 2026-01-31\n\n- x\n",
  cliVersion: "1.2.3",
  tags: ["v1.2.3", ""],
  changes: "",
  page: "https://git.example.test/one/two" as string | null,
};

test("problems() of a release is empty where version, changelog, tag and clone agree", () => {
  assertEquals(problems("1.2.3", READY), []);
});

test("problems() of a release names what is missing and what to do", () => {
  const cases: [Partial<typeof READY>, string][] = [
    [{ cliVersion: "1.2.2" }, "VERSION in cli/help.ts is 1.2.2: write 1.2.3"],
    [{ changelog: "## [Unreleased]\n\n## [1.2.30] - 2026-01-31\n" }, 'no "## [1.2.3] - YYYY-MM-DD"'],
    [{ changelog: "## [1.2.3]\n" }, 'no "## [1.2.3] - YYYY-MM-DD"'],
    [{ tags: ["v1.2.2"] }, "git tag v1.2.3"],
    [{ changes: " M mod.ts\n" }, " M mod.ts"],
    [{ page: null }, "git remote add origin"],
  ];
  for (const [change, expected] of cases) {
    const [problem, ...more] = problems("1.2.3", { ...READY, ...change });
    assertEquals(more, []);
    assertStringIncludes(problem, expected);
  }
  assertEquals(problems("1.2", { ...READY, cliVersion: "1.2" }).length, 3);
});
