/**
 * Makes the tests into files that Node runs against the installed npm package: whatever a test imports of the
 * library is taken from the package, never from the sources.
 *
 * @module
 */

import { build, type Plugin, stop } from "esbuild";
import denoJson from "../deno.json" with { type: "json" };
import { matches, OUTSIDE } from "./import_rules.ts";
import { OLDEST_NODE } from "./npm_package.ts";

const ROOT = new URL("../", import.meta.url).pathname;
// esbuild names inputs from the folder it runs in.
const CWD = `file://${Deno.cwd()}/`;

/** What a bundle of tests is made from. */
export interface BundleOptions {
  /** The test files, as paths from the root of the repository. */
  files: readonly string[];
  /** The folder of the installed package. */
  packageFolder: string;
  /** Where to put the bundles: one file for each test file, in the same tree. */
  outFolder: string;
}

/** What came of it. */
export interface Bundles {
  /** The bundles' paths. */
  outputs: string[];
  /** The packages from npm that the tests import by themselves, as npm installs them (`fast-check@^4.0.0`). */
  packages: string[];
}

/** Bundles each test file for the oldest supported Node. */
export async function bundleTests(options: BundleOptions): Promise<Bundles> {
  const packages = new Set<string>();
  try {
    const result = await build({
      entryPoints: options.files.map((file) => ROOT + file),
      outdir: options.outFolder,
      outbase: ROOT,
      outExtension: { ".js": ".mjs" },
      bundle: true,
      metafile: true,
      format: "esm",
      platform: "node",
      target: `node${OLDEST_NODE}`,
      define: { "import.meta.main": "false" },
      logLevel: "silent",
      plugins: [await library(options.packageFolder), bare(packages), places()],
    });
    for (const input of Object.keys(result.metafile.inputs)) refuseSource(new URL(input, CWD).pathname);
    return { outputs: Object.keys(result.metafile.outputs), packages: [...packages].sort() };
  } finally {
    await stop();
  }
}

/** The last line of defence: a bundle that holds a file of the library would test that instead of the package. */
function refuseSource(path: string): void {
  const file = path.startsWith(ROOT) ? path.slice(ROOT.length) : null;
  if (file !== null && !matches(file, OUTSIDE) && file !== "deno.json") {
    throw new Error(`${file} got into a bundle of tests from the sources`);
  }
}

/** Relative imports of the library's files become imports of the installed package's. */
async function library(packageFolder: string): Promise<Plugin> {
  const { exports } = JSON.parse(await Deno.readTextFile(`${packageFolder}/package.json`));
  const base = `${packageFolder}/${exports["."].default.replace(/[^/]*$/, "")}`.replace("/./", "/");
  return {
    name: "the library from the package",
    setup(plugin): void {
      plugin.onResolve({ filter: /^\.\.?\// }, async ({ path, resolveDir }) => {
        const source = new URL(path, `file://${resolveDir}/`).pathname;
        const file = source.startsWith(ROOT) ? source.slice(ROOT.length) : null;
        if (file === null || matches(file, OUTSIDE) || !file.endsWith(".ts")) return undefined;
        const built = base + file.replace(/\.ts$/, ".js");
        const there = await Deno.stat(built).then(() => true, () => false);
        if (!there) return { errors: [{ text: `${file} is not part of the npm package` }] };
        return { path: built, external: true };
      });
    },
  };
}

/** Bare imports: this repository's own by deno.json, npm's left to Node and collected in `packages`. */
function bare(packages: Set<string>): Plugin {
  const imports: Record<string, string> = { ...denoJson.imports, "@std/assert": "./tests/support/assert.ts" };
  return {
    name: "bare imports by deno.json",
    setup(plugin): void {
      plugin.onResolve({ filter: /^[@a-z]/ }, ({ path, kind }) => {
        if (kind === "entry-point" || path.startsWith("node:")) return undefined;
        const name = Object.keys(imports).find((known) => path === known || path.startsWith(`${known}/`));
        if (!name) return { errors: [{ text: `${path} is not in deno.json's imports` }] };
        const target = imports[name];
        if (target.startsWith("./")) return { path: ROOT + target.slice(2) };
        if (!target.startsWith("npm:")) {
          return { errors: [{ text: `${path} is not to be had on Node: ${target}` }] };
        }
        packages.add(target.replace(/^npm:((?:@[^/]+\/)?[^/]+).*$/, "$1"));
        return { path, external: true };
      });
    },
  };
}

/** A bundle lies elsewhere than its sources, whose neighbours (fixtures, scripts) it still looks for. */
function places(): Plugin {
  return {
    name: "import.meta.url of the source",
    setup(plugin): void {
      plugin.onLoad({ filter: /\.ts$/ }, async ({ path }) => {
        const text = await Deno.readTextFile(path);
        return {
          contents: text.replaceAll("import.meta.url", JSON.stringify(`file://${path}`)),
          loader: "ts",
        };
      });
    },
  };
}
