/**
 * `inspect FILE.wasm [SETUP.json]`: what a sandboxed provider imports, needs and offers, and whether it conforms.
 *
 * @module
 */

import { readFile } from "node:fs/promises";
import type { ModuleReport, TestModuleOptions } from "../testing/mod.ts";
import { defineCommand, JSON_OPTION } from "./command.ts";
import { shown } from "./io.ts";

/** The command. */
export const command = defineCommand({
  usage: "FILE.wasm [SETUP.json]",
  operands: [1, 2],
  description:
    `Guards, compiles and runs the module with no access to this machine, and prints what an application has to
know before it loads it: the hash to pin, the host functions that it imports, its memory and its fuel.
SETUP.json has the credentials and answers for its checks, as testProvider() of ./testing takes them.`,
  options: { json: JSON_OPTION },
  examples: [
    { line: "inspect provider.wasm", text: "exit status 1 where it does not conform" },
    { line: "inspect provider.wasm setup.json --json", text: "the report for a program" },
  ],
  async run({ options, operands: [file, setupFile] }, io) {
    const { testProvider } = await import("../testing/mod.ts");
    const setup: TestModuleOptions = setupFile === undefined
      ? {}
      : JSON.parse(await readFile(setupFile, "utf8"));
    const report = await io.waiting(
      `checking ${file}`,
      testProvider(Uint8Array.from(await readFile(file)), setup),
    );
    if (options.json) await io.json({ ...report, fuel: Object.fromEntries(report.fuel) });
    else await io.print(`${formatReport(report)}\n${verdict(report)}`);
    return report.conforms ? 0 : 1;
  },
});

function verdict({ conforms, abi, outcomes }: ModuleReport): string {
  const failed = outcomes.filter(({ result }) => result === "FAILED").length;
  return conforms ? `conforms to ABI ${abi}` : `${failed} checks failed`;
}

/** Returns the report as text. */
export function formatReport(report: ModuleReport): string {
  const { description, version, sha256, size, fuel, outcomes } = report;
  const { name, layer, offers, imports = [] } = description;
  const offered = Object.entries(offers).map(([key, value]) => `${key} ${value}`).join(", ");
  const fuels = [...fuel].map(([operation, units]) =>
    `  ${operation.padEnd(24)} ${units.toLocaleString("en")}`
  );
  const results = outcomes.map(({ name, result, reason }) =>
    `  ${result.padEnd(8)} ${name}${reason ? `: ${shown(reason)}` : ""}`
  );
  return [
    `provider  ${shown(`${name} ${version}`)}, layer ${layer}`,
    `sha256    ${sha256}`,
    `module    ${size.toLocaleString("en")} bytes, ${report.guardedSize.toLocaleString("en")} guarded`,
    `offers    ${shown(offered)}`,
    `imports   ${shown(imports.join(", ")) || "none"}`,
    `exports   ${shown(report.exports.join(", "))}`,
    `memory    ${report.pages} pages of 64 KiB at the start, ${report.maximumPages} at most`,
    "fuel, at most, by operation:",
    ...fuels,
    "checks:",
    ...results,
  ].join("\n");
}
