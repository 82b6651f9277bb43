/** Compiles guests from their AssemblyScript sources, in memory, alike on Deno and on Node. */

import asc from "assemblyscript/asc";
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const FLAGS = ["--exportStart", "_initialize", "--runtime", "stub", "--use", "abort=", "-O3"];

/** Compiles `entry`, a path from the root, and resolves to the module. */
export async function compileGuest(entry: string): Promise<Uint8Array<ArrayBuffer>> {
  let wasm: Uint8Array<ArrayBuffer> | null = null;
  const { error, stderr } = await asc.main([entry, "--outFile", "out.wasm", ...FLAGS], {
    readFile: (name) => existsSync(ROOT + name) ? readFileSync(ROOT + name, "utf8") : null,
    writeFile: (_, contents) => {
      if (typeof contents !== "string") wasm = Uint8Array.from(contents);
    },
    listFiles: () => [],
  });
  if (error || wasm === null) {
    throw new Error(`${entry} does not compile: ${stderr.toString()}`, { cause: error });
  }
  return wasm;
}
