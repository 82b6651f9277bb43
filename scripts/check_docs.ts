/**
 * Type-checks every TypeScript example of the documentation, in docstrings of the library and in Markdown, as a
 * program of its own that imports the package by its name, and runs those that need no peer.
 *
 * `deno check --doc` is not enough: it adds the exports of the documented file to each example, so that an example
 * whose reader could not import a name passes.
 *
 * @module
 */

import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { checkAdvice } from "./check_advice.ts";
import { checkPages } from "./check_pages.ts";
import { listFiles } from "./files.ts";
import { GUESTS, matches, OUTSIDE } from "./import_rules.ts";
import { run } from "./process.ts";
import { ROOT } from "./root.ts";
import type { Violation } from "./source_rules.ts";
import { cleanUpWhenInterrupted, temporaryFolder } from "./temporary.ts";

const HELP = `Usage: deno run -A scripts/check_docs.ts [--root FOLDER]

Type-checks the code blocks marked "ts" in the library's docstrings and in Markdown, each by itself: an example
imports what it uses from an entry point of deno.json. Examples that import none of the functions that need a peer
or a file (NEEDS_MORE in this script) are run without any permission; what they print must be what their comments
"// => ..." say. Checks also that the names, links and files in messages and pages exist, and that indexes are complete. Exit code 1 where
anything fails.`;

/** Functions and packages that need a peer, an account or a file: examples that import one are checked and not run. */
export const NEEDS_MORE: readonly string[] = [
  "connect",
  "httpSignOn",
  "ipsecPolicy",
  "listen",
  "loadProvider",
  "openAcceptor",
  "openDatagrams",
  "openInitiator",
  "pg",
  "saslClient",
  "saslServer",
  "secure",
];

/** One code block. */
export interface Example {
  /** The file it is in, as a path from the root. */
  file: string;
  /** The line of its first line of code, counted from 1. */
  line: number;
  /** Its code. */
  code: string;
}

/** The code blocks of `text` that are marked `ts`; those of a TypeScript file stand in its docstrings. */
export function examplesOf(file: string, text: string): Example[] {
  const examples: Example[] = [];
  let open: { line: number; lines: string[]; language: string; indent: string } | null = null;
  text.split(/\r?\n/).forEach((whole, at) => {
    const inside = file.endsWith(".md") ? whole : /^\s*\* ?(.*)$/.exec(whole)?.[1];
    if (inside === undefined) {
      open = null;
      return;
    }
    const fence = /^(\s*)```\s*(\w*)/.exec(inside);
    if (open === null) {
      if (fence) open = { line: at + 2, lines: [], language: fence[2], indent: fence[1] };
    } else if (fence) {
      const { line, lines, language } = open;
      if (/^(ts|typescript)$/.test(language)) examples.push({ file, line, code: lines.join("\n") });
      open = null;
    } else open.lines.push(inside.startsWith(open.indent) ? inside.slice(open.indent.length) : inside);
  });
  return examples;
}

/** Whether an example is run: it imports nothing that needs more than this process. */
export function isRun({ code }: Example): boolean {
  const imported = [...code.matchAll(/import\s*(?:\{([^}]*)\}|(\w+) from)/g)].flatMap(([, names, name]) =>
    names?.match(/\w+/g) ?? [name]
  );
  return !imported.some((name) => NEEDS_MORE.includes(name));
}

/** The examples, and what is wrong with them, of the repository at `root`, a folder that ends with a separator. */
export async function checkDocs(root: string): Promise<{ examples: Example[]; found: Violation[] }> {
  const files = await listFiles(root, (folder) => folder !== "npm/");
  const documented = files.filter((path) => path.endsWith(".md") || path.endsWith(".ts") && isLibrary(path));
  const examples: Example[] = [];
  for (const file of documented) examples.push(...examplesOf(file, await Deno.readTextFile(root + file)));
  if (examples.length === 0) return { examples, found: [] };
  await using temporary = await temporaryFolder("docs");
  const folder = temporary.path;
  const config = await writeConfig(root, folder);
  for (const example of examples) await writeExample(folder, example);
  const found = await checkTypes(config, folder, examples);
  if (found.length === 0) {
    for (const example of examples.filter(isRun)) found.push(...await runExample(config, folder, example));
  }
  return { examples, found };
}

function isLibrary(path: string): boolean {
  return !matches(path, [...OUTSIDE, ...GUESTS]);
}

/** Has the package's name stand for the entry points of its sources, beside the packages that deno.json names. */
async function writeConfig(root: string, folder: string): Promise<string> {
  const { name, exports, compilerOptions, imports: packages = {} } = JSON.parse(
    await Deno.readTextFile(`${root}deno.json`),
  );
  const imports = [
    ...Object.entries(packages as Record<string, string>).filter(([, target]) => target.startsWith("npm:")),
    ...Object.entries(exports as Record<string, string>).map(([entry, path]) =>
      [entry.replace(".", name), new URL(path, pathToFileURL(root)).href] as const
    ),
  ];
  const config = join(folder, "deno.json");
  // An example may make a thing for its reader to use.
  const options = { ...compilerOptions, noUnusedLocals: false };
  await Deno.writeTextFile(
    config,
    JSON.stringify({ imports: Object.fromEntries(imports), compilerOptions: options }),
  );
  return config;
}

function pathOf(folder: string, { file, line }: Example): string {
  return join(folder, "examples", `${file}.${line}.ts`);
}

/** Writes an example so that its lines have the numbers they have in its file. */
async function writeExample(folder: string, example: Example): Promise<void> {
  const path = pathOf(folder, example);
  await Deno.mkdir(dirname(path), { recursive: true });
  await Deno.writeTextFile(path, `${"\n".repeat(example.line - 1)}${example.code}\nexport {};\n`);
}

async function checkTypes(
  config: string,
  folder: string,
  examples: readonly Example[],
): Promise<Violation[]> {
  const paths = examples.map((example) => pathOf(folder, example));
  const args = ["check", "--quiet", "--no-lock", "--config", config, ...paths];
  const { code, stdout, stderr } = await run(Deno.execPath(), args, { cwd: folder, env: { NO_COLOR: "1" } });
  if (code === 0) return [];
  const found = readErrors(stderr, examples);
  if (found.length > 0) return found;
  throw new Error(`Cannot check the examples: deno check ended with ${code}\n${stdout}${stderr}`);
}

/** The errors of `deno check`, each at its place in the documentation. */
function readErrors(output: string, examples: readonly Example[]): Violation[] {
  const found: Violation[] = [];
  for (const block of output.split(/\n\s*\n/)) {
    const example = examples.find(({ file, line }) => block.includes(`${file}.${line}.ts`));
    if (!example) continue;
    const [, line] = /\.ts:(\d+):\d+/.exec(block) ?? [];
    const message = block.trim().split("\n")[0].replace(/^error: /, "");
    found.push({ file: example.file, line: Number(line ?? example.line), message });
  }
  return found;
}

async function runExample(config: string, folder: string, example: Example): Promise<Violation[]> {
  const { file, line, code: text } = example;
  // One flag of permissions, whichever: without any, node:child_process of Deno starts a Deno with all of them.
  const args = [
    "run",
    "--deny-run",
    "--quiet",
    "--no-prompt",
    "--no-check",
    "--no-remote",
    "--no-npm",
    "--no-lock",
  ];
  const { code, stdout, stderr } = await run(
    Deno.execPath(),
    [...args, "--config", config, pathOf(folder, example)],
    { cwd: folder, env: { NO_COLOR: "1" }, timeoutMs: 60_000 },
  );
  if (code !== 0) return [{ file, line, message: `The example fails: ${stderr.trim().split("\n")[0]}` }];
  const expected = [...text.matchAll(/\/\/ => (.*)/g)].map(([, value]) => value.replace(/\s/g, ""));
  const printed = stdout.trim().split("\n").map((value) => value.replace(/\s/g, ""));
  if (expected.length === 0 || expected.join("\n") === printed.join("\n")) return [];
  return [{ file, line, message: `The example prints ${stdout.trim()}, not what its comments say` }];
}

async function main(args: string[]): Promise<number> {
  if (args.includes("--help")) {
    console.log(HELP);
    return 0;
  }
  const given = args[0] === "--root" ? args[1] : null;
  const root = given ? join(await Deno.realPath(given), "/") : ROOT;
  const { examples, found } = await checkDocs(root);
  found.push(...await checkAdvice(root), ...await checkPages(root));
  for (const { file, line, message } of found) console.error(`${file}:${line}: ${message}`);
  const ran = examples.filter(isRun).length;
  console.log(`Documentation: ${examples.length} examples, ${ran} of them run; ${found.length} errors`);
  return found.length === 0 ? 0 : 1;
}

if (import.meta.main) {
  cleanUpWhenInterrupted();
  Deno.exit(await main(Deno.args));
}
