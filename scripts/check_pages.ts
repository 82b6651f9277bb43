/**
 * Whether pages that list what the repository has list all of it, and nothing else: the table of folders in
 * CONTRIBUTING.md, and the indexes of the ADRs and of the design pages.
 *
 * @module
 */

import { listFiles } from "./files.ts";
import type { Violation } from "./source_rules.ts";

/** The page with the table of folders. */
const CONTRIBUTING = "CONTRIBUTING.md";

/** The folders that the table lists: these two levels. What is below is its row's. */
const DEPTH = 2;

/** The indexes, and the pages that each must link. */
const INDEXES: Readonly<Record<string, RegExp>> = {
  "docs/adr/README.md": /^docs\/adr\/(\d{4}-.*\.md)$/,
  "docs/design/README.md": /^docs\/design\/((?!README).*\.md)$/,
};

/** What is missing from these pages, or too much, in the repository at `root`. */
export async function checkPages(root: string): Promise<Violation[]> {
  const files = await listFiles(root, (folder) => folder !== "npm/");
  const found: Violation[] = [];
  if (files.includes(CONTRIBUTING)) {
    found.push(...checkFolders(await Deno.readTextFile(root + CONTRIBUTING), files));
  }
  for (const [index, pages] of Object.entries(INDEXES)) {
    if (files.includes(index)) {
      found.push(...checkIndex(index, await Deno.readTextFile(root + index), pages, files));
    }
  }
  for (const page of files.filter((file) => INDEXES["docs/design/README.md"].test(file))) {
    found.push(...await checkBackLinks(root, page));
  }
  return found;
}

/** Compares the table's first column, folders in code marks with a slash at their ends, with the folders of `files`. */
export function checkFolders(text: string, files: readonly string[]): Violation[] {
  const folders = new Set<string>();
  for (const file of files) {
    const parts = file.split("/").slice(0, -1).slice(0, DEPTH);
    parts.forEach((_, at) => folders.add(`${parts.slice(0, at + 1).join("/")}/`));
  }
  const found: Violation[] = [];
  const listed = new Set<string>();
  text.split("\n").forEach((line, at) => {
    const folder = /^\| *`([\w./-]+\/)` *\|/.exec(line)?.[1];
    if (folder === undefined) return;
    if (listed.has(folder)) found.push(wrong(CONTRIBUTING, at + 1, `${folder} is listed twice`));
    else if (!folders.has(folder)) found.push(wrong(CONTRIBUTING, at + 1, `there is no folder ${folder}`));
    listed.add(folder);
  });
  for (const folder of folders) {
    if (!listed.has(folder)) found.push(wrong(CONTRIBUTING, 1, `the table of folders lacks ${folder}`));
  }
  return found;
}

/** Compares the links of an index with the pages that exist. */
export function checkIndex(
  index: string,
  text: string,
  pages: RegExp,
  files: readonly string[],
): Violation[] {
  return files.flatMap((file) => {
    const name = pages.exec(file)?.[1];
    return name === undefined || text.includes(`](${name})`)
      ? []
      : [wrong(index, 1, `it lacks a link to ${name}`)];
  });
}

/** Each ADR whose rule a design page replaces begins with a link to that page. */
async function checkBackLinks(root: string, page: string): Promise<Violation[]> {
  const text = await Deno.readTextFile(root + page);
  const name = page.replace("docs/design/", "");
  const found: Violation[] = [];
  for (const [, adr] of text.matchAll(/\]\(\.\.\/adr\/(\d{4}-[^)]+)\)/g)) {
    const start = (await Deno.readTextFile(`${root}docs/adr/${adr}`).catch(() => "")).slice(0, 400);
    if (!start.includes(`](../design/${name})`)) {
      found.push(
        wrong(`docs/adr/${adr}`, 1, `it does not begin with a link to ${page}, which replaces its rule`),
      );
    }
  }
  return found;
}

function wrong(file: string, line: number, message: string): Violation {
  return { file, line, message };
}
