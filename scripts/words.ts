/**
 * Words that the repository does not use: phrases that readers cannot search for or have to read twice, and the
 * project's own names for things that have a standard one. `docs/glossary.md` fixes the words to use.
 *
 * @module
 */

import { join } from "node:path";
import ts from "typescript";
import { listFiles } from "./files.ts";
import { matches, OUTSIDE } from "./import_rules.ts";
import { ROOT } from "./root.ts";
import type { Violation } from "./source_rules.ts";

const HELP = `Usage: deno run -A scripts/words.ts [--root FOLDER]

Prints every use of a phrase of the list in scripts/words.ts, as file:line, with what to write instead.
Reads the library's sources, the examples, every Markdown file, and the strings of the tests (their names are among
them). Inline code in Markdown is not read, nor are ADRs 1 to 96, which are history. Exit code 1 where it found one.`;

/** A phrase, and what to write instead. */
export interface Phrase {
  /** The phrase as a regular expression; a space stands for any white space, a line break in a comment included. */
  pattern: string;
  /** What to write instead. */
  instead: string;
}

/** The phrases that fail the check, whatever their case. */
export const PHRASES: readonly Phrase[] = [
  { pattern: "(to|can|cannot|could) be had", instead: "available, or unavailable" },
  { pattern: "tells|(tell|told) of", instead: "reports, returns or passes" },
  { pattern: "(nobody|somebody|anybody) who|whoever", instead: "who it is: the caller, the peer" },
  { pattern: "all the same", instead: "still, or anyway" },
  { pattern: "(hold|holds|held)( it| them)? against", instead: "compare with, or check" },
  { pattern: "(let|lets|letting) go( of)?", instead: "release, or close" },
  { pattern: "(?<!there )(is|are) no(?= (?!longer|more|less|fewer)[a-z])", instead: "is not a, or invalid" },
  { pattern: "out of turn", instead: "in the wrong state" },
  { pattern: "what (came|comes) of (it|this|that)", instead: "the result" },
  { pattern: "of (ours|our own|one's own)", instead: "of this library, or your own" },
  { pattern: "the insides", instead: "the internals" },
  { pattern: "mend(s|ed)?", instead: "fix" },
  { pattern: "patience", instead: "idle time" },
  { pattern: "places", instead: "slots, or locations" },
  { pattern: "gate", instead: "semaphore" },
];

/** ADRs that stay as they were written. */
const LAST_HISTORIC_ADR = 96;

/** What breaks a line of prose: the white space, and what begins a line of a comment or a quotation. */
const BREAK = "(?:[ \\t]+|[ \\t]*\\r?\\n[ \\t]*(?:\\*[ \\t]|//[ \\t]|>[ \\t])?[ \\t]*)";

const RULES = PHRASES.map(({ pattern, instead }) => ({
  regExp: new RegExp(`(?<![\\w-])(?:${pattern.replaceAll(" ", BREAK)})(?![\\w-])`, "gi"),
  instead,
}));

/** Every phrase of the list in `text`; `file` is its path from the root. */
export function checkWords(file: string, text: string): Violation[] {
  const found: Violation[] = [];
  for (const { regExp, instead } of RULES) {
    for (const { 0: phrase, index } of text.matchAll(regExp)) {
      const line = text.slice(0, index).split("\n").length;
      found.push({ file, line, message: `"${phrase.replace(/[\s*/>]+/g, " ")}": write ${instead}` });
    }
  }
  return found.sort((a, b) => a.line - b.line);
}

/** The parts of a file that are read, at their own lines and columns; everything else is blank. */
export function readable(file: string, text: string): string {
  if (file.endsWith(".md")) return withoutCode(text);
  return matches(file, ["tests/**"]) ? stringsOf(text) : text;
}

function blank(text: string): string {
  return text.replace(/[^\n]/g, " ");
}

/** Markdown without its inline code. Blocks of code stay: their comments are prose. */
function withoutCode(text: string): string {
  return text.replace(/^ *```[^]*?^ *```|`[^`\n]+`/gm, (code) => /^ *```/.test(code) ? code : blank(code));
}

/** The strings of a test file: its tests' names, and the messages it expects. */
function stringsOf(text: string): string {
  const tree = ts.createSourceFile("a.ts", text, ts.ScriptTarget.Latest, false, ts.ScriptKind.TS);
  let kept = blank(text);
  const visit = (node: ts.Node): void => {
    const isText = ts.isStringLiteralLike(node) || ts.isTemplateHead(node) ||
      ts.isTemplateMiddleOrTemplateTail(node);
    if (isText) {
      const start = node.getStart(tree);
      kept = kept.slice(0, start) + text.slice(start, node.end) + kept.slice(node.end);
    }
    ts.forEachChild(node, visit);
  };
  visit(tree);
  return kept;
}

/** Whether the file at `path` is read. */
export function isRead(path: string): boolean {
  const adr = /^docs\/adr\/(\d+)-/.exec(path);
  if (adr !== null) return Number(adr[1]) > LAST_HISTORIC_ADR;
  if (path.endsWith(".md")) return true;
  if (!path.endsWith(".ts")) return false;
  return matches(path, ["tests/**", "examples/**", "plugins/sdk/template/**"]) || !matches(path, OUTSIDE);
}

/** Every phrase of the list in the repository at `root`, a folder that ends with a separator. */
export async function checkAllWords(root: string): Promise<Violation[]> {
  const found: Violation[] = [];
  for (const file of (await listFiles(root, (folder) => folder !== "npm/")).filter(isRead)) {
    found.push(...checkWords(file, readable(file, await Deno.readTextFile(root + file))));
  }
  return found;
}

async function main(args: string[]): Promise<number> {
  if (args.includes("--help")) {
    console.log(HELP);
    return 0;
  }
  const given = args[0] === "--root" ? args[1] : null;
  const found = await checkAllWords(given ? join(await Deno.realPath(given), "/") : ROOT);
  for (const { file, line, message } of found) console.log(`${file}:${line}: ${message}`);
  console.log(
    found.length === 0 ? "Words: none of the list is used" : `${found.length} uses of a phrase of the list`,
  );
  return found.length === 0 ? 0 : 1;
}

if (import.meta.main) Deno.exit(await main(Deno.args));
