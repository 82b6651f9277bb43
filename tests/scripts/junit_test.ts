import { assertEquals, assertStringIncludes } from "@std/assert";
import { test } from "@test";
import { closing, readJUnit } from "../../scripts/junit.ts";
import { denoTally } from "../../scripts/test.ts";

// Both as the runtimes really write them.
const DENO = `<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="deno test" tests="6" failures="1" errors="0" time="0.135">
    <testsuite name="./a_test.ts" tests="6" disabled="2" errors="0" failures="1">
        <testcase name="a &lt; b &amp; &quot;c&quot;" classname="./a_test.ts" time="0.000" line="2" col="6">
        </testcase>
        <testcase name="bad" classname="./a_test.ts" time="0.001" line="3" col="6">
            <failure message="Uncaught Error: x">Error: x
    at file:///tmp/jt/a_test.ts:3:32</failure>
        </testcase>
        <testcase name="not here" classname="./a_test.ts" time="0.000" line="4" col="6">
            <skipped/>
        </testcase>
        <testcase name="steps" classname="./a_test.ts" time="0.001" line="5" col="6">
        </testcase>
        <testcase name="steps &gt; inner" classname="./a_test.ts" time="0.000" line="5" col="43">
        </testcase>
        <testcase name="steps &gt; inner skip" classname="./a_test.ts" time="0.000" line="5" col="76">
            <skipped/>
        </testcase>
    </testsuite>
</testsuites>`;
const NODE = `<?xml version="1.0" encoding="utf-8"?>
<testsuites>
	<testcase name="a &lt; b > c" time="0.001" classname="test"/>
	<testcase name="bad" time="0.002" classname="test" failure="x">
		<failure type="testCodeFailure" message="x">[Error [ERR_TEST_FAILURE]: x]</failure>
	</testcase>
	<testcase name="not here" time="0.0001" classname="test">
		<skipped type="skipped" message="no realm"/>
	</testcase>
</testsuites>`;

test("a report of deno test is counted by tests, without their steps", () => {
  assertEquals(readJUnit(DENO), { passed: 2, failed: ["bad"], skipped: ["not here"] });
});

test("a report of node --test is counted in the same way", () => {
  assertEquals(readJUnit(NODE), { passed: 1, failed: ["bad"], skipped: ["not here"] });
});

test("names are read without their XML escapes", () => {
  const failing = `<testcase name="&lt;&#x41;&#66;&apos;"><failure/></testcase>`;
  assertEquals(readJUnit(failing).failed, ["<AB'"]);
});

test("a module that could not be run counts as a failure although no report names it", () => {
  const output = "\x1b[0mUncaught error from ./b_test.ts \x1b[31mFAILED\x1b[0m\n";
  assertEquals(denoTally("", output, 1).failed, ["./b_test.ts"]);
});

test("a run that failed without a failed test is still a failure", () => {
  assertEquals(denoTally("", "error: Type checking failed.", 1).failed, ["deno test ended with 1"]);
  assertEquals(denoTally("", "", 0).failed, []);
});

test("tests left out by --filter are not counted as skipped", () => {
  const output = "SKIP not here: no realm\nok | 2 passed | 0 failed | 1 ignored | 3 filtered out (5ms)\n";
  const filtered = `${DENO}<testcase name="filtered"><skipped/></testcase>`;
  assertEquals(denoTally(filtered, output, 1).skipped, ["not here"]);
  assertEquals(denoTally(filtered, "", 1).skipped, ["not here", "filtered"]);
});

test("the closing lists what was skipped and why, and ends with the figures", () => {
  const output = "noise\nSKIP here: not: no realm: install it\n";
  const text = closing({ passed: 3, failed: ["bad"], skipped: ["here: not", "silent"] }, output);
  assertStringIncludes(text, "  here: not: no realm: install it\n");
  assertStringIncludes(text, "  silent: no reason was given\n");
  assertStringIncludes(text, "Failed:\n  bad\n");
  assertEquals(text.split("\n").at(-1), "3 passed, 1 failed, 2 skipped");
});
