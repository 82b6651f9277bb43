/**
 * Whether what messages and documents name exists: the function, option or flag that an error advises, the call that
 * a page shows, the file that a page links to or that a comment names.
 *
 * @module
 */

import { dirname, join } from "node:path/posix";
import ts from "typescript";
import { listFiles } from "./files.ts";
import { GUESTS, matches, OUTSIDE } from "./import_rules.ts";
import { mustRun } from "./process.ts";
import type { Violation } from "./source_rules.ts";

/** Names that messages and documents may use although no entry point exports them, with where they are from. */
export const FOREIGN: Readonly<Record<string, string>> = {
  "--allow-addons": "Node's permission model",
  "--allow-env": "Deno",
  "--allow-ffi": "Deno",
  "--allow-fs-read": "Node's permission model",
  "--allow-net": "Deno",
  "--allow-read": "Deno",
  "--filter": "deno test",
  "--help": "this repository's programs",
  "--include": "npm install",
  "--no-install": "deno task test",
  "--negotiate": "curl",
  "--no-test": "deno task ok",
  "--user": "systemctl and journalctl",
  "--version": "the command line",
  "--permission": "Node's permission model",
  "--simulate": "the examples",
  createServer: "node:http",
  exit: "the runtimes, process.exit and Deno.exit",
  macOS: "the operating system",
  terminate: "the runtimes, Worker.terminate",
  warn: "the console, console.warn",
  toWeb: "node:stream, Duplex.toWeb",
};

/** Pages about modules in WebAssembly, whose functions are the module's own, and about other packages. */
const OTHER_NAMES: readonly string[] = [
  "plugins/sandbox/abi.md",
  "docs/adr/**",
  "docs/porting.md",
  "bench/**",
];

/** Files whose texts are programs in other languages. */
const OTHER_PROGRAMS: readonly string[] = ["cli/completions.ts", "http/proxy/pac_functions.ts"];

/** ADRs keep the paths of their day. */
const HISTORY: readonly string[] = ["docs/adr/0*.md"];

const NOWHERE = ", which no entry point exports";

/** Names in camel case, calls and flags; not the keys of a JSON text. */
const NAMES = /(?<!["\w])[a-z]+[A-Z]\w*|\b[A-Za-z]\w*(?=\()|(?<![\w-])--[a-z][\w-]*/g;

/** Every name in messages, comments and pages of the repository at `root` that does not exist. */
export async function checkAdvice(root: string): Promise<Violation[]> {
  const files = await listFiles(root, (folder) => folder !== "npm/");
  const names = await publicNames(root, files);
  const found: Violation[] = [];
  const pages = new Map<string, string>();
  for (const page of files.filter((file) => file.endsWith(".md"))) {
    pages.set(page, await Deno.readTextFile(root + page));
  }
  for (const file of files) {
    const isChecked = matches(file, GUESTS) || !matches(file, [...OUTSIDE, ...OTHER_PROGRAMS]);
    if (file.endsWith(".ts") && isChecked) {
      found.push(...adviceIn(file, await Deno.readTextFile(root + file), names));
    }
    if (!/\.(ts|md)$/.test(file)) continue;
    const text = await Deno.readTextFile(root + file);
    if (!matches(file, HISTORY)) found.push(...pathsIn(file, text, files));
    if (!file.endsWith(".md")) continue;
    if (!matches(file, OTHER_NAMES)) found.push(...callsIn(file, text, names));
    found.push(...linksIn(file, text, files), ...sectionLinksIn(file, text, pages));
  }
  return found;
}

/**
 * What an application can name: exports and their members, the SDK's functions, the options of the command line, and
 * what stands in `FOREIGN`.
 */
async function publicNames(root: string, files: readonly string[]): Promise<Set<string>> {
  const { exports } = JSON.parse(await Deno.readTextFile(`${root}deno.json`));
  const args = ["doc", "--json", ...Object.values(exports as Record<string, string>)];
  const { stdout } = await mustRun(Deno.execPath(), args, { cwd: root, env: { NO_COLOR: "1" } });
  const names = new Set(Object.keys(FOREIGN));
  for (const [, name] of stdout.matchAll(/"name":\s*"([\w$]+)"/g)) names.add(name);
  for (const file of files.filter((file) => matches(file, ["plugins/sdk/assembly/**"]))) {
    const text = await Deno.readTextFile(root + file);
    for (const [, name] of text.matchAll(/^\s*(?:export )?(?:function|abstract|class)?\s*(\w+)\(/gm)) {
      names.add(name);
    }
  }
  for (const file of files.filter((file) => matches(file, ["cli/**"]))) {
    const text = await Deno.readTextFile(root + file);
    for (const [, name] of text.matchAll(/^\s*"?([a-z][\w-]*)"?: (?:\{\s*type: "|JSON_OPTION\b)/gm)) {
      names.add(`--${name}`);
    }
  }
  return names;
}

/** The names in the messages of a source file that no entry point exports. */
export function adviceIn(file: string, text: string, names: ReadonlySet<string>): Violation[] {
  const tree = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, false, ts.ScriptKind.TS);
  const found: Violation[] = [];
  const visit = (node: ts.Node): void => {
    const isText = ts.isStringLiteralLike(node) || ts.isTemplateHead(node) ||
      ts.isTemplateMiddleOrTemplateTail(node);
    if (isText && node.text.includes(" ")) {
      const line = tree.getLineAndCharacterOfPosition(node.getStart(tree)).line + 1;
      for (const [name] of node.text.matchAll(NAMES)) {
        if (!names.has(name)) found.push({ file, line, message: `a message names ${name}${NOWHERE}` });
      }
    }
    ts.forEachChild(node, visit);
  };
  visit(tree);
  return found;
}

/** The calls that the inline code of a page shows. */
export function callsIn(file: string, text: string, names: ReadonlySet<string>): Violation[] {
  const found: Violation[] = [];
  prose(text).forEach((line, at) => {
    for (const [, code] of line.matchAll(/`([^`]+)`/g)) {
      for (const [name] of code.matchAll(/\b[a-zA-Z]\w*(?=\()|^--[a-z][\w-]*/g)) {
        if (!names.has(name)) {
          found.push({ file, line: at + 1, message: `the page shows ${name}${NOWHERE}` });
        }
      }
    }
  });
  return found;
}

/** The links of a page that lead to no file of the repository. */
export function linksIn(file: string, text: string, files: readonly string[]): Violation[] {
  const found: Violation[] = [];
  prose(text).forEach((line, at) => {
    for (const [, target] of line.matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^(https?:|#)/.test(target)) continue;
      const path = join(dirname(file), target.replace(/#.*/, "")).replace(/\/$/, "");
      if (exists(path, files)) continue;
      found.push({ file, line: at + 1, message: `the link leads to ${path}, which does not exist` });
    }
  });
  return found;
}

/** The links of a page to a section, its own or another page's, that does not exist; `pages` are their texts. */
export function sectionLinksIn(file: string, text: string, pages: ReadonlyMap<string, string>): Violation[] {
  const found: Violation[] = [];
  prose(text).forEach((line, at) => {
    for (const [, target, section] of line.matchAll(/\]\(((?!https?:)[^)\s#]*)#([^)\s]+)\)/g)) {
      const path = target === "" ? file : join(dirname(file), target);
      const page = target === "" ? text : pages.get(path);
      if (page === undefined || sectionsOf(page).has(section)) continue;
      found.push({
        file,
        line: at + 1,
        message: `the link leads to #${section}, which ${path} does not have`,
      });
    }
  });
  return found;
}

/** The names by which links reach the sections of a page, as GitHub makes them from the headings. */
function sectionsOf(page: string): Set<string> {
  const names = new Set<string>();
  for (const line of prose(page)) {
    const heading = /^#{1,6} +(.*?)(?: +#+)? *$/.exec(line)?.[1];
    if (heading === undefined) continue;
    const shown = heading.replace(/\[([^\]]*)\]\([^)]*\)/g, "$1").toLowerCase();
    const name = shown.replace(/[^\p{L}\p{N}\p{M}_ -]/gu, "").replaceAll(" ", "-");
    let unique = name;
    for (let count = 1; names.has(unique); count++) unique = `${name}-${count}`;
    names.add(unique);
  }
  return names;
}

/** The files that a page or a comment names in inline code and that do not exist. */
export function pathsIn(file: string, text: string, files: readonly string[]): Violation[] {
  const found: Violation[] = [];
  text.split("\n").forEach((line, at) => {
    if (file.endsWith(".ts") && !/^\s*(?:\/\/|\/?\*)/.test(line)) return;
    for (const [, path] of line.matchAll(/`((?:\w+\/)+[\w.-]+\.(?:ts|md|json|wat))`/g)) {
      const top = path.slice(0, path.indexOf("/") + 1);
      // A path that begins with no folder of the root is one below a folder that the text speaks about.
      const known = files.some((file) => file.startsWith(top))
        ? exists(path, files)
        : files.some((file) => file.endsWith(`/${path}`));
      if (!known) found.push({ file, line: at + 1, message: `${path} is named, and does not exist` });
    }
  });
  return found;
}

function exists(path: string, files: readonly string[]): boolean {
  return files.some((known) => known === path || known.startsWith(`${path}/`));
}

/** The lines of a page; those of its code blocks are empty. */
function prose(text: string): string[] {
  return text.replace(/^ *```[^]*?^ *```/gm, (block) => block.replace(/[^\n]/g, "")).split("\n");
}
