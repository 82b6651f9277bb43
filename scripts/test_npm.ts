/**
 * `deno task test:npm`: builds the npm package, holds it to its acceptance tests, and runs the tests of the library
 * on the oldest and the newest supported Node against the installed package.
 *
 * @module
 */

import { buildNpm } from "./build_npm.ts";
import { sourceFiles } from "./check.ts";
import { IMPORT_MAP, writeImportMap } from "./import_map.ts";
import { matches } from "./import_rules.ts";
import { closing, readJUnit, type Tally } from "./junit.ts";
import { ensureNode, NODE_VERSIONS } from "./node.ts";
import { type Bundles, bundleTests } from "./node_bundle.ts";
import { packageJson } from "./npm_package.ts";
import { mustRun, npm, run } from "./process.ts";
import { ROOT } from "./root.ts";
import { denoTally, preparePeers } from "./test.ts";

const HELP = `Usage: deno task test:npm [--no-install] [--node 22|26] [test files]

Builds the npm package, checks it as its users would (tests/npm), and runs the tests on Node against the installed
package, never the sources. Node itself comes from the npm registry, whatever Node is on this machine.

  --no-install    install no Debian packages, fetch no .NET; tests that need them are skipped
  --node VERSION  only that version of Node, and without tests/npm
  --help          show this`;

/** Tests of the scripts, which Deno runs, and those that have a task of their own. */
const NOT_ON_NODE = ["tests/scripts/**", "tests/npm/**", "tests/windows/**"];

/** The tests of what only a user of the package sees. */
async function acceptance(tarball: string): Promise<[Tally, string]> {
  console.log("\nThe package, as its users see it");
  const report = `${ROOT}.cache/junit-npm.xml`;
  await Deno.remove(report).catch(() => {});
  const args = ["test", "-A", "--import-map", IMPORT_MAP, `--junit-path=${report}`, "tests/npm"];
  const env = { SECURE_SOCKETS_TARBALL: tarball };
  const { code, stdout } = await run(Deno.execPath(), args, { cwd: ROOT, env, show: true });
  const xml = await Deno.readTextFile(report).catch(() => "");
  return [denoTally(xml, stdout, code), stdout];
}

/** A project that has installed the package, and the tests beside it. */
async function makeProject(tarball: string, files: readonly string[]): Promise<[string, Bundles]> {
  const folder = `${ROOT}.cache/npm-suite`;
  await Deno.remove(folder, { recursive: true }).catch(() => {});
  await Deno.mkdir(folder, { recursive: true });
  await Deno.writeTextFile(`${folder}/package.json`, '{ "private": true, "type": "module" }\n');
  const install = (...what: string[]) =>
    npm(["install", "--no-audit", "--no-fund", "--prefer-offline", ...what], { cwd: folder });
  await install(tarball);
  const packageFolder = `${folder}/node_modules/${packageJson(".").name}`;
  const bundles = await bundleTests({ files, packageFolder, outFolder: `${folder}/tests` });
  if (bundles.packages.length > 0) await install(...bundles.packages);
  return [folder, bundles];
}

async function onNode(major: number, folder: string, bundles: readonly string[]): Promise<[Tally, string]> {
  const node = await ensureNode(major);
  const { stdout: version } = await mustRun(node, ["--version"]);
  console.log(`\nNode ${version.trim()}`);
  const report = `${folder}/junit-${major}.xml`;
  const reporters = [
    "--test-reporter=spec",
    "--test-reporter-destination=stdout",
    "--test-reporter=junit",
    `--test-reporter-destination=${report}`,
  ];
  // One file after another: they set the environment that native code reads, and there is one real time to measure.
  const args = ["--test", "--test-concurrency=1", "--test-timeout=600000", ...reporters, ...bundles];
  // From the root, as on Deno: there are the fixtures that tests read.
  const { code, stdout } = await run(node, args, { cwd: ROOT, show: true });
  const tally = readJUnit(await Deno.readTextFile(report).catch(() => ""));
  const name = (test: string): string => `${test} (Node ${major})`;
  const failed = tally.failed.map(name);
  if (code !== 0 && failed.length === 0) failed.push(name(`node --test ended with ${code}`));
  return [{ ...tally, failed }, stdout];
}

async function main(args: string[]): Promise<number> {
  if (args.includes("--help")) {
    console.log(HELP);
    return 0;
  }
  const only = args.includes("--node") ? Number(args[args.indexOf("--node") + 1]) : null;
  const versions = only === null ? NODE_VERSIONS : [only];
  const chosen = args.filter((arg) => arg.endsWith("_test.ts"));
  console.log(await writeImportMap());
  await preparePeers(!args.includes("--no-install"));
  const tarball = await buildNpm();
  const all = (await sourceFiles()).filter((file) => /^tests\/.*_test\.ts$/.test(file));
  const files = chosen.length > 0 ? chosen : all.filter((file) => !matches(file, NOT_ON_NODE));
  const total: Tally = { passed: 0, failed: [], skipped: [] };
  let output = "";
  const add = ([tally, printed]: [Tally, string]): void => {
    output += printed;
    total.passed += tally.passed;
    total.failed.push(...tally.failed);
    total.skipped.push(...tally.skipped);
  };
  if (only === null && chosen.length === 0) {
    add(await acceptance(tarball));
  }
  const [folder, bundles] = await makeProject(tarball, files);
  for (const { file, reason } of bundles.failures) total.failed.push(`${file}: ${reason}`);
  if (bundles.outputs.length > 0) {
    for (const major of versions) add(await onNode(major, folder, bundles.outputs));
  }
  console.log(closing(total, output));
  return total.failed.length === 0 && total.passed > 0 ? 0 : 1;
}

if (import.meta.main) Deno.exit(await main(Deno.args));
