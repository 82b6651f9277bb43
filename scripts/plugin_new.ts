/**
 * `deno task plugin:new NAME`: a new provider in `plugins/NAME`, made from the template of the SDK.
 *
 * @module
 */

import { access, mkdir, readFile, writeFile } from "node:fs/promises";
import { pathToFileURL } from "node:url";
import process from "node:process";
import { builtInName } from "../plugins/names.ts";

const TEMPLATE = "plugins/sdk/template/";
const FILES = ["guest/index.ts", "mod.ts"];

/** The template's text of one file, with the name put in and the paths of a folder right under plugins/. */
function adapt(text: string, name: string): string {
  const camel = name.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase());
  const pascal = camel[0].toUpperCase() + camel.slice(1);
  return text
    .replaceAll('"../../assembly/index"', '"../../sdk/assembly/index"')
    .replaceAll('"../../sandbox/', '"../sandbox/')
    .replaceAll('"../../../contract.ts"', '"../../contract.ts"')
    .replaceAll('"template"', JSON.stringify(name))
    .replaceAll("Template", pascal)
    .replace(/\btemplate\b(?=[({}])/g, camel);
}

/**
 * Writes the files of a new provider into `plugins/NAME/` under `root`, which has the SDK, and returns their paths.
 *
 * @throws TypeError where the name is invalid; Error where the folder exists already.
 */
export async function newPlugin(root: URL, name: string): Promise<string[]> {
  if (!/^[a-z][a-z0-9-]{0,31}$/.test(name)) {
    throw new TypeError(
      `${JSON.stringify(name)} is not a valid provider's name: use 1 to 32 of a-z, 0-9 and -`,
    );
  }
  const owner = builtInName(name);
  if (owner !== null) {
    throw new TypeError(`${name} holds ${owner}, or looks like it, which is a built-in name: choose another`);
  }
  const folder = `plugins/${name}/`;
  if (await access(new URL(folder, root)).then(() => true, () => false)) {
    throw new Error(`${folder} is there already; choose another name or remove it`);
  }
  const written: string[] = [];
  for (const file of FILES) {
    const target = new URL(folder + file, root);
    await mkdir(new URL("./", target), { recursive: true });
    await writeFile(target, adapt(await readFile(new URL(TEMPLATE + file, root), "utf8"), name));
    written.push(folder + file);
  }
  return written;
}

if (import.meta.main) {
  const [, , name = ""] = process.argv;
  const written = await newPlugin(pathToFileURL(`${process.cwd()}/`), name);
  console.log(written.join("\n"));
  console.log(
    `next: deno task plugin:build plugins/${name} && deno task plugin:check plugins/${name}/guest.wasm`,
  );
}
