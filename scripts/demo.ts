/**
 * `deno task demo`: shows connections of the library, and what it refuses, in a temporary Kerberos realm where one is available.
 *
 * @module
 */

import { showDirectory } from "./demo/directory.ts";
import { showSimulatedIpsec } from "./demo/ipsec.ts";
import { showKerberos } from "./demo/kerberos.ts";
import { showNtlm, showNtlmBriefly } from "./demo/ntlm.ts";
import { allFine, paint, say, section } from "./demo/screen.ts";
import { ensurePackages } from "./install.ts";
import { realmUnavailable, startRealm } from "../tests/rig/realm.ts";
import { cleanUpWhenInterrupted, temporaryFolder } from "./temporary.ts";

const HELP = `Usage: deno task demo [--directory] [--no-install] [--help]

Starts a Kerberos realm on loopback, connects a client to a server over TCP with the
library, shows what each end knows about the other and what is visible on the wire, and
then tries what must be refused. HTTP sign-on follows, NTLM, and IPsec between simulated
computers.
Without a realm it shows NTLM instead of Kerberos, and prints what to install.
It removes everything when it ends.

  --directory   also install, find and prove a service of an Active Directory domain
                of Samba (root; the first time some twenty seconds more)
  --no-install  install nothing; without it the KDC is installed where it is missing
                (as root, on Debian)

NO_COLOR is honoured. Exit status: 0 every step had the expected result, 1 one had not.`;

/** Debian packages with a Kerberos server. */
export const PACKAGES: readonly string[] = ["krb5-kdc", "krb5-admin-server", "krb5-user"];

/** Runs the parts, and returns how long they took, in milliseconds; setting up the realm does not count. */
async function withRealm(): Promise<number> {
  const began = performance.now();
  await using folder = await temporaryFolder("demo");
  await using realm = await startRealm({ dir: folder.path });
  const restore = realm.applyEnv();
  try {
    await realm.kinit("alice");
    const ready = performance.now();
    await showKerberos(realm, ready - began);
    await showNtlmBriefly();
    await showSimulatedIpsec();
    return performance.now() - ready;
  } finally {
    restore();
  }
}

async function withoutRealm(reason: string): Promise<number> {
  const began = performance.now();
  await showNtlm();
  await showSimulatedIpsec();
  section("What was not shown: Kerberos");
  say("because", reason);
  return performance.now() - began;
}

/** Runs it; the result is the exit status. */
export async function main(args: string[]): Promise<number> {
  const unknown = args.find((arg) => !["--directory", "--help", "--no-install"].includes(arg));
  if (args.includes("--help") || unknown !== undefined) {
    console.log(unknown === undefined ? HELP : `There is no ${unknown}; see --help`);
    return unknown === undefined ? 0 : 1;
  }
  const missing = await ensurePackages(PACKAGES, { install: !args.includes("--no-install") });
  const unavailable = realmUnavailable();
  const tookMs = unavailable === null ? await withRealm() : await withoutRealm(missing ?? unavailable);
  if (args.includes("--directory")) await showDirectory();
  else console.log("\n   With --directory: a service of an Active Directory domain, found.");
  const verdict = allFine() ? paint("green", "All as it should be") : paint("red", "NOT as it should be");
  const left = unavailable === null ? "" : ", without Kerberos";
  console.log(`\n${verdict}${left}, in ${(tookMs / 1000).toFixed(2)} s.`);
  return allFine() ? 0 : 1;
}

if (import.meta.main) {
  cleanUpWhenInterrupted();
  Deno.exitCode = await main(Deno.args);
}
