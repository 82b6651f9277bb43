/**
 * Writes the import map the tests run with: deno.json's own where JSR answers, else the same with `@std/assert`
 * replaced by a small local file, so that JSR is never a condition of the tests.
 *
 * @module
 */

import denoJson from "../deno.json" with { type: "json" };
import { ROOT, ROOT_URL } from "./root.ts";

/** The path of the generated map; not in version control. */
export const IMPORT_MAP: string = `${ROOT}.cache/import_map.json`;

/** Whether JSR answers within three seconds. */
export async function jsrReachable(): Promise<boolean> {
  try {
    const response = await fetch("https://jsr.io/@std/assert/meta.json", {
      signal: AbortSignal.timeout(3000),
    });
    await response.body?.cancel();
    return response.ok;
  } catch {
    return false;
  }
}

/** Writes {@linkcode IMPORT_MAP} and returns a sentence that names which `@std/assert` it names. */
export async function writeImportMap(): Promise<string> {
  const imports: Record<string, string> = {};
  for (const [name, target] of Object.entries(denoJson.imports)) {
    imports[name] = target.startsWith("./") ? new URL(target, ROOT_URL).href : target;
  }
  // The package under its own name, as examples import it.
  for (const [entry, module] of Object.entries(denoJson.exports)) {
    imports[denoJson.name + entry.slice(1)] = new URL(module, ROOT_URL).href;
  }
  const online = await jsrReachable();
  if (!online) imports["@std/assert"] = new URL("tests/support/assert.ts", ROOT_URL).href;
  await Deno.mkdir(`${ROOT}.cache`, { recursive: true });
  await Deno.writeTextFile(IMPORT_MAP, JSON.stringify({ imports }, null, 2));
  return online
    ? `@std/assert: ${imports["@std/assert"]}`
    : "@std/assert: tests/support/assert.ts over node:assert/strict (JSR does not answer)";
}

if (import.meta.main) console.log(await writeImportMap());
