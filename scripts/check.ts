/**
 * `deno task check`: type-checks every TypeScript file of the repository: the library, its tests, scripts, benches
 * and examples. Not the guests, which are AssemblyScript, and without JSR not the one script that needs it.
 *
 * @module
 */

import { listFiles } from "./files.ts";
import { IMPORT_MAP, jsrReachable, writeImportMap } from "./import_map.ts";
import { GUESTS, matches } from "./import_rules.ts";
import { run } from "./process.ts";
import { ROOT } from "./root.ts";

/** The script that imports `jsr:@deno/dnt` and so can be checked only where JSR answers. */
export const NEEDS_JSR: readonly string[] = ["scripts/build_npm_dnt.ts"];

/** Every TypeScript file of the repository, as paths from the root. */
export async function sourceFiles(): Promise<string[]> {
  const files = await listFiles(ROOT, (folder) => folder !== "npm/");
  return files.filter((file) => file.endsWith(".ts") && !matches(file, GUESTS));
}

async function main(): Promise<number> {
  console.log(await writeImportMap());
  const left = await jsrReachable() ? [] : NEEDS_JSR;
  const files = (await sourceFiles()).filter((file) => !left.includes(file));
  const args = ["check", "--quiet", "--import-map", IMPORT_MAP, ...files];
  const { code } = await run(Deno.execPath(), args, { cwd: ROOT, show: true });
  const without = left.length > 0 ? `, without ${left.join(", ")}` : "";
  if (code === 0) console.log(`Types: ${files.length} files checked${without}`);
  return code;
}

if (import.meta.main) Deno.exit(await main());
