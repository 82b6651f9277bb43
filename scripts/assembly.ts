/**
 * Compiles a guest written in AssemblyScript, so that the same sources give the same bytes on every machine.
 *
 * @module
 */

import asc from "assemblyscript/asc";
import { readFile } from "node:fs/promises";

/** The compiler's options: no start section, no garbage collector, traps instead of messages with file names. */
const OPTIONS = ["--exportStart", "_initialize", "--runtime", "stub", "--use", "abort=", "-O3", "--converge"];

/**
 * Compiles `entry`, a path relative to `root`, and returns the module.
 *
 * The compiler sees paths relative to `root` only, so where the sources stand leaves no trace in the module.
 *
 * @throws Error with the compiler's messages.
 */
export async function compileGuest(root: URL, entry: string): Promise<Uint8Array<ArrayBuffer>> {
  let module: Uint8Array<ArrayBuffer> | null = null;
  const messages: string[] = [];
  const { error } = await asc.main([entry, "--outFile", "guest.wasm", ...OPTIONS], {
    readFile: async (name: string) => {
      try {
        return await readFile(new URL(name, root), "utf8");
      } catch {
        return null;
      }
    },
    writeFile: (_: string, contents: string | Uint8Array) => {
      module = Uint8Array.from(contents as Uint8Array);
    },
    listFiles: () => [],
    stderr: { write: (text: string | Uint8Array) => messages.push(String(text)) },
  });
  if (error || !module) throw new Error(`${entry} does not compile:\n${messages.join("") || error}`);
  return module;
}
