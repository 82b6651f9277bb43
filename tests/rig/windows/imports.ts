/**
 * How test files name what they import, inside the rig and in its bundles.
 *
 * @module
 */

import denoJson from "../../../deno.json" with { type: "json" };

/** The module that describes the machine to the tests; the rig replaces it with its own. */
export const MACHINE_MODULE = "tests/windows/support/machine.ts";

/** What deno.json maps, with paths relative to `base` and `@std/assert` replaced by our own small file. */
export function relativeImports(base: string): { [name: string]: string } {
  const imports: { [name: string]: string } = {};
  for (const [name, target] of Object.entries(denoJson.imports)) {
    imports[name] = target.startsWith("./") ? base + target.slice(2) : target;
  }
  imports["@std/assert"] = `${base}tests/support/assert.ts`;
  return imports;
}

/** The name a test file's bundle has. */
export function bundleName(file: string): string {
  return file.replaceAll("/", ".").replace(/\.ts$/, ".mjs");
}
