/** A program that uses the package, made into one file by each of the common bundlers and run somewhere else. */

import { assertEquals } from "@std/assert";
import { test } from "@test";
import { ensureNode } from "../../scripts/node.ts";
import { OLDEST_NODE } from "../../scripts/npm_package.ts";
import { mustRun, run } from "../../scripts/process.ts";
import { type Consumer, makeConsumer, PACKAGE, skip } from "./consumer.ts";

/** One installation for all; Vite 7 is built on this esbuild and this Rollup. */
const BUNDLERS = [
  "@rollup/plugin-node-resolve@16.0.3",
  "bun@1.4.5",
  "esbuild@0.25.12",
  "rollup@4.68.8",
  "vite@7.3.8",
  "webpack@5.113.0",
];

const PROGRAM = `
import { openSystem, Spn } from "${PACKAGE}";
const system = openSystem({ grants: ["sspi"] });
const { available, reason } = system.capabilities().securityContexts;
console.log(JSON.stringify({ available, reason, name: Spn.parse("HTTP/web.example.test").toString() }));
system.close();
`;

/** Makes `out/<bundler>.<mjs or cjs>`, each format that a bundler has. */
const BUILD = `
import { build as esbuild } from "esbuild";
import { nodeResolve } from "@rollup/plugin-node-resolve";
import { rollup } from "rollup";
import { build as vite } from "vite";
import webpack from "webpack";

const input = process.cwd() + "/program.mjs";
const path = process.cwd() + "/out";
const pack = (options) => new Promise((resolve, reject) =>
  webpack({ mode: "production", target: "node", entry: input, ...options }, (error, stats) =>
    error || stats.hasErrors() || stats.hasWarnings() ? reject(error ?? stats.toString()) : resolve()));

await pack({ output: { path, filename: "webpack.cjs" } });
await pack({
  experiments: { outputModule: true },
  output: { path, filename: "webpack.mjs", module: true, chunkFormat: "module" },
});
for (const [format, ending] of [["esm", "mjs"], ["cjs", "cjs"]]) {
  const entryPoints = [input];
  await esbuild({ entryPoints, bundle: true, platform: "node", format, outfile: path + "/esbuild." + ending });
  const bundle = await rollup({ input, plugins: [nodeResolve()] });
  await bundle.write({ format, file: path + "/rollup." + ending });
}
await vite({
  logLevel: "error",
  ssr: { noExternal: true },
  build: { ssr: input, outDir: path, emptyOutDir: false, rollupOptions: { output: { entryFileNames: "vite.mjs" } } },
});
`;

const BUNDLES = ["bun", "esbuild", "rollup", "webpack"].flatMap((name) => [`${name}.cjs`, `${name}.mjs`])
  .concat("vite.mjs");

async function build(consumer: Consumer): Promise<void> {
  await consumer.write("program.mjs", PROGRAM);
  await consumer.write("build.mjs", BUILD);
  const { code, stderr } = await consumer.node(OLDEST_NODE, "build.mjs");
  assertEquals([code, stderr], [0, ""]);
  // Its package's own program is put there by an install script.
  const bun = `${consumer.folder}/node_modules/@oven/bun-linux-x64/bin/bun`;
  for (const [format, ending] of [["esm", "mjs"], ["cjs", "cjs"]]) {
    const args = ["--target=node", `--format=${format}`, `--outfile=out/bun.${ending}`];
    await mustRun(bun, ["build", "program.mjs", ...args], { cwd: consumer.folder });
  }
}

test(
  "a program bundled by esbuild, Rollup, webpack, Vite or Bun finds the koffi beside it, and names koffi where it is missing",
  async () => {
    await using consumer = await makeConsumer(BUNDLERS);
    await build(consumer);
    // Outside the project, whose koffi lies where it lay when the bundles were made.
    const deployed = `${consumer.folder}/../deployed`;
    await Deno.mkdir(`${deployed}/node_modules`, { recursive: true });
    for (const name of BUNDLES) await Deno.copyFile(`${consumer.folder}/out/${name}`, `${deployed}/${name}`);
    const node = await ensureNode(OLDEST_NODE);
    const outcomes = async (of: (stdout: string) => unknown): Promise<unknown> => {
      const found: Record<string, unknown> = {};
      for (const name of BUNDLES) {
        const { stdout, stderr } = await run(node, [name], { cwd: deployed });
        found[name] = stderr || of(stdout);
      }
      return found;
    };
    const all = (outcome: unknown): unknown => Object.fromEntries(BUNDLES.map((name) => [name, outcome]));
    const dll = (text: string): unknown =>
      /npm package koffi, .*, (is missing|cannot be loaded)/.exec(text)?.[1] ?? text;
    const install = (name: string): Promise<unknown> =>
      mustRun("cp", ["-r", `${consumer.folder}/node_modules/${name}`, `${deployed}/node_modules`]);

    assertEquals(await outcomes(dll), all("is missing"));
    await install("koffi");
    assertEquals(await outcomes(dll), all("cannot be loaded"));
    await install("@koromix");
    const unbundled = await consumer.node(OLDEST_NODE, "program.mjs");
    assertEquals(await outcomes((stdout) => stdout), all(unbundled.stdout));
  },
  {
    skip: skip ??
      (Deno.build.os === "linux" && Deno.build.arch === "x86_64" ? null : "Bun is fetched for Linux on x64"),
  },
);
