/**
 * `deno run -A bench/postgres.ts`: measures the time of a result of 100 MB from a real PostgreSQL server over GSS encryption,
 * with node-postgres and the library's stream, and with psql and libpq; and both without encryption.
 *
 * @module
 */

import process from "node:process";
import pg from "pg";
import { parseArgs } from "node:util";
import { postgresStream } from "@winsock/secure-sockets/postgres";
import { findProgram, mustRun } from "../scripts/process.ts";
import { startPostgres } from "../tests/rig/postgres.ts";
import { startRealm } from "../tests/rig/realm.ts";
import { median } from "./table.ts";

const HELP = `Usage: deno run -A bench/postgres.ts [--rounds N] [--help]

Fetches 100 rows of 1 MiB, N times each (default 7), the peers taking turns, and prints the median of the MiB a
second and of each round's ratio. What a program needs to start and to connect is measured by a query of nothing,
and subtracted.

Needs a Kerberos server and a PostgreSQL server with psql to start. Exit status: 0 measured; 2 the command is wrong.`;

const MIB = 100;
const QUERY = `select repeat('x', 1024 * 1024) from generate_series(1, ${MIB})`;
const NOTHING = "select 1";

/** Seconds that each peer takes for a query. */
type Peer = (query: string) => Promise<number>;

async function seconds(body: () => Promise<unknown>): Promise<number> {
  const begun = performance.now();
  await body();
  return (performance.now() - begun) / 1000;
}

function ours(port: number, encryption: "require" | "disable"): Peer {
  const stream = postgresStream({ encryption });
  return (query) =>
    seconds(async () => {
      const client = new pg.Client({ host: "localhost", port, user: "alice", database: "postgres", stream });
      await client.connect();
      await client.query(query);
      await client.end();
    });
}

function psql(port: number, gssencmode: "require" | "disable"): Peer {
  const to =
    `host=localhost port=${port} user=alice dbname=postgres gssencmode=${gssencmode} sslmode=disable`;
  const args = ["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "-o", "/dev/null", "-d", to, "-c"];
  return (query) => seconds(() => mustRun(findProgram("psql")!, [...args, query]));
}

async function main(): Promise<number> {
  const { values } = parseArgs({ options: { rounds: { type: "string" }, help: { type: "boolean" } } });
  const rounds = Number(values.rounds ?? 7);
  if (values.help || !Number.isInteger(rounds) || rounds < 1) {
    console.log(HELP);
    return values.help ? 0 : 2;
  }
  await using realm = await startRealm();
  await using server = await startPostgres(realm);
  const restore = realm.applyEnv();
  await realm.kinit("alice");
  for (const encryption of ["require", "disable"] as const) {
    const peers = { ours: ours(server.port, encryption), psql: psql(server.port, encryption) };
    const rates: { [name: string]: number[] } = { ours: [], psql: [] };
    for (let round = 0; round <= rounds; round++) {
      for (const [name, peer] of Object.entries(peers)) {
        const rate = MIB / (await peer(QUERY) - await peer(NOTHING));
        // The first round warms up.
        if (round > 0) rates[name].push(rate);
      }
    }
    const ratio = median(rates.ours.map((rate, round) => rate / rates.psql[round]))!;
    console.log(
      `${encryption === "require" ? "GSS encryption" : "no encryption "}  node-postgres ${
        median(rates.ours)!.toFixed(0)
      } MiB/s, psql ${median(rates.psql)!.toFixed(0)} MiB/s, ratio ${ratio.toFixed(2)}`,
    );
  }
  restore();
  return 0;
}

process.exit(await main());
