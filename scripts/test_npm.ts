/**
 * `deno task test:npm`: builds the npm package, runs its acceptance tests, and runs the tests of the library
 * on the oldest and the newest supported Node against the installed package.
 *
 * @module
 */

import { buildNpm } from "./build_npm.ts";
import { sourceFiles } from "./check.ts";
import { writeImportMap } from "./import_map.ts";
import { closing, readJUnit, type Tally } from "./junit.ts";
import { ensureNode } from "./node.ts";
import { type Bundles, bundleTests } from "./node_bundle.ts";
import { packageJson } from "./npm_package.ts";
import { HELP, type Selection, selectTests } from "./npm_selection.ts";
import { mustRun, npm, run } from "./process.ts";
import { ROOT } from "./root.ts";
import { cleanUpWhenInterrupted } from "./temporary.ts";
import { leftBehind, preparePeers, runOnDeno, testFolder } from "./test.ts";

/** The tests of what only a user of the package sees. */
async function onPackage(tarball: string, files: readonly string[]): Promise<[Tally, string]> {
  console.log("\nThe package, as its users see it");
  return await runOnDeno(files, { SECURE_SOCKETS_TARBALL: tarball }, false);
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

async function runOnNode(
  major: number,
  folder: string,
  bundles: readonly string[],
): Promise<[Tally, string]> {
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
  await using temporary = await testFolder();
  const { code, stdout } = await run(node, args, { cwd: ROOT, env: temporary.env, show: true });
  const tally = readJUnit(await Deno.readTextFile(report).catch(() => ""));
  const name = (test: string): string => `${test} (Node ${major})`;
  const failed = [...tally.failed, ...await leftBehind(temporary)].map(name);
  if (code !== 0 && failed.length === 0) failed.push(name(`node --test ended with ${code}`));
  return [{ ...tally, failed }, stdout];
}

async function main({ all, install, versions, acceptance, onNode }: Selection): Promise<number> {
  console.log(await writeImportMap());
  await preparePeers(install, all ? "12 minutes" : null);
  const tarball = await buildNpm();
  const total: Tally = { passed: 0, failed: [], skipped: [] };
  let output = "";
  const add = ([tally, printed]: [Tally, string]): void => {
    output += printed;
    total.passed += tally.passed;
    total.failed.push(...tally.failed);
    total.skipped.push(...tally.skipped);
  };
  if (acceptance.length > 0) add(await onPackage(tarball, acceptance));
  if (onNode.length > 0) {
    const [folder, bundles] = await makeProject(tarball, onNode);
    for (const { file, reason } of bundles.failures) total.failed.push(`${file}: ${reason}`);
    if (bundles.outputs.length > 0) {
      for (const major of versions) add(await runOnNode(major, folder, bundles.outputs));
    }
  }
  console.log(closing(total, output));
  return total.failed.length === 0 && total.passed > 0 ? 0 : 1;
}

if (import.meta.main) {
  cleanUpWhenInterrupted();
  let selection: Selection | null;
  try {
    selection = selectTests(Deno.args, await sourceFiles());
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    console.error(error.message);
    Deno.exit(1);
  }
  if (selection === null) console.log(HELP);
  Deno.exit(selection === null ? 0 : await main(selection));
}
