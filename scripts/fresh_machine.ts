/**
 * `deno task fresh-machine`: runs the commands of README.md and docs/ on a Debian system where nothing is installed,
 * as a new user would, and compares what they print with the pages.
 *
 * @module
 */

import { readdirSync } from "node:fs";
import process from "node:process";
import { parseArgs } from "node:util";
import { namespacesUnavailable } from "../tests/rig/daemon.ts";
import { isolate } from "../tests/rig/windows/namespace.ts";
import { cached, once } from "./cache.ts";
import { DEBIAN_MIRROR } from "../tests/rig/windows/versions.ts";
import { ensurePackages } from "./install.ts";
import { type Account, ACCOUNTS, type FreshJob } from "./fresh_machine_job.ts";
import { ensureNode, ensureNpm } from "./node.ts";
import { mustRun } from "./process.ts";
import { ROOT } from "./root.ts";
import { cleanUpWhenInterrupted, temporaryFolder } from "./temporary.ts";

/** The releases, by their numbers. */
const RELEASES: Readonly<Record<string, string>> = { "12": "bookworm", "13": "trixie" };

const HELP = `Usage: deno task fresh-machine [--short] [--debian 12|13] [--account ACCOUNT] [--suite]

Makes a Debian system with debootstrap (kept in ~/.cache/secure-sockets), puts Node from the npm registry and a clone
of the last commit there, and runs the commands of README.md and docs/*.md: blocks marked sh, and blocks marked
console, whose output must be what the page shows. All that it writes is in memory, in Linux namespaces of its own:
nothing stays, mounted or running, however it ends. Needs root with CAP_SYS_ADMIN.

  --short            README.md alone, on Debian 12, as a user: about a minute
  --debian NUMBER    12 or 13 alone
  --account ACCOUNT  ${ACCOUNTS.join(", ")}; left out: each in turn
  --suite            the test suite too, where a page names it
  --help             show this

A command that needs something of a reader's own network is listed with the reason why it is not run.
Exit status: 0 every command did what its page says; 1 one did not; 2 the command is wrong.`;

/** Why no fresh machine can be made here, as a sentence that says what to do; null where one can. */
export function freshMachineUnavailable(): string | null {
  if (process.platform !== "linux" || process.arch !== "x64") {
    return "a fresh machine is made on Linux, x64 alone";
  }
  return namespacesUnavailable();
}

/** Makes the system of a release in the cache, where it is missing. */
async function ensureDebian(number: string): Promise<string> {
  const folder = cached(`debian-${number}-minbase`);
  await once(folder, async (draft) => {
    const missing = await ensurePackages(["debootstrap", "debian-archive-keyring"]);
    if (missing !== null) throw new Error(`Debian ${number} cannot be made: ${missing}`);
    console.log(`Debian ${number}: debootstrap (about half a minute)`);
    await Deno.chmod(draft, 0o755);
    await mustRun("debootstrap", ["--variant=minbase", RELEASES[number], draft, DEBIAN_MIRROR]);
  });
  return folder;
}

/** The variables by which this machine reaches the registries; files that they name are copied. */
function reaching(): Record<string, string> {
  const names = /^(https?_proxy|no_proxy|npm_config_registry|NODE_EXTRA_CA_CERTS|SSL_CERT_FILE|DENO_CERT)$/i;
  return Object.fromEntries(
    Object.entries(Deno.env.toObject()).filter(([name]) => names.test(name)),
  );
}

async function runOne(
  debian: string,
  account: Account,
  flags: { short: boolean; suite: boolean },
): Promise<number> {
  await using folder = await temporaryFolder("fresh");
  const clone = `${folder.path}/secure-sockets`;
  await mustRun("git", ["clone", "--quiet", "--no-hardlinks", ROOT, clone]);
  await Deno.mkdir(cached("mnt"), { recursive: true });
  const docs = readdirSync(`${clone}/docs`).filter((name) => name.endsWith(".md")).map((name) =>
    `docs/${name}`
  );
  const job: FreshJob = {
    name: `Debian ${debian}, ${account}`,
    debian: await ensureDebian(debian),
    mountPoint: cached("mnt"),
    clone,
    node: await ensureNode(22),
    npm: await ensureNpm(),
    deno: Deno.version.deno,
    account,
    pages: flags.short ? ["README.md"] : ["README.md", ...docs],
    suite: flags.suite,
    env: reaching(),
  };
  const script = new URL("./fresh_machine_inside.ts", import.meta.url);
  const inside = isolate(script, [JSON.stringify(job)], { network: "host" });
  return await inside.ended;
}

async function main(args: string[]): Promise<number> {
  const { values } = parseArgs({
    args,
    options: {
      short: { type: "boolean", default: false },
      debian: { type: "string" },
      account: { type: "string" },
      suite: { type: "boolean", default: false },
      help: { type: "boolean" },
    },
  });
  if (values.help) {
    console.log(HELP);
    return 0;
  }
  const { short, suite } = values;
  const releases = values.debian !== undefined ? [values.debian] : short ? ["12"] : Object.keys(RELEASES);
  const accounts = values.account !== undefined
    ? [values.account as Account]
    : short
    ? ["user" as const]
    : ACCOUNTS;
  if (!releases.every((one) => Object.hasOwn(RELEASES, one))) throw new TypeError("--debian is 12 or 13");
  if (!accounts.every((one) => ACCOUNTS.includes(one))) {
    throw new TypeError(`--account is one of ${ACCOUNTS.join(", ")}`);
  }
  const unavailable = freshMachineUnavailable();
  if (unavailable !== null) {
    console.error(`Cannot make a fresh machine: ${unavailable}`);
    return 1;
  }
  let worst = 0;
  for (const release of releases) {
    for (const account of accounts) worst = Math.max(worst, await runOne(release, account, { short, suite }));
  }
  return worst === 0 ? 0 : 1;
}

if (import.meta.main) {
  cleanUpWhenInterrupted();
  try {
    Deno.exitCode = await main(Deno.args);
  } catch (error) {
    console.error((error as Error).message);
    Deno.exitCode = error instanceof TypeError ? 2 : 1;
  }
}
