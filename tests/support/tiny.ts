/** The providers written by hand, compiled. */

import { readFile } from "node:fs/promises";
import process from "node:process";
import { compileWat } from "./wat.ts";

const FOLDER = `${process.cwd()}/tests/plugins/sdk/`;

/** Reads and compiles one of them, after `change` was applied to its text. Throws where `change` has no effect. */
export async function tiny(
  file: "tiny.wat" | "tiny_codec.wat",
  change: (text: string) => string = (text) => `${text}\n`,
): Promise<Uint8Array<ArrayBuffer>> {
  const text = await readFile(FOLDER + file, "utf8");
  const changed = change(text);
  if (changed === text) throw new Error(`${file}: the change found nothing to change`);
  return compileWat(file, changed);
}
