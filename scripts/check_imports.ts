/**
 * Enforces the import rules of `scripts/import_rules.ts` on the module graph that Deno reports, the rules
 * of `scripts/source_rules.ts` over each file of the library, and that importing an entry point touches nothing.
 *
 * @module
 */

import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { listFiles } from "./files.ts";
import { GUESTS, type Layer, LAYERS, matches, OUTSIDE } from "./import_rules.ts";
import { mustRun, run } from "./process.ts";
import { ROOT } from "./root.ts";
import { checkSource, type Violation } from "./source_rules.ts";
import { cleanUpWhenInterrupted, temporaryFolder } from "./temporary.ts";

const HELP = `Usage: deno run -A scripts/check_imports.ts [--root FOLDER]

Checks which file imports which, what a library file must not contain, and that importing an entry point asks for no
permission and downloads nothing. The rules are data: scripts/import_rules.ts. Exit code 1 where one is broken.`;

/** The part of `deno info --json` that is read. */
interface Graph {
  modules: {
    specifier: string;
    error?: string;
    dependencies?: { specifier: string; code?: Reference; type?: Reference }[];
  }[];
}

interface Reference {
  specifier?: string;
  span?: { start: { line: number } };
}

/** Every rule broken in the repository at `root`, a folder that ends with a separator. */
export async function checkImports(root: string): Promise<Violation[]> {
  const files = await libraryFiles(root);
  const found: Violation[] = [];
  for (const file of files) found.push(...checkSource(file, await Deno.readTextFile(root + file)));
  found.push(...checkGraph(root, files, await graphOf(root, files)));
  for (const entry of await entryPoints(root)) found.push(...await checkQuiet(root, entry));
  return found;
}

/** The library's own TypeScript, as paths from the root. */
async function libraryFiles(root: string): Promise<string[]> {
  const files = await listFiles(root, (folder) => !matches(folder, OUTSIDE));
  return files.filter((path) => path.endsWith(".ts") && !matches(path, [...OUTSIDE, ...GUESTS]));
}

async function graphOf(root: string, files: readonly string[]): Promise<Graph> {
  // deno info takes one file: one that imports all.
  await using folder = await temporaryFolder("imports");
  const all = `${folder.path}/all.ts`;
  const url = (file: string): string => JSON.stringify(new URL(file, pathToFileURL(root)).href);
  await Deno.writeTextFile(all, files.map((file) => `import ${url(file)};`).join("\n"));
  // Its URL: deno info reads the drive of a Windows path as a URL's scheme.
  const address = pathToFileURL(all).href;
  const args = ["info", "--json", "--no-remote", "--no-npm", "--no-lock", address];
  const { stdout } = await mustRun(Deno.execPath(), args, { cwd: root });
  const modules = (JSON.parse(stdout) as Graph).modules.filter(({ specifier }) => specifier !== address);
  const told = new Set(modules.map(({ specifier }) => specifier));
  const missing = files.filter((file) => !told.has(new URL(file, pathToFileURL(root)).href));
  if (missing.length > 0) throw new Error(`deno info says nothing of ${missing.join(", ")}`);
  return { modules };
}

function checkGraph(root: string, files: readonly string[], graph: Graph): Violation[] {
  const found: Violation[] = [];
  const prefix = pathToFileURL(root).href;
  for (const file of files) {
    if (!layerOf(file)) {
      found.push({ file, line: 1, message: "in no layer: name it in scripts/import_rules.ts" });
    }
  }
  for (const module of graph.modules) {
    if (!module.specifier.startsWith(prefix)) continue;
    const file = module.specifier.slice(prefix.length);
    if (module.error) found.push({ file, line: 1, message: module.error });
    for (const dependency of module.dependencies ?? []) {
      const reference = dependency.code ?? dependency.type;
      if (!reference?.specifier?.startsWith(prefix)) continue;
      const message = refusal(file, reference.specifier.slice(prefix.length));
      const line = (reference.span?.start.line ?? 0) + 1;
      if (message !== null) found.push({ file, line, message });
    }
  }
  return found;
}

/** Why `file` may not import `target` (paths from the root), or null where it may. */
export function refusal(file: string, target: string): string | null {
  const from = layerOf(file);
  if (!from) return null;
  const to = layerOf(target);
  if (!to) return `imports ${target}, which is not part of the library`;
  if (from === to && from.foldersApart && folderOf(file) !== folderOf(target)) {
    return `imports ${target}: the folders of ${from.name} do not know each other`;
  }
  if (from === to && from.foldersApart || from.mayImport.includes(to.name)) return null;
  return `imports ${target}: ${from.name} may import only ${
    from.mayImport.join(", ") || "nothing"
  }, not ${to.name}`;
}

function layerOf(file: string): Layer | undefined {
  return LAYERS.find((layer) => matches(file, layer.files));
}

function folderOf(file: string): string {
  return file.slice(0, file.lastIndexOf("/")).split("/").slice(0, file.startsWith("plugins/") ? 2 : 1).join(
    "/",
  );
}

async function entryPoints(root: string): Promise<string[]> {
  const { exports } = JSON.parse(await Deno.readTextFile(`${root}deno.json`));
  const files = Object.values(exports as Record<string, string>);
  // The command line is a program, which importing starts.
  return files.map((path) => path.replace("./", "")).filter((path) => path !== "cli.ts");
}

/** Imports `entry` in a process without any permission, with nothing cached, and reads what it asked for. */
async function checkQuiet(root: string, entry: string): Promise<Violation[]> {
  const violation = (message: string): Violation[] => [{ file: entry, line: 1, message }];
  const exists = await Deno.stat(root + entry).then(() => true, () => false);
  if (!exists) return violation("is an entry point in deno.json, but there is no such file");
  await using folder = await temporaryFolder("imports");
  const audit = `${folder.path}/audit.jsonl`;
  // One flag of permissions, whichever: without any, node:child_process of Deno starts a Deno with all of them.
  const args = [
    "run",
    "--deny-run",
    "--no-prompt",
    "--no-remote",
    "--no-npm",
    "--no-lock",
    "--no-check",
    entry,
  ];
  const { code, stdout, stderr } = await run(Deno.execPath(), args, {
    cwd: root,
    env: { DENO_DIR: `${folder.path}/cache`, DENO_AUDIT_PERMISSIONS: audit, NO_COLOR: "1" },
    timeoutMs: 60_000,
  });
  if (code !== 0) {
    return violation(`cannot be imported without permissions: ${stderr.trim().split("\n")[0]}`);
  }
  if (stdout !== "") return violation(`says something when imported: ${stdout.trim()}`);
  const asked = await Deno.readTextFile(audit).catch(() => "");
  return asked.trim().split("\n").filter(Boolean).flatMap((line) => {
    const { permission, value } = JSON.parse(line);
    return violation(`asks for the permission ${permission} (${value ?? "all"}) when imported`);
  });
}

async function main(args: string[]): Promise<number> {
  if (args.includes("--help")) {
    console.log(HELP);
    return 0;
  }
  const given = args[0] === "--root" ? args[1] : null;
  const root = given ? join(await Deno.realPath(given), "/") : ROOT;
  const found = await checkImports(root);
  for (const { file, line, message } of found) console.error(`${file}:${line}: ${message}`);
  const files = (await libraryFiles(root)).length;
  console.log(found.length === 0 ? `Import rules: ${files} files, none broken` : `${found.length} broken`);
  return found.length === 0 ? 0 : 1;
}

if (import.meta.main) {
  cleanUpWhenInterrupted();
  Deno.exit(await main(Deno.args));
}
