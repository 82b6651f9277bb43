/** The bench's arithmetic and its command line; what it measures it measures for real. */

import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { test } from "@test";
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import denoJson from "../../deno.json" with { type: "json" };
import { chartOf, readBars } from "../../bench/chart.ts";
import type { Measure } from "../../bench/measure.ts";
import { COLUMNS, MEASURES } from "../../bench/measures.ts";
import { markdown, median, rowsOf, textLine } from "../../bench/table.ts";
import { run } from "../../scripts/process.ts";

const MEASURE: Measure = {
  name: "one",
  titles: ["there, /s", "back, /s"],
  requests: { C: "x", Deno: "x" },
  targets: [{ of: "Deno", over: "C", least: 0.9 }],
};
const ROUNDS = {
  C: [[100, 10], [200, 10], [50, 10]],
  Deno: [[95, 8], [180, 9], [50, 8.9]],
};

test("the median is the middle one, or between the two in the middle", () => {
  assertEquals(median([3, 1, 2]), 2);
  assertEquals(median([4, 1, 2, 3]), 2.5);
  assertEquals(median([]), null);
});

test("a ratio is the median of each round's, not the ratio of the medians", () => {
  const [there, back] = rowsOf(MEASURE, ROUNDS, COLUMNS);
  assertEquals(there.medians, [100, 95, null, null]);
  assertEquals(there.ratios, [0.95, null, null, null]);
  assertEquals(there.met, true);
  assertEquals(back.ratios[0], 0.89);
  assertEquals(back.met, false);
});

test("a target that is missed or could not be measured is reported as such", () => {
  const [there, back] = rowsOf(MEASURE, ROUNDS, COLUMNS);
  assertEquals(there.verdicts, ["Deno >= 0.90 C: met"]);
  assertEquals(back.verdicts, ["Deno >= 0.90 C: MISSED"]);
  const [alone] = rowsOf(MEASURE, { Deno: ROUNDS.Deno }, COLUMNS);
  assertEquals(alone.verdicts, ["Deno >= 0.90 C: not measured"]);
});

test("text and Markdown show the same figures", () => {
  const rows = rowsOf(MEASURE, ROUNDS, COLUMNS);
  assertStringIncludes(textLine(rows[1], COLUMNS), "MISSED");
  assertEquals(textLine(null, COLUMNS).indexOf("Deno"), textLine(rows[0], COLUMNS).indexOf("95.0"));
  const lines = markdown(rows, COLUMNS).split("\n");
  assertEquals(lines.length, 4);
  assertEquals(new Set(lines.map((line) => line.length)).size, 1);
  assert(/^\| back, \/s +\| +10\.0 \| +8\.9 \|/.test(lines[3]), lines[3]);
});

test("every target compares two measured peers, and every name is unique", () => {
  for (const { name, requests, targets = [] } of MEASURES) {
    for (const { of, over } of targets) assert(requests[of] && requests[over], name);
  }
  assertEquals(new Set(MEASURES.map(({ name }) => name)).size, MEASURES.length);
});

const PAGE = `text

|          |   C | Deno | Deno/C | Node/C | target |
| -------- | --: | ---: | -----: | -----: | ------ |
| a & b    | 100 |  150 |   1.50 |        | met    |
| no C     |     |  150 |        |        |        |
| c        | 100 |   50 |   0.50 |   0.25 |        |
`;

test("the chart has a bar for each ratio to C, and text that is escaped", () => {
  assertEquals(readBars(PAGE), [
    { title: "a & b", ratios: [1.5, null] },
    { title: "c", ratios: [0.5, 0.25] },
  ]);
  const svg = chartOf(PAGE);
  assertEquals(svg, chartOf(PAGE));
  assertEquals(svg.match(/<rect [^>]*height="11"/g)!.length, 3);
  assertStringIncludes(svg, ">a &amp; b</text>");
  assertStringIncludes(svg, ">1.50</text>");
  assertThrows(() => readBars("no table"), TypeError, "ratios to C");
});

test("docs/images/bench.svg is the chart of bench/RESULTS.md", () => {
  const read = (path: string): string => readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");
  assertEquals(
    read("docs/images/bench.svg"),
    chartOf(read("bench/RESULTS.md")),
    "run deno task bench --chart",
  );
});

test("the command line is explained, and a wrong one ends with 2 before anything is built", async () => {
  const root = fileURLToPath(new URL("../../", import.meta.url));
  const bench = (...args: string[]) =>
    run(Deno.execPath(), ["run", "-A", "bench/main.ts", ...args], { cwd: root, timeoutMs: 30_000 });
  const help = await bench("--help");
  assertEquals(help.code, 0);
  assertStringIncludes(help.stdout, "--save");
  for (const wrong of [["nonsense"], ["--rounds", "0"], ["--ms", "soon"], ["--bogus"]]) {
    const { code, stderr } = await bench(...wrong);
    assertEquals([wrong, code], [wrong, 2]);
    assert(stderr.trim().length > 0);
  }
});

test("every bench has a task and a help text, and refuses unknown arguments", async () => {
  const root = fileURLToPath(new URL("../../", import.meta.url));
  const names = readdirSync(`${root}bench`).filter((name) => name.endsWith(".ts"));
  const benches = names.filter((name) =>
    /^ \* `deno task bench/m.test(readFileSync(`${root}bench/${name}`, "utf8"))
  );
  const tasks = Object.entries(denoJson.tasks).filter(([name]) => /^bench(:|$)/.test(name));
  const files = tasks.map(([, { command }]) => /bench\/(\S+)$/.exec(command)![1]);
  assertEquals(files.sort(), benches.sort());
  const readme = readFileSync(`${root}bench/README.md`, "utf8");
  for (const [task, { command }] of tasks) {
    assertStringIncludes(readme, `\`deno task ${task}\``);
    const args = command.split(" ").slice(1);
    const bench = (...more: string[]) => run(Deno.execPath(), [...args, ...more], { cwd: root });
    const help = await bench("--help");
    assertEquals([task, help.code, help.stdout.includes(`Usage: deno task ${task} `)], [task, 0, true]);
    assertEquals([task, (await bench("--bogus")).code], [task, 2]);
  }
});
