/** node-postgres, unmodified, against a real PostgreSQL server, by the stream of ./postgres. */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { test } from "@test";
import pg from "pg";
import { AuthenticationError, ProtocolError, SecurityRequirementError, StateError } from "../../errors.ts";
import { kerberos } from "../../plugins/negotiate/mod.ts";
import { createRegistry } from "../../plugins/registry.ts";
import { postgresStream, type PostgresStreamOptions, securityOf } from "../../postgres/mod.ts";
import { inRealm, noRealm } from "../support/kerberos.ts";
import { type Postgres, postgresUnavailable, startPostgres } from "../rig/postgres.ts";
import type { Realm } from "../rig/realm.ts";

const skip = noRealm ?? postgresUnavailable();
const STATE = "select gss_authenticated, encrypted, principal from pg_stat_gssapi where pid = pg_backend_pid()";

interface Given extends PostgresStreamOptions {
  readonly database?: string;
  readonly port?: number;
  readonly host?: string;
  readonly password?: string;
}

const withServer = (body: (server: Postgres, client: (given?: Given) => pg.Client, realm: Realm) => Promise<void>) =>
  inRealm(async (realm, system) => {
    await using server = await startPostgres(realm);
    await body(
      server,
      ({ database = "postgres", port = server.port, host = "localhost", password, ...options } = {}) =>
        new pg.Client({
          host,
          port,
          user: "alice",
          database,
          password,
          stream: postgresStream({ system, ...options }) as () => PostgresDuplex,
        }),
      realm,
    );
  });
type PostgresDuplex = ReturnType<ReturnType<typeof postgresStream>>;

async function using_<T>(client: pg.Client, body: (client: pg.Client) => Promise<T>): Promise<T> {
  await client.connect();
  try {
    return await body(client);
  } finally {
    await client.end();
  }
}

test(
  "the server sees the principal, encrypted by default and in clear only by name, and the client sees the server",
  () =>
    withServer(async (_, client) => {
      for (const encryption of [undefined, "require", "prefer", "disable"] as const) {
        await using_(client({ encryption }), async (client) => {
          const encrypted = encryption !== "disable";
          const { rows } = await client.query(STATE);
          assertEquals(rows, [{ gss_authenticated: true, encrypted, principal: "alice@MIT.TEST" }]);
          const { confidentiality, integrity, mutualAuthentication, mechanism, peer } = securityOf(client);
          assertEquals(
            [confidentiality, integrity, mutualAuthentication, mechanism],
            [encrypted, encrypted, true, "kerberos"],
          );
          assert(peer.startsWith("postgres/localhost"), peer);
        });
      }
    }),
  { skip },
);
