/**
 * `deno task npm`: builds the npm package into npm/ and packs it. With dnt where JSR can be reached, else with
 * `deno pack` and esbuild; the same description goes into both (scripts/npm_package.ts), and the same acceptance
 * the tests in tests/npm check both.
 *
 * @module
 */

import { build, stop } from "esbuild";
import { listFiles } from "./files.ts";
import { jsrReachable } from "./import_map.ts";
import {
  DOCUMENTS,
  ENTRIES,
  OLDEST_NODE,
  packageJson,
  repositoryPage,
  withAbsoluteLinks,
} from "./npm_package.ts";
import { findProgram, mustRun, npm, run } from "./process.ts";
import { ROOT } from "./root.ts";
import { cleanUpWhenInterrupted, temporaryFolder } from "./temporary.ts";

const HELP = `Usage: deno task npm [--pack | --dnt]

Builds the npm package into npm/, and the tarball beside it in the repository's root.

  --dnt   with jsr:@deno/dnt; the default where JSR can be reached
  --pack  with deno pack and esbuild; the default elsewhere
  --help  show this`;

const OUT = `${ROOT}npm`;

/** Builds the package and resolves to the path of its tarball. */
export async function buildNpm(way?: "pack" | "dnt"): Promise<string> {
  const chosen = way ?? (await jsrReachable() ? "dnt" : "pack");
  await Deno.remove(OUT, { recursive: true }).catch(() => {});
  if (chosen === "dnt") {
    await mustRun(Deno.execPath(), ["run", "-A", "scripts/build_npm_dnt.ts"], { cwd: ROOT });
  } else await pack();
  for (const file of (await listFiles(OUT)).filter((file) => file.endsWith(".d.ts"))) {
    const text = await Deno.readTextFile(`${OUT}/${file}`);
    await Deno.writeTextFile(`${OUT}/${file}`, forOlderTypeScript(text));
  }
  const page = await repository();
  const description = packageJson(chosen === "dnt" ? "./esm" : ".", page);
  await Deno.writeTextFile(`${OUT}/package.json`, `${JSON.stringify(description, null, 2)}\n`);
  for (const program of Object.values(description.bin)) await nodeProgram(`${OUT}/${program}`);
  for (const name of DOCUMENTS) {
    const text = await Deno.readTextFile(ROOT + name);
    await Deno.writeTextFile(`${OUT}/${name}`, page === null ? text : withAbsoluteLinks(text, page));
  }
  const { name, version } = description;
  const { stdout } = await npm(["pack", "--silent", "--pack-destination", ROOT, OUT], { cwd: OUT });
  console.log(`Built ${name} ${version} with ${chosen === "dnt" ? "dnt" : "deno pack and esbuild"}`);
  return ROOT + stdout.trim().split("\n").at(-1);
}

/** The address of the repository's page; `null` where it is not known. */
export async function repository(): Promise<string | null> {
  const origin = findProgram("git") === null
    ? ""
    : (await run("git", ["remote", "get-url", "origin"], { cwd: ROOT })).stdout;
  return repositoryPage(Deno.env.toObject(), origin);
}

/** Without JSR: what `deno pack` makes, brought down to the oldest supported Node. */
async function pack(): Promise<void> {
  await using folder = await temporaryFolder("npm");
  const args = ["pack", "--allow-dirty", "--no-source-maps", "-o", `${folder.path}/packed.tgz`];
  await mustRun(Deno.execPath(), args, { cwd: ROOT });
  // From within the folder: GNU's tar reads C: as the name of a host.
  await mustRun("tar", ["-xzf", "packed.tgz"], { cwd: folder.path });
  await lower(`${folder.path}/package`);
}

/** Copies what belongs in the package from `packed` to npm/, in a syntax that the oldest supported Node has. */
async function lower(packed: string): Promise<void> {
  const files = await listFiles(packed);
  const scripts = files.filter((file) => file.endsWith(".js"));
  for (const entry of Object.values(ENTRIES).map((path) => path.replace("./", "").replace(/\.ts$/, ".js"))) {
    if (!scripts.includes(entry)) throw new Error(`deno pack left out the entry point ${entry}`);
  }
  try {
    // Module by module: the package keeps the tree of the sources, which its tests import from.
    await build({
      entryPoints: scripts.map((file) => `${packed}/${file}`),
      outdir: OUT,
      outbase: packed,
      bundle: false,
      format: "esm",
      platform: "node",
      target: `node${OLDEST_NODE}`,
      logLevel: "warning",
    });
  } finally {
    await stop();
  }
  // Everything else that deno pack collects is sources that no entry point reaches.
  for (const file of files.filter((file) => file.endsWith(".d.ts"))) {
    await Deno.mkdir(`${OUT}/${file}`.replace(/\/[^/]*$/, ""), { recursive: true });
    await Deno.writeTextFile(`${OUT}/${file}`, declarations(await Deno.readTextFile(`${packed}/${file}`)));
  }
}

/** Fixes the declarations that `deno pack` writes. */
export function declarations(text: string): string {
  // It puts a member's comment after `readonly`, which is a member by itself where the line ends after it.
  const fixed = text.replace(/\breadonly (\/\*\*[^]*?\*\/)\s*/g, "$1 readonly ");
  // Without an `export {}` every declaration of a .d.ts is exported, also those that its module does not export.
  return `${fixed}\nexport {};\n`;
}

/** The same types for TypeScript before 5.7, in whose library `Uint8Array` has no type parameter. */
export function forOlderTypeScript(text: string): string {
  return text.replace(/\bUint8Array<ArrayBuffer>/g, 'ReturnType<Uint8Array["slice"]>');
}

/** Makes the command line a program that Node runs. */
async function nodeProgram(path: string): Promise<void> {
  const text = (await Deno.readTextFile(path)).replace(/^#!.*\n/, "");
  await Deno.writeTextFile(path, `#!/usr/bin/env node\n${text}`);
  // On Windows npm makes a package's programs executable.
  if (Deno.build.os !== "windows") await Deno.chmod(path, 0o755);
}

if (import.meta.main) {
  cleanUpWhenInterrupted();
  if (Deno.args.includes("--help")) console.log(HELP);
  else {
    const way = Deno.args.includes("--dnt") ? "dnt" : Deno.args.includes("--pack") ? "pack" : undefined;
    console.log(await buildNpm(way));
  }
}
