/** Compiles guests from their AssemblyScript sources, in memory, alike on Deno and on Node. */

import asc from "assemblyscript/asc";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";

/** The root of the sources; a bundle of the tests stands elsewhere, and is run from the root. */
const ROOT = existsSync(new URL("../../plugins/", import.meta.url))
  ? new URL("../../", import.meta.url).pathname
  : process.cwd();

/** Why nothing can be compiled here; null where it can. */
export const noSources: string | null = existsSync(join(ROOT, "plugins/ntlm/guest/index.ts"))
  ? null
  : "the guests' sources are not here; run the tests from the root of the repository";

const FLAGS = ["--exportStart", "_initialize", "--runtime", "stub", "--use", "abort=", "-O3"];

/** Compiles `entry`, a path from the root, and resolves to the module. */
export async function compileGuest(entry: string): Promise<Uint8Array<ArrayBuffer>> {
  let wasm: Uint8Array<ArrayBuffer> | null = null;
  const { error, stderr } = await asc.main([entry, "--outFile", "out.wasm", ...FLAGS], {
    readFile: (name) => existsSync(join(ROOT, name)) ? readFileSync(join(ROOT, name), "utf8") : null,
    writeFile: (_, contents) => {
      if (typeof contents !== "string") wasm = Uint8Array.from(contents);
    },
    listFiles: () => [],
  });
  if (error || wasm === null) throw new Error(`${entry} does not compile: ${stderr.toString()}`, { cause: error });
  return wasm;
}
