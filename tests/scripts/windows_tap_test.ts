import { assertEquals } from "@std/assert";
import { test } from "@test";
import { readTap } from "../../scripts/windows/tap.ts";

test("reports of Deno and of Node are read alike", () => {
  const deno =
    "SKIP c: is d: no Kerberos here\nTAP version 14\n# ./x.ts\nok 1 - a\r\nnot ok 2 - b \\# 1\n  ---\n" +
    '  {"message":"boom"}\n  ...\nok 3 - c: is d # SKIP\n1..3\n';
  assertEquals(readTap(deno, 1), {
    passed: ["a"],
    failed: [{ name: "b # 1", detail: '  ---\n  {"message":"boom"}\n  ...\n' }],
    skipped: [{ name: "c: is d", reason: "no Kerberos here" }],
  });
  const node = "TAP version 13\n# Subtest: a\nok 1 - a\n  ---\n  duration_ms: 1\n  ...\n" +
    "ok 2 - b # SKIP why not\n1..2\n# tests 2\n";
  assertEquals(readTap(node, 0), { passed: ["a"], failed: [], skipped: [{ name: "b", reason: "why not" }] });
});

test("steps are not counted beside their test", () => {
  const report = "# Subtest: a\n    ok 1 - step\n    1..1\nok 1 - a\n1..1\n";
  assertEquals(readTap(report, 0).passed, ["a"]);
});

test("a run that breaks off is a failure, whatever its exit code", () => {
  for (const code of [0, 1, 139]) {
    assertEquals(readTap("", code).failed.length, 1);
    assertEquals(readTap("ok 1 - a\n", code).failed.length, 1);
    assertEquals(readTap("ok 1 - a\n1..2\n", code).failed.length, 1);
  }
});

test("a bad exit code without a failed test is a failure", () => {
  assertEquals(readTap("ok 1 - a\n1..1\n", 1).failed.length, 1);
  assertEquals(readTap("ok 1 - a\n1..1\n", 0).failed.length, 0);
});

test("a test without a reason for its skip says so", () => {
  assertEquals(readTap("ok 1 - a # SKIP\n1..1\n", 0).skipped, [{ name: "a", reason: "no reason given" }]);
});
