/**
 * `deno task plugin:check FILE.wasm [SETUP.json]`: checks a provider's conformance to the ABI and prints what an application needs
 * to know before it loads it.
 *
 * SETUP.json has the client's credentials and the application's answers: see {@linkcode TestModuleOptions}.
 *
 * @module
 */

import { readFile } from "node:fs/promises";
import process from "node:process";
import { type ModuleReport, type TestModuleOptions, testProvider } from "../testing/mod.ts";

/** The report as text. */
export function formatReport(report: ModuleReport): string {
  const { description, version, sha256, size, fuel, outcomes } = report;
  const { name, layer, offers, imports = [] } = description;
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
    `module    ${size.toLocaleString("en")} bytes, ${report.guardedSize.toLocaleString("en")} guarded`,
    `offers    ${offered}`,
    `imports   ${imports.join(", ") || "none"}`,
    `exports   ${report.exports.join(", ")}`,
    `memory    ${report.pages} pages of 64 KiB at the start, ${report.maximumPages} at most`,
    "fuel, at most, by operation:",
    ...fuels,
    "checks:",
    ...results,
  ].join("\n");
}

if (import.meta.main) {
  const [, , file, setupFile] = process.argv;
  if (!file) throw new Error("usage: deno task plugin:check FILE.wasm [SETUP.json]");
  const options: TestModuleOptions = setupFile ? JSON.parse(await readFile(setupFile, "utf8")) : {};
  const report = await testProvider(Uint8Array.from(await readFile(file)), options);
  console.log(formatReport(report));
  const failed = report.outcomes.filter(({ result }) => result === "FAILED").length;
  console.log(report.conforms ? `conforms to ABI ${report.abi}` : `${failed} checks failed`);
  process.exitCode = report.conforms ? 0 : 1;
}
