/**
 * `deno task test`: prepares the real peers, runs the tests on Deno, and closes with one line of figures.
 *
 * @module
 */

import { AD_PACKAGES } from "../tests/rig/ad_dc.ts";
import { APACHE_PACKAGES } from "../tests/rig/apache.ts";
import { BROWSER_PACKAGES } from "../tests/rig/browsers.ts";
import { DOVECOT_PACKAGES } from "../tests/rig/dovecot.ts";
import { NGINX_PACKAGES } from "../tests/rig/nginx.ts";
import { SLAPD_PACKAGES } from "../tests/rig/slapd.ts";
import { SQUID_PACKAGES } from "../tests/rig/squid.ts";
import { dotnetToFetch, ensureDotnet } from "../tests/rig/dotnet.ts";
import { IMPORT_MAP, writeImportMap } from "./import_map.ts";
import { ensurePackages } from "./install.ts";
import { closing, readJUnit, skipReason, type Tally } from "./junit.ts";
import { run } from "./process.ts";
import { ROOT } from "./root.ts";
import { cleanUpWhenInterrupted, type TemporaryFolder, temporaryFolder } from "./temporary.ts";

const HELP = `Usage: deno task test [--no-install] [arguments of deno test]

Runs tests/ on Deno, apart from tests/windows and tests/npm, which have separate tasks.
Every argument but these two goes to deno test: files, folders, --filter, --fail-fast ...
Without a file or folder all run, and tests that pass are not shown one by one.

  --no-install  install no Debian packages, fetch no .NET; tests that need them are skipped
  --help        show this

Examples:
  deno task test
  deno task test tests/ffi --filter struct

Tests that cannot run here are listed at the end, each with its reason. The exit code is 0 where at least one
test ran and none failed, and none left a temporary file.`;

/** Debian packages with the real peers, and with what compiles test fixtures. */
export const PACKAGES: readonly string[] = [
  "krb5-kdc",
  "krb5-admin-server",
  "krb5-user",
  "gss-ntlmssp",
  ...AD_PACKAGES,
  "postgresql",
  "python3-gssapi",
  "python3-impacket",
  "libgssapi3-heimdal",
  "openjdk-17-jdk-headless",
  ...SLAPD_PACKAGES,
  ...SQUID_PACKAGES,
  ...DOVECOT_PACKAGES,
  ...APACHE_PACKAGES,
  ...NGINX_PACKAGES,
  ...BROWSER_PACKAGES,
  "python3-requests-kerberos",
  "debootstrap",
  "adcli",
  "zsh",
  "fish",
  "gcc",
  "libc6-dev",
  "libkrb5-dev",
];
const OWN_TASKS = ["tests/windows", "tests/npm"];

/**
 * Prepares the tests' peers, and prints which are unavailable. First it prints how much it installs and
 * fetches, and how long the tests take (`duration`; null where only some of them run).
 */
export async function preparePeers(install: boolean, duration: string | null): Promise<void> {
  if (duration !== null) console.log(`All tests take about ${duration} on two cores`);
  const fetched = install ? dotnetToFetch() : null;
  if (fetched !== null) console.log(fetched);
  const missing = await ensurePackages(PACKAGES, { install });
  if (missing !== null) console.log(`Peers: some tests will be skipped: ${missing}`);
  const dotnet = await ensureDotnet({ install });
  if ("reason" in dotnet) console.log(`Peers: .NET tests will be skipped: ${dotnet.reason}`);
}

/** The folder for what tests write; they become other users, who open files below it. */
export function testFolder(): Promise<TemporaryFolder> {
  return temporaryFolder("tests", 0o711);
}

/** Runs tests on Deno in a temporary folder of their own, and shows what {@linkcode isWorthShowing}. */
export async function runOnDeno(
  args: readonly string[],
  env: Record<string, string>,
  all: boolean,
): Promise<[Tally, string]> {
  await using folder = await testFolder();
  const color = Deno.stdout.isTerminal() && !Deno.env.get("NO_COLOR") ? { FORCE_COLOR: "1" } : {};
  const report = `${folder.path}/junit.xml`;
  const fixed = ["test", "-A", "--import-map", IMPORT_MAP, `--junit-path=${report}`];
  const { code, stdout } = await run(Deno.execPath(), [...fixed, ...args], {
    cwd: ROOT,
    show: (line) => isWorthShowing(line, all),
    env: { ...color, ...env, ...folder.env },
  });
  const tally = denoTally(await Deno.readTextFile(report).catch(() => ""), stdout, code);
  await Deno.remove(report).catch(() => {});
  tally.failed.push(...await leftBehind(folder));
  return [tally, stdout];
}

/** Whether a line of `deno test` reports more than a passed or skipped test; with chosen tests those are shown too. */
export function isWorthShowing(line: string, all: boolean): boolean {
  const plain = withoutColor(line);
  return !/^Check /.test(plain) && !(all && / \.\.\. (ok|ignored) \(/.test(plain));
}

/** What tests left in the folder that was theirs, as failures. */
export async function leftBehind(folder: TemporaryFolder): Promise<string[]> {
  return (await folder.list()).map((name) => `a test left ${name} behind among the temporary files`);
}

function withoutColor(text: string): string {
  // deno-lint-ignore no-control-regex
  return text.replace(/\x1b\[[0-9;]*m/g, "");
}

/** The tally of a run on Deno, corrected where its report is wrong: modules that could not be run, filtered tests. */
export function denoTally(xml: string, output: string, code: number): Tally {
  const tally = readJUnit(xml);
  const plain = withoutColor(output);
  for (const [, file] of plain.matchAll(/^Uncaught error from (\S+) FAILED$/gm)) tally.failed.push(file);
  if (/ filtered out /.test(plain)) {
    tally.skipped = tally.skipped.filter((name) => skipReason(name, plain) !== null);
  }
  if (code !== 0 && tally.failed.length === 0) tally.failed.push(`deno test ended with ${code}`);
  return tally;
}

async function main(args: string[]): Promise<number> {
  if (args.includes("--help")) {
    console.log(HELP);
    return 0;
  }
  console.log(await writeImportMap());
  const rest = args.filter((arg) => arg !== "--no-install");
  const paths = await Promise.all(rest.map((arg) => Deno.stat(arg).then(() => true, () => false)));
  const all = !paths.includes(true) && !rest.some((arg) => arg.startsWith("--filter"));
  if (!paths.includes(true)) rest.unshift("tests", `--ignore=${OWN_TASKS.join(",")}`);
  await preparePeers(!args.includes("--no-install"), all ? "12 minutes" : null);
  const [tally, output] = await runOnDeno(rest, {}, all);
  console.log(closing(tally, output));
  return tally.failed.length === 0 && tally.passed > 0 ? 0 : 1;
}

if (import.meta.main) {
  cleanUpWhenInterrupted();
  Deno.exit(await main(Deno.args));
}
