/**
 * `deno task test`: prepares the real peers, runs the tests on Deno, and closes with one line of figures.
 *
 * @module
 */

import { ensureDotnet } from "../tests/rig/dotnet.ts";
import { IMPORT_MAP, writeImportMap } from "./import_map.ts";
import { ensurePackages } from "./install.ts";
import { closing, readJUnit, skipReason, type Tally } from "./junit.ts";
import { run } from "./process.ts";
import { ROOT } from "./root.ts";

const HELP = `Usage: deno task test [--no-install] [arguments of deno test]

Runs tests/ on Deno, apart from tests/windows and tests/npm, which have tasks of their own.
Every argument but these two goes to deno test: files, folders, --filter, --fail-fast ...

  --no-install  install no Debian packages, fetch no .NET; tests that need them are skipped
  --help        show this

Examples:
  deno task test
  deno task test tests/ffi --filter struct

Tests that cannot run here are listed at the end, each with its reason. The exit code is 0 where at least one
test ran and none failed.`;

/** Debian packages with the real peers, and with what compiles test fixtures. */
export const PACKAGES: readonly string[] = [
  "krb5-kdc",
  "krb5-admin-server",
  "krb5-user",
  "gss-ntlmssp",
  "winbind",
  "slapd",
  "ldap-utils",
  "libsasl2-modules-gssapi-mit",
  "dovecot-imapd",
  "dovecot-gssapi",
  "dovecot-submissiond",
  "gcc",
  "libc6-dev",
  "libkrb5-dev",
];
const OWN_TASKS = ["tests/windows", "tests/npm"];
const REPORT = `${ROOT}.cache/junit.xml`;

/** Makes ready what the tests talk to, and says what could not be. */
export async function preparePeers(install: boolean): Promise<void> {
  const missing = await ensurePackages(PACKAGES, { install });
  if (missing !== null) console.log(`Peers: some tests will be skipped: ${missing}`);
  const dotnet = await ensureDotnet({ install });
  if ("reason" in dotnet) console.log(`Peers: .NET tests will be skipped: ${dotnet.reason}`);
}

/** The tally of a run on Deno, set right where its report is not: modules that could not be run, filtered tests. */
export function denoTally(xml: string, output: string, code: number): Tally {
  const tally = readJUnit(xml);
  // deno-lint-ignore no-control-regex
  const plain = output.replace(/\x1b\[[0-9;]*m/g, "");
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
  await preparePeers(!args.includes("--no-install"));
  const rest = args.filter((arg) => arg !== "--no-install");
  const paths = await Promise.all(rest.map((arg) => Deno.stat(arg).then(() => true, () => false)));
  if (!paths.includes(true)) rest.unshift("tests", `--ignore=${OWN_TASKS.join(",")}`);
  await Deno.remove(REPORT).catch(() => {});
  const fixed = ["test", "-A", "--import-map", IMPORT_MAP, `--junit-path=${REPORT}`];
  const { code, stdout } = await run(Deno.execPath(), [...fixed, ...rest], {
    show: true,
    env: Deno.stdout.isTerminal() && !Deno.env.get("NO_COLOR") ? { FORCE_COLOR: "1" } : {},
  });
  const xml = await Deno.readTextFile(REPORT).catch(() => "");
  const tally = denoTally(xml, stdout, code);
  console.log(closing(tally, stdout));
  return tally.failed.length === 0 && tally.passed > 0 ? 0 : 1;
}

if (import.meta.main) Deno.exit(await main(Deno.args));
