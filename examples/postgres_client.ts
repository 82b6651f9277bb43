/**
 * Queries a PostgreSQL server as the Kerberos user who runs it, without a password, over an encrypted connection.
 *
 * ```sh
 * kinit alice@EXAMPLE.TEST
 * deno run --allow-net --allow-ffi --allow-env examples/postgres_client.ts db.example.test 5432 alice sales
 * ```
 *
 * @module
 */

import process from "node:process";
import pg from "pg";
import { postgresStream, securityOf } from "@winsock/secure-sockets/postgres";

const [host = "localhost", port = "5432", user = "alice", database = user] = process.argv.slice(2);

const client = new pg.Client({ host, port: Number(port), user, database, stream: postgresStream() });
await client.connect();

const { confidentiality, peer } = securityOf(client);
const { rows: [{ principal }] } = await client.query(
  "select principal from pg_stat_gssapi where pid = pg_backend_pid()",
);
console.log(`${peer} sees ${principal}, ${confidentiality ? "encrypted" : "readable by anyone"}`);
await client.end();
