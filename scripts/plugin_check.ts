/**
 * `deno task plugin:check FILE.wasm [SETUP.json]`: checks a provider's conformance to the ABI and prints what an application needs
 * to know before it loads it.
 *
 * SETUP.json has the client's credentials and the application's answers: see {@linkcode Setup}.
 *
 * @module
 */

import { readFile } from "node:fs/promises";
import process from "node:process";
import { checkModule, type Report, type Setup } from "./conformance/run.ts";

/** The report as text. */
export function formatReport({ description, guarded, sha256, size, fuel, pages, outcomes }: Report): string {
  const { name, version, layer, offers } = description;
  const offered = Object.entries(offers).map(([key, value]) => `${key} ${value}`).join(", ");
  const fuels = [...fuel].map(([operation, units]) =>
    `  ${operation.padEnd(24)} ${units.toLocaleString("en")}`
  );
  const results = outcomes.map(({ name, result, reason }) =>
    `  ${result.padEnd(8)} ${name}${reason ? `: ${reason}` : ""}`
  );
  return [
    `provider  ${name} ${version}, layer ${layer}`,
    `sha256    ${sha256}`,
    `module    ${size.toLocaleString("en")} bytes, ${guarded.bytes.length.toLocaleString("en")} guarded`,
    `offers    ${offered}`,
    `imports   ${guarded.imports.join(", ") || "none"}`,
    `exports   ${guarded.exports.join(", ")}`,
    `memory    ${pages} pages of 64 KiB at the start, ${guarded.memory.maximumPages} at most`,
    "fuel, at most, by operation:",
    ...fuels,
    "checks:",
    ...results,
  ].join("\n");
}

if (import.meta.main) {
  const [, , file, setupFile] = process.argv;
  if (!file) throw new Error("usage: deno task plugin:check FILE.wasm [SETUP.json]");
  const setup: Setup = setupFile ? JSON.parse(await readFile(setupFile, "utf8")) : {};
  const report = await checkModule(Uint8Array.from(await readFile(file)), setup);
  console.log(formatReport(report));
  const failed = report.outcomes.filter(({ result }) => result === "FAILED").length;
  console.log(failed === 0 ? `conforms to ABI ${report.description.abi}` : `${failed} checks failed`);
  process.exitCode = failed === 0 ? 0 : 1;
}
