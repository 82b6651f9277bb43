/**
 * Runs a program in a temporary Kerberos realm in which alice has a ticket, to try the examples without a
 * domain.
 *
 * @module
 */

import { spawn } from "node:child_process";
import process from "node:process";
import { realmUnavailable, startRealm } from "../tests/rig/realm.ts";
import { PACKAGES } from "./demo.ts";
import { ensurePackages } from "./install.ts";
import { cleanUpWhenInterrupted, temporaryFolder } from "./temporary.ts";

const HELP = `Usage: deno task realm [program [argument...]]

Starts a Kerberos realm on loopback and runs the program (default: your shell) with
a ticket of alice and the keys of host/localhost and HTTP/localhost. The realm ends
with the program. The exit status is the program's.

Example: deno task realm deno run -A examples/echo_server.ts`;

async function main([program = process.env.SHELL ?? "sh", ...args]: string[]): Promise<number> {
  if (program === "--help") {
    console.log(HELP);
    return 0;
  }
  const missing = realmUnavailable() === null ? null : await ensurePackages(PACKAGES);
  if (missing !== null) {
    console.error(`Cannot start a realm: ${missing}`);
    return 1;
  }
  await using folder = await temporaryFolder("realm");
  await using realm = await startRealm({ dir: folder.path });
  await realm.kinit("alice");
  const child = spawn(program, args, { env: { ...process.env, ...realm.env }, stdio: "inherit" });
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  child.on("error", reject);
  child.on("close", (code) => resolve(code ?? 128));
  return await promise;
}

if (import.meta.main) {
  cleanUpWhenInterrupted();
  process.exitCode = await main(process.argv.slice(2));
}
