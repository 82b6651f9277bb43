/**
 * `deno task release`: checks that a version can be published, builds what is published, and publishes it.
 *
 * @module
 */

import denoJson from "../deno.json" with { type: "json" };
import { VERSION } from "../cli/help.ts";
import { buildNpm, repository } from "./build_npm.ts";
import { mustRun, npm, run } from "./process.ts";
import { ROOT } from "./root.ts";
import { cleanUpWhenInterrupted, temporaryFolder } from "./temporary.ts";

const HELP = `Usage: deno task release --dry-run | --publish [--help]

Checks the version, the changelog and the clone, runs deno task ok without the tests, builds the npm package, writes
its list of components (SBOM, CycloneDX), and asks npm and JSR what they would accept.

  --dry-run  stops before anything is sent, and also runs on a clone with changes or without a tag
  --publish  then publishes on JSR and npm, npm with provenance: for .github/workflows/release.yml
  --help     shows this

Exit status: 0 ready, or published; 1 something is wrong; 2 the command is wrong.`;

/** What keeps `version` from being released, as sentences. */
export function problems(
  version: string,
  { changelog, cliVersion, tags, changes, page }: {
    readonly changelog: string;
    readonly cliVersion: string;
    readonly tags: readonly string[];
    readonly changes: string;
    readonly page: string | null;
  },
): string[] {
  const found: string[] = [];
  if (!/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(version)) {
    found.push(`version ${version} in deno.json is not a semantic version`);
  }
  if (cliVersion !== version) found.push(`VERSION in cli/help.ts is ${cliVersion}: write ${version}`);
  const dated = new RegExp(`^## \\[${version.replaceAll(".", "\\.")}\\] - \\d{4}-\\d{2}-\\d{2}$`, "m");
  if (!dated.test(changelog)) {
    found.push(
      `CHANGELOG.md has no "## [${version}] - YYYY-MM-DD": give the entries of [Unreleased] a version`,
    );
  }
  if (!tags.includes(`v${version}`)) {
    found.push(`this commit has no tag v${version}: git tag v${version}`);
  }
  if (changes.trim() !== "") {
    found.push(`the clone has changes that are not committed:\n${changes.trimEnd()}`);
  }
  if (page === null) {
    found.push(
      "git's remote origin names no repository page, which npm's provenance and the links of README.md need: " +
        "git remote add origin https://...",
    );
  }
  return found;
}

async function git(...args: string[]): Promise<string> {
  return (await mustRun("git", args, { cwd: ROOT })).stdout;
}

/** Writes the list of components of the packed package beside the tarball, and returns its path. */
async function writeSbom(tarball: string): Promise<string> {
  await using folder = await temporaryFolder("sbom");
  await Deno.writeTextFile(
    `${folder.path}/package.json`,
    JSON.stringify({ name: "secure-sockets-release", version: denoJson.version, private: true }),
  );
  const cwd = folder.path;
  await npm(["install", "--ignore-scripts", "--no-audit", "--no-fund", tarball], { cwd });
  const { stdout } = await npm(["sbom", "--sbom-format", "cyclonedx", "--omit", "dev"], { cwd });
  const { components } = JSON.parse(stdout) as { components: { name: string }[] };
  if (!components.some(({ name }) => name === denoJson.name || `@winsock/${name}` === denoJson.name)) {
    throw new Error(`npm sbom does not list ${denoJson.name}`);
  }
  const path = tarball.replace(/\.tgz$/, ".cdx.json");
  await Deno.writeTextFile(path, stdout);
  return path;
}

async function step(what: string, work: () => Promise<string | void>): Promise<boolean> {
  try {
    const result = await work();
    console.log(`ok      ${what}${result ? `: ${result}` : ""}`);
    return true;
  } catch (error) {
    console.log(`FAILED  ${what}\n${(error as Error).message}`);
    return false;
  }
}

async function main(args: string[]): Promise<number> {
  if (args.includes("--help")) {
    console.log(HELP);
    return 0;
  }
  const dry = args.length === 1 && args[0] === "--dry-run";
  if (!dry && !(args.length === 1 && args[0] === "--publish")) {
    console.error(HELP);
    return 2;
  }
  const { version } = denoJson;
  const found = problems(version, {
    changelog: await Deno.readTextFile(`${ROOT}CHANGELOG.md`),
    cliVersion: VERSION,
    tags: (await git("tag", "--points-at", "HEAD")).split("\n"),
    changes: await git("status", "--porcelain"),
    page: await repository(),
  });
  for (const problem of found) console.log(`${dry ? "later " : "FAILED"}  ${problem}`);
  if (!dry && found.length > 0) return 1;

  let tarball = "";
  const publishDryRun = ["publish", "--dry-run", "--allow-dirty", "--no-check", "--quiet"];
  const done = await step("deno task ok --no-test", async () => {
    const { code, stdout } = await run(Deno.execPath(), ["run", "-A", "scripts/ok.ts", "--no-test"], {
      cwd: ROOT,
    });
    if (code !== 0) throw new Error(stdout);
  }) && await step("the npm package", async () => tarball = await buildNpm()) &&
    await step("its list of components", async () => await writeSbom(tarball)) &&
    await step("what npm would publish", async () => {
      const { stdout } = await npm(["publish", tarball, "--dry-run", "--access", "public"], { cwd: ROOT });
      return stdout.trim();
    }) &&
    await step("what JSR would publish", async () => {
      await mustRun(Deno.execPath(), publishDryRun, { cwd: ROOT });
    });
  if (!done) return 1;
  if (dry) {
    console.log("\nReady. Nothing was sent.");
    return 0;
  }
  const sent = await step("published on JSR", async () => {
    await mustRun(Deno.execPath(), ["publish"], { cwd: ROOT });
  }) && await step("published on npm", async () => {
    await npm(["publish", tarball, "--access", "public", "--provenance"], { cwd: ROOT });
  });
  return sent ? 0 : 1;
}

if (import.meta.main) {
  cleanUpWhenInterrupted();
  Deno.exit(await main(Deno.args));
}
