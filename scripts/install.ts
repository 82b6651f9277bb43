/**
 * Installs the Debian packages that tests and the demo need, where that can be done without asking: as root, on
 * Debian or a system made from it. Anywhere else it returns what to install.
 *
 * @module
 */

import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import process from "node:process";
import { findProgram, run } from "./process.ts";

const POLICY = "/usr/sbin/policy-rc.d";
const LISTS = "/var/lib/apt/lists";
const DAY_MS = 24 * 60 * 60 * 1000;

/** The options of {@linkcode ensurePackages}. */
export interface InstallOptions {
  /** Hears in one sentence what is about to be installed. Default: `console.log`. */
  say?: (sentence: string) => void;
  /** False: only look, install nothing. Default `true`. */
  install?: boolean;
}

/**
 * Makes sure that the packages named are installed.
 *
 * Resolves to null where all are, and otherwise to a sentence that names the missing ones, the reason, and how to install them.
 */
export async function ensurePackages(
  names: readonly string[],
  options: InstallOptions = {},
): Promise<string | null> {
  for (const name of names) {
    if (!/^[a-z0-9][a-z0-9+.-]+$/.test(name)) {
      throw new TypeError(`Cannot install ${JSON.stringify(name)}: it is not the name of a Debian package`);
    }
  }
  const missing = await missingPackages(names);
  if (missing.length === 0) return null;
  const wish = `install ${missing.join(" ")} (on Debian: apt-get install ${missing.join(" ")})`;
  if (options.install === false) return `nothing is to be installed by itself; ${wish}`;
  if (!isDebian()) return `this is not Debian; ${wish}`;
  if (process.getuid?.() !== 0) return `only root can install packages; ${wish}`;
  const failure = await install(missing, options.say ?? console.log);
  if (failure !== null) return `apt-get could not install ${missing.join(" ")}: ${failure}`;
  const still = await missingPackages(missing);
  return still.length === 0 ? null : `apt-get succeeded, but ${still.join(" ")} is not installed`;
}

async function missingPackages(names: readonly string[]): Promise<string[]> {
  const dpkg = findProgram("dpkg-query");
  if (dpkg === null) return [...names];
  const { stdout } = await run(dpkg, ["-W", "-f", "${Package} ${db:Status-Status}\\n", ...names]);
  const installed = new Set(stdout.split("\n").filter((line) => line.endsWith(" installed")));
  return names.filter((name) => !installed.has(`${name} installed`));
}

function isDebian(): boolean {
  return findProgram("apt-get") !== null && existsSync("/etc/debian_version");
}

async function install(names: readonly string[], say: (sentence: string) => void): Promise<string | null> {
  const apt = (...args: string[]) =>
    run("apt-get", ["-o", "DPkg::Lock::Timeout=300", "-o", "Acquire::Retries=2", ...args], {
      // Java, whose certificates a package converts, leaves a folder of figures in /tmp otherwise.
      env: { DEBIAN_FRONTEND: "noninteractive", LC_ALL: "C", JAVA_TOOL_OPTIONS: "-XX:-UsePerfData" },
    });
  const get = (...more: string[]) => apt("install", "-y", "--no-install-recommends", ...more, ...names);
  const fresh = listsAreFresh();
  // The result of update is ignored: a source that is not needed may be the one that fails.
  if (!fresh) await apt("update");
  const sizes = aptSizes((await get("--print-uris")).stdout);
  say(`Installing with apt-get: ${names.join(" ")}${sizes === null ? "" : ` (${sizes})`}`);
  const releases = [keepDaemonsDown(), keepClustersAway(names)];
  try {
    let result = await get();
    if (result.code !== 0 && fresh) {
      await apt("update");
      result = await get();
    }
    return result.code === 0 ? null : result.stderr.trim().split("\n").slice(-3).join(" ");
  } finally {
    for (const release of releases) release();
  }
}

/** A summary of what apt-get prints before it installs; null where it prints something else. */
export function aptSizes(output: string): string | null {
  const [, count] = /(\d+) newly installed/.exec(output) ?? [];
  const [, download] = /^Need to get (.+?) of archives/m.exec(output) ?? [];
  const [, disk] = /^After this operation, (.+?) of additional disk space/m.exec(output) ?? [];
  if (count === undefined || download === undefined || disk === undefined) return null;
  return `with what they need ${count} packages, ${download} to download, ${disk} on disk`;
}

function listsAreFresh(): boolean {
  if (!existsSync(LISTS) || !readdirSync(LISTS).some((name) => /Release$/.test(name))) return false;
  const renewed = [LISTS, join(LISTS, "partial")].filter(existsSync).map((path) => statSync(path).mtimeMs);
  return Date.now() - Math.max(...renewed) < DAY_MS;
}

const POLICY_TEXT = "#!/bin/sh\n# Of secure-sockets, while it installs what its tests need.\nexit 101\n";

/**
 * Debian's way to keep freshly installed daemons from starting. Another policy stays as it is; one of this script that
 * was killed is taken over, and removed.
 */
export function keepDaemonsDown(policy = POLICY): () => void {
  const isOurs = () => existsSync(policy) && readFileSync(policy, "utf8") === POLICY_TEXT;
  if (existsSync(policy) && !isOurs()) return () => {};
  writeFileSync(policy, POLICY_TEXT, { mode: 0o755 });
  return () => {
    if (isOurs()) rmSync(policy);
  };
}

const CLUSTERS = "/etc/postgresql-common/createcluster.conf";
const CLUSTERS_TEMPLATE = "/usr/share/postgresql-common/createcluster.conf";
const NO_CLUSTER =
  "\n# Of secure-sockets, while it installs what its tests need.\ncreate_main_cluster = false\n";

/**
 * Debian's way to keep a freshly installed PostgreSQL from making a cluster. The setting goes when the packages are
 * there: the file is then what it was, or what the package brings.
 */
export function keepClustersAway(
  names: readonly string[],
  path = CLUSTERS,
  template = CLUSTERS_TEMPLATE,
): () => void {
  if (!names.some((name) => /^postgresql(-\d+)?$/.test(name))) return () => {};
  const before = existsSync(path) ? readFileSync(path, "utf8").replace(NO_CLUSTER, "") : null;
  const made = mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, (before ?? "") + NO_CLUSTER);
  return () => {
    if (before !== null && before !== "") writeFileSync(path, before);
    else if (existsSync(template)) writeFileSync(path, readFileSync(template));
    else rmSync(made ?? path, { recursive: true, force: true });
  };
}

if (import.meta.main) {
  const reason = await ensurePackages(process.argv.slice(2));
  console.log(reason ?? "All are installed.");
  process.exitCode = reason === null ? 0 : 1;
}
