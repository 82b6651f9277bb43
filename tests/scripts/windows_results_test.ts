import { assertEquals, assertStringIncludes } from "@std/assert";
import { test } from "@test";
import { closingOf, readEnded, succeeded } from "../rig/windows/results.ts";

const REPORT = `<?xml version="1.0"?><testsuites><testsuite name="x">
  <testcase name="a" time="0"></testcase>
  <testcase name="b"><failure message="boom">at x</failure></testcase>
  <testcase name="c: is d"><skipped/></testcase>
</testsuite></testsuites>
`;
const PASSED = '<testsuites><testcase name="a"></testcase></testsuites>';

test("a report is read with the reasons that were printed", () => {
  const output = "SKIP c: is d: Wine 10.0: SEC_E_UNSUPPORTED_FUNCTION (0x80090302)\r\nrunning\r\n";
  const result = readEnded("here", { code: 1, report: REPORT, output });
  assertEquals([result.passed, result.failed, result.skipped], [1, ["b"], ["c: is d"]]);
  assertEquals(result.reasons, { "c: is d": "Wine 10.0: SEC_E_UNSUPPORTED_FUNCTION (0x80090302)" });
  assertEquals(result.details, output);
});

test("a run that was interrupted, found no test or failed is a failure", () => {
  const runs = [
    { code: 0, report: "", output: "" },
    { code: 139, report: REPORT.slice(0, 100), output: "" },
    { code: 0, report: "<testsuites></testsuites>", output: "" },
    { code: 1, report: PASSED, output: "" },
  ];
  for (const run of runs) assertEquals(readEnded("x", run).failed.length > 0, true, JSON.stringify(run));
  assertEquals(readEnded("x", { code: 0, report: PASSED, output: "" }).failed, []);
});

test("the closing line counts everything, and success needs a test that passed", () => {
  const good = readEnded("good", { code: 0, report: PASSED, output: "" });
  const bad = readEnded("bad", { code: 1, report: REPORT, output: "" });
  assertStringIncludes(closingOf([good, bad]), "\n2 passed, 1 failed, 1 skipped");
  assertEquals([succeeded([]), succeeded([good]), succeeded([good, bad])], [false, true, false]);
});
