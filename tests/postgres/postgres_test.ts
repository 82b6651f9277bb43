/** node-postgres, unmodified, against a real PostgreSQL server, by the stream of ./postgres. */

import { createHash } from "node:crypto";
import { assert, assertEquals, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import { test } from "@test";
import pg from "pg";
import { AuthenticationError, ProtocolError, SecurityRequirementError, StateError } from "../../errors.ts";
import { kerberos } from "../../plugins/negotiate/mod.ts";
import { createRegistry } from "../../plugins/registry.ts";
import { postgresStream, securityOf } from "../../postgres/mod.ts";
import { postgresUnavailable } from "../rig/postgres.ts";
import { freePort } from "../rig/realm.ts";
import { flippingProxy } from "../support/flipping_proxy.ts";
import { noRealm } from "../support/kerberos.ts";
import { type Client, clientOf, connected, withServer } from "../support/postgres.ts";

const skip = noRealm ?? postgresUnavailable();
const STATE =
  "select gss_authenticated, encrypted, principal from pg_stat_gssapi where pid = pg_backend_pid()";
const MB = 1024 * 1024;

test(
  "the server sees the principal; the connection is encrypted by default, and in clear only by name",
  () =>
    withServer(async (client) => {
      for (const encryption of [undefined, "require", "prefer", "disable"] as const) {
        await connected(client(encryption && { encryption }), async (client) => {
          const encrypted = encryption !== "disable";
          const { rows } = await client.query(STATE);
          assertEquals(rows, [{ gss_authenticated: true, encrypted, principal: "alice@MIT.TEST" }]);
          const { confidentiality, integrity, mutualAuthentication, mechanism, peer } = securityOf(client);
          assertEquals(
            [confidentiality, integrity, mutualAuthentication, mechanism, peer],
            [encrypted, encrypted, true, "kerberos", "postgres/localhost"],
          );
        });
      }
    }),
  { skip },
);

test(
  "100 MB come and 100 MB go, unchanged",
  () =>
    withServer(async (client) => {
      for (const encryption of ["require", "disable"] as const) {
        await connected(client({ encryption }), async (client) => {
          const { rows } = await client.query<{ part: string }>(
            `select repeat(chr(32 + n % 90), ${MB}) part from generate_series(1, 100) n`,
          );
          assertEquals(rows.length, 100);
          for (const [index, { part }] of rows.entries()) {
            assert(part === String.fromCharCode(32 + (index + 1) % 90).repeat(MB), `part ${index}`);
          }
          const sent = rows.map(({ part }) => part).join("");
          const answer = await client.query<{ n: number; hash: string }>(
            "select length($1::text) n, md5($1::text) hash",
            [sent],
          );
          assertEquals(answer.rows, [{ n: 100 * MB, hash: createHash("md5").update(sent).digest("hex") }]);
        });
      }
    }),
  { skip },
);

test(
  "what nobody reads waits at the server, not in memory",
  () =>
    withServer(async (client) => {
      for (const encryption of ["require", "disable"] as const) {
        await connected(client({ encryption }), async (client) => {
          const { stream } = client.connection;
          const answer = client.query<{ part: string }>(
            `select repeat('x', ${MB}) part from generate_series(1, 50)`,
          );
          stream.pause();
          let most = 0;
          for (let same = 0, before = -1; same < 20; same = before === stream.readableLength ? same + 1 : 0) {
            before = stream.readableLength;
            most = Math.max(most, before);
            await new Promise((resolve) => setTimeout(resolve, 5));
          }
          assert(most > 0 && most <= stream.readableHighWaterMark + 64 * 1024, `${most} bytes`);
          stream.resume();
          assertEquals((await answer).rows.length, 50);
        });
      }
    }),
  { skip },
);

test(
  "one flipped bit of a record ends the connection with an error",
  () =>
    withServer(async (client, server) => {
      await using proxy = await flippingProxy(server.port);
      // The length, the record's header, the data of the first record, and that of the second.
      const faults = [[0, "oversized"], [4, "malformed"], [50, "altered"], [20_000, "altered"]] as const;
      for (const [at, reason] of faults) {
        const victim = client({ port: proxy.port });
        await victim.connect();
        const failed = new Promise<Error>((resolve) => victim.on("error", resolve));
        proxy.flipAfter(at);
        await assertRejects(() => victim.query("select repeat('x', 30000)"), ProtocolError);
        assertEquals([(await failed as ProtocolError).reason, victim.connection.stream.destroyed], [
          reason,
          true,
        ]);
      }
    }),
  { skip },
);

test(
  "a real server that trusts everybody, or asks for a password, is refused where nothing else proves who it is",
  () =>
    withServer(async (client, server) => {
      const trusting = client({ encryption: "disable", database: "template1" });
      const early = await assertRejects(
        () => trusting.connect(),
        AuthenticationError,
        "before it had proved",
      );
      assertEquals(early.reason, "peer-refused");
      assertThrows(() => securityOf(trusting), StateError);
      const asking = client({ encryption: "disable", database: "password", password: "Alice1234!" });
      const asked = await assertRejects(
        () => asking.connect(),
        AuthenticationError,
        "Have pg_hba.conf say gss",
      );
      assertEquals(asked.reason, "mechanism");
      assert(!server.log().includes("password authentication failed"));
    }),
  { skip },
);

test(
  "inside GSS encryption the server may ask for a password, which the driver answers",
  () =>
    withServer(async (client) => {
      await connected(client({ database: "template1", password: "Alice1234!" }), async (client) => {
        const { rows } = await client.query(STATE);
        assertEquals(rows, [{ gss_authenticated: false, encrypted: true, principal: "" }]);
      });
      await assertRejects(
        () => client({ database: "template1", password: "wrong" }).connect(),
        Error,
        "password authentication failed",
      );
    }),
  { skip },
);

test(
  "a query can be cancelled, over a connection that is protected as the first one is",
  () =>
    withServer(async (client) => {
      for (const encryption of ["require", "disable"] as const) {
        await connected(client({ encryption }), async (running) => {
          const query = new pg.Query("select pg_sleep(600)");
          const outcome = new Promise<Error>((resolve) => query.on("error", resolve));
          (running as unknown as { query(query: unknown): void }).query(query);
          // A request that comes before the query runs cancels nothing.
          await connected(client(), async (watching) => {
            const sleeping =
              "select wait_event from pg_stat_activity where pid = $1 and wait_event = 'PgSleep'";
            while ((await watching.query(sleeping, [running.processID])).rows.length === 0);
          });
          const canceller = client({ encryption }) as Client & {
            cancel(client: Client, query: unknown): void;
          };
          canceller.cancel(running, query);
          assertStringIncludes((await outcome).message, "canceling statement due to user request");
          assertEquals((await running.query("select 1 as one")).rows, [{ one: 1 }]);
        });
      }
    }),
  { skip },
);

test(
  "a pool of 10 connections serves 100 queries",
  () =>
    withServer(async (_, server, __, system) => {
      const stream = postgresStream({ system });
      const pool = new pg.Pool({
        host: "localhost",
        port: server.port,
        user: "alice",
        database: "postgres",
        stream,
      });
      const numbers = Array.from({ length: 100 }, (_, index) => index);
      const twice = await Promise.all(numbers.map(async (number): Promise<number> => {
        const { rows } = await pool.query("select $1::int * 2 as twice", [number]);
        return rows[0].twice;
      }));
      assertEquals(twice, numbers.map((number) => number * 2));
      await pool.end();
    }),
  { skip },
);

test(
  "errors of the server, of Kerberos and of the network say which end failed and what to do",
  () =>
    withServer(async (client, server, realm) => {
      await assertRejects(() => client({ database: "nowhere" }).connect(), Error, "no pg_hba.conf entry");
      const unknown = await assertRejects(
        () => client({ target: "postgres/other.mit.test" }).connect(),
        AuthenticationError,
      );
      assertEquals(unknown.reason, "unknown-target");
      // A key that the server does not have: PostgreSQL says so in its log alone.
      const other = await assertRejects(
        () => client({ target: "HTTP/localhost" }).connect(),
        AuthenticationError,
        "read the server's log",
      );
      assertEquals(other.reason, "peer-closed");
      assertStringIncludes(server.log(), "could not accept GSSAPI security context");
      const nobody = await assertRejects(
        () => client({ credentials: { cache: `FILE:${realm.dir}/none` } }).connect(),
        AuthenticationError,
      );
      assertEquals(nobody.reason, "no-credentials");
      const port = await freePort();
      const refused = await assertRejects(() => client({ port }).connect(), Error);
      assertEquals((refused as { code?: string }).code, "ECONNREFUSED");
    }),
  { skip },
);

test(
  "an IP address needs a target, as the error says, and a Unix socket has neither encryption nor GSS",
  () =>
    withServer(async (client) => {
      await assertRejects(
        () => client({ host: "127.0.0.1" }).connect(),
        TypeError,
        'postgresStream({ target: "postgres/db.example.test" })',
      );
      await connected(
        client({ host: "127.0.0.1", target: "postgres/localhost" }),
        async (client) => assertEquals((await client.query("select 1 as one")).rows, [{ one: 1 }]),
      );
      await assertRejects(() => client({ host: "/var/run/postgresql" }).connect(), TypeError, "Unix sockets");
    }),
  { skip },
);

test(
  "a policy that demands confidentiality refuses a connection without encryption",
  () =>
    withServer(async (client) => {
      for (const demanded of ["confidentiality", "integrity"] as const) {
        const registry = createRegistry([kerberos()], { version: 1, floor: { [demanded]: true } });
        await connected(client({ registry }), async (client) => {
          assertEquals(securityOf(client).confidentiality, true);
          assertEquals((await client.query("select 1 as one")).rows, [{ one: 1 }]);
        });
        const error = await assertRejects(
          () => client({ registry, encryption: "disable" }).connect(),
          SecurityRequirementError,
          'Give encryption: "require"',
        );
        assertEquals(error.required, demanded);
      }
    }),
  { skip },
);

test("wrong options are refused by name before anything is opened", () => {
  const wrong: [unknown, string][] = [
    [{ encryption: "allow" }, "options.encryption"],
    [{ encryption: true }, "options.encryption"],
    [{ target: "localhost" }, "options.target"],
    [{ gssencmode: "require" }, "options.gssencmode"],
    [{ credentials: { username: "alice" } }, "options.credentials.password"],
    [{ registry: {} }, "options.registry"],
    [{ system: {} }, "options.system"],
    [{ signal: {} }, "options.signal"],
    [null, "options"],
  ];
  for (const [options, named] of wrong) {
    const error = assertThrows(() => postgresStream(options as never), TypeError);
    assertStringIncludes(error.message, named);
  }
  assertThrows(
    () => postgresStream()({ ssl: { rejectUnauthorized: false } }),
    TypeError,
    "ssl must be left out",
  );
  for (const client of [null, {}, { connection: { stream: {} } }, clientOf({ port: 1 }).connection]) {
    assertThrows(() => securityOf(client as object), TypeError, "node-postgres");
  }
});

interface Command {
  output(): Promise<{ code: number; stdout: Uint8Array; stderr: Uint8Array }>;
}
interface DenoRun {
  execPath(): string;
  Command: new (path: string, options: { args: string[]; cwd: URL }) => Command;
}
const deno = (globalThis as { Deno?: DenoRun }).Deno;

test(
  "examples/postgres_client.ts does what it says, with the permissions it names",
  () =>
    withServer(async (client, { port }) => {
      const flags = ["--no-prompt", "--quiet", "--no-lock", "--allow-net", "--allow-ffi", "--allow-env"];
      const given = ["localhost", String(port), "alice", "postgres"];
      const args = ["run", ...flags, "examples/postgres_client.ts", ...given];
      const cwd = new URL("../../", import.meta.url);
      const { code, stdout, stderr } = await new deno!.Command(deno!.execPath(), { args, cwd }).output();
      const [said, complained] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
      assertEquals([code, complained], [0, ""]);
      assertEquals(said, "postgres/localhost sees alice@MIT.TEST, encrypted\n");
      await connected(client(), (client) => client.query("select 1"));
    }),
  { skip: skip ?? (deno ? null : "the examples are Deno programs") },
);
