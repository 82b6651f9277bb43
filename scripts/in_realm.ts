/**
 * Runs a program in a temporary Kerberos realm in which alice has a ticket, to try the examples without a
 * domain.
 *
 * @module
 */

import { spawn } from "node:child_process";
import process from "node:process";
import { parseArgs } from "node:util";
import { postgresUnavailable, startPostgres } from "../tests/rig/postgres.ts";
import { realmUnavailable, startRealm } from "../tests/rig/realm.ts";
import { PACKAGES } from "./demo.ts";
import { ensurePackages } from "./install.ts";
import { cleanUpWhenInterrupted, temporaryFolder } from "./temporary.ts";

const HELP = `Usage: deno task realm [--postgres] [--no-install] [program [argument...]]

Starts a Kerberos realm on loopback and runs the program (default: your shell) with
a ticket of alice and the keys of host/localhost and HTTP/localhost. The realm ends
with the program. The exit status is the program's.

  --postgres    also start a PostgreSQL server that accepts alice's ticket, with its
                address in PGHOST, PGPORT, PGUSER and PGDATABASE
  --no-install  install nothing; without it the servers are installed where they are
                missing (as root, on Debian)

Example: deno task realm deno run -A examples/echo_server.ts`;

async function main(given: string[]): Promise<number> {
  const end = given.findIndex((word) => !word.startsWith("-"));
  const [program = process.env.SHELL ?? "sh", ...args] = end === -1 ? [] : given.slice(end);
  const { values: flags } = parseArgs({
    args: end === -1 ? given : given.slice(0, end),
    options: {
      postgres: { type: "boolean", default: false },
      "no-install": { type: "boolean", default: false },
      help: { type: "boolean" },
    },
  });
  if (flags.help) {
    console.log(HELP);
    return 0;
  }
  const lacking = realmUnavailable() !== null || (flags.postgres && postgresUnavailable() !== null);
  const packages = flags.postgres ? [...PACKAGES, "postgresql"] : PACKAGES;
  const missing = lacking ? await ensurePackages(packages, { install: !flags["no-install"] }) : null;
  if (missing !== null) {
    console.error(`Cannot start a realm: ${missing}`);
    return 1;
  }
  await using folder = await temporaryFolder("realm");
  await using realm = await startRealm({ dir: folder.path });
  await realm.kinit("alice");
  await using postgres = flags.postgres ? await startPostgres(realm) : null;
  const database = postgres === null ? {} : {
    PGHOST: "localhost",
    PGPORT: String(postgres.port),
    PGUSER: "alice",
    PGDATABASE: "postgres",
  };
  const child = spawn(program, args, {
    env: { ...process.env, ...realm.env, ...database },
    stdio: "inherit",
  });
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  child.on("error", reject);
  child.on("close", (code) => resolve(code ?? 128));
  return await promise;
}

if (import.meta.main) {
  cleanUpWhenInterrupted();
  try {
    process.exitCode = await main(process.argv.slice(2));
  } catch (error) {
    console.error((error as Error).message);
    process.exitCode = error instanceof TypeError ? 2 : 1;
  }
}
