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
import { formatReport } from "../cli/inspect.ts";
import { type TestModuleOptions, testProvider } from "../testing/mod.ts";

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
