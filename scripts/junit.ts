/**
 * Reads the JUnit reports of `deno test` and of `node --test`.
 *
 * @module
 */

/** What a run of tests came to. */
export interface Tally {
  /** How many tests passed. */
  passed: number;
  /** The names of those that did not. */
  failed: string[];
  /** The names of those that could not run here. */
  skipped: string[];
}

// Node leaves ">" in attributes as it is, so a tag's end is not simply the next one.
const CASE = /<testcase((?:\s+[\w:-]+="[^"]*")*)\s*(?:\/>|>([\s\S]*?)<\/testcase>)/g;
const ENTITIES: Record<string, string> = { lt: "<", gt: ">", quot: '"', apos: "'", amp: "&" };

/** Counts the test cases of a report; the steps of a test are not counted beside it. */
export function readJUnit(xml: string): Tally {
  const tally: Tally = { passed: 0, failed: [], skipped: [] };
  let parent: string | null = null;
  for (const [, attributes, body = ""] of xml.matchAll(CASE)) {
    const name = unescape(/\sname="([^"]*)"/.exec(attributes)?.[1] ?? "");
    // Deno writes the steps of a test behind it, as `test > step`.
    if (parent !== null && name.startsWith(`${parent} > `)) continue;
    parent = name;
    if (/<(failure|error)[\s>/]/.test(body)) tally.failed.push(name);
    else if (/<skipped[\s>/]/.test(body)) tally.skipped.push(name);
    else tally.passed++;
  }
  return tally;
}

function unescape(text: string): string {
  return text.replace(/&(#x?)?(\w+);/g, (whole, number, word) => {
    if (number === "#") return String.fromCodePoint(Number(word));
    if (number === "#x") return String.fromCodePoint(parseInt(word, 16));
    return ENTITIES[word] ?? whole;
  });
}

/** The reason that `test()` of tests/support/runner.ts printed for a skipped test, or null. */
export function skipReason(name: string, output: string): string | null {
  const start = `SKIP ${name}: `;
  const line = output.split("\n").find((line) => line.startsWith(start));
  return line?.slice(start.length) ?? null;
}

/** The two lists and the closing line every test task ends with; `output` is what the tests printed. */
export function closing(tally: Tally, output: string): string {
  const lines: string[] = [];
  if (tally.skipped.length > 0) lines.push("", "Skipped:");
  for (const name of tally.skipped) {
    lines.push(`  ${name}: ${skipReason(name, output) ?? "no reason was given"}`);
  }
  if (tally.failed.length > 0) lines.push("", "Failed:", ...tally.failed.map((name) => `  ${name}`));
  const counts = `${tally.passed} passed, ${tally.failed.length} failed, ${tally.skipped.length} skipped`;
  return [...lines, "", counts].join("\n");
}
