/**
 * Makes the tests into files that Node runs against the installed npm package: whatever a test imports of the
 * library is taken from the package, never from the sources.
 *
 * @module
 */

import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { build, type BuildFailure, type Plugin, stop } from "esbuild";
import denoJson from "../deno.json" with { type: "json" };
import { matches, OUTSIDE } from "./import_rules.ts";
import { OLDEST_NODE } from "./npm_package.ts";
import { pathFrom, ROOT } from "./root.ts";

/** An import of deno.json that names a package: its name, `@version`, and `/path` of a module in it, the last two optional. */
const NPM_TARGET = /^npm:((?:@[^/]+\/)?[^@/]+)((?:@[^/]+)?)(.*)$/;

/** What a bundle of tests is made from. */
export interface BundleOptions {
  /** The test files, as paths from the root of the repository. */
  files: readonly string[];
  /** The folder of the installed package. */
  packageFolder: string;
  /** Where to put the bundles: one file for each test file, in the same tree. */
  outFolder: string;
}

/** The result. */
export interface Bundles {
  /** The bundles' paths. */
  outputs: string[];
  /** The packages from npm that the tests import by themselves, as npm installs them (`fast-check@^4.0.0`). */
  packages: string[];
  /** The test files that cannot be bundled, and why. */
  failures: { file: string; reason: string }[];
}

/** Bundles each test file for the oldest supported Node. */
export async function bundleTests(options: BundleOptions): Promise<Bundles> {
  const packages = new Set<string>();
  const bundles: Bundles = { outputs: [], packages: [], failures: [] };
  try {
    for (const file of options.files) {
      try {
        bundles.outputs.push(await bundleOne(file, options, packages));
      } catch (error) {
        const [first] = (error as Partial<BuildFailure>).errors ?? [];
        bundles.failures.push({ file, reason: first?.text ?? (error as Error).message });
      }
    }
  } finally {
    await stop();
  }
  return { ...bundles, packages: [...packages].sort() };
}

async function bundleOne(file: string, options: BundleOptions, packages: Set<string>): Promise<string> {
  const output = `${options.outFolder}/${file.replace(/\.ts$/, ".mjs")}`;
  const { metafile } = await build({
    entryPoints: [ROOT + file],
    outfile: output,
    bundle: true,
    metafile: true,
    format: "esm",
    platform: "node",
    target: `node${OLDEST_NODE}`,
    define: { "import.meta.main": "false" },
    logLevel: "silent",
    plugins: [await library(options.packageFolder), bare(packages), places(ROOT + file)],
  });
  // esbuild names inputs from the folder it runs in.
  for (const input of Object.keys(metafile.inputs)) refuseSource(resolve(input));
  return output;
}

/** The last check: a bundle that contains a file of the library would test that instead of the package. */
function refuseSource(path: string): void {
  const file = pathFrom(ROOT, path);
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
        const file = pathFrom(ROOT, resolve(resolveDir, path));
        if (file === null || matches(file, OUTSIDE) || !file.endsWith(".ts")) return undefined;
        const built = base + file.replace(/\.ts$/, ".js");
        const there = await Deno.stat(built).then(() => true, () => false);
        if (!there) return { errors: [{ text: `${file} is not part of the npm package` }] };
        // By its URL: an import does not accept a Windows path.
        return { path: pathToFileURL(built).href, external: true };
      });
      // Under its own name, as examples import it.
      plugin.onResolve({ filter: new RegExp(`^${denoJson.name}(/|$)`) }, ({ path }) => {
        const entry = exports[`.${path.slice(denoJson.name.length)}`];
        if (entry === undefined) {
          return { errors: [{ text: `${path} is not an entry point of the npm package` }] };
        }
        return { path: pathToFileURL(`${packageFolder}/${entry.default}`).href, external: true };
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
        const npm = NPM_TARGET.exec(target);
        if (!npm) return { errors: [{ text: `${path} is not available on Node: ${target}` }] };
        const [, packageName, version, below] = npm;
        packages.add(packageName + version);
        return { path: packageName + below + path.slice(name.length), external: true };
      });
    },
  };
}

/**
 * What tests import keeps looking for its neighbours (scripts, fixtures) where its source lies. So does a test file by
 * `new URL("...", import.meta.url)`; by itself that is the address of the bundle, which a test can run a second time.
 */
function places(entry: string): Plugin {
  return {
    name: "import.meta.url of the source",
    setup(plugin): void {
      plugin.onLoad({ filter: /\.ts$/ }, async ({ path }) => {
        const text = await Deno.readTextFile(path);
        const source = JSON.stringify(pathToFileURL(path).href);
        const contents = path === resolve(entry)
          ? text.replace(/(new URL\([^()]*,\s*)import\.meta\.url\b/g, `$1${source}`)
          : text.replaceAll("import.meta.url", source);
        return { contents, loader: "ts" };
      });
    },
  };
}
