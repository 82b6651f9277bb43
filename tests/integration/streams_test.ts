/** connect, listen and secure with real Kerberos on both ends. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { test } from "@test";
import {
  AuthenticationError,
  connect,
  type ConnectOptions,
  createRegistry,
  kerberos,
  listen,
  type ListenOptions,
  negotiate,
  ProtocolError,
  secure,
  type SecureConn,
  SecurityRequirementError,
  type System,
} from "../../mod.ts";
import { inRealm, noRealm } from "../support/kerberos.ts";
import { MemoryTransport } from "../support/memory_transport.ts";

const skip = noRealm;
const TARGET = "HTTP/localhost";
const encode = (text: string): Uint8Array => new TextEncoder().encode(text);
const decode = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

interface Pair {
  client: SecureConn;
  server: SecureConn;
}

/** A connection over loopback TCP; both ends are closed afterwards. */
async function overTcp(
  system: System,
  body: (pair: Pair) => Promise<void>,
  client: Partial<ConnectOptions> = {},
  server: Partial<ListenOptions> = {},
): Promise<void> {
  const failures: unknown[] = [];
  await using listener = await listen({
    hostname: "127.0.0.1",
    port: 0,
    system,
    onHandshakeError: (error) => failures.push(error),
    ...server,
  });
  const accepted = listener.accept();
  accepted.catch(() => {});
  const { port } = listener.addr as { port: number };
  await using conn = await connect({ hostname: "localhost", port, target: TARGET, system, ...client });
  await using peer = await accepted;
  await body({ client: conn, server: peer });
  assertEquals(failures, []);
}

/** A connection over memory, whose client's records can be tampered with. */
async function overMemory(
  system: System,
  body: (pair: Pair, wire: MemoryTransport) => Promise<void>,
): Promise<void> {
  const [near, far] = MemoryTransport.pair();
  const [client, server] = await Promise.all([
    secure(near, { role: "client", target: TARGET, system }),
    secure(far, { role: "server", system }),
  ]);
  try {
    await body({ client, server }, near);
  } finally {
    await client.close();
    await server.close();
  }
}

async function readText(conn: SecureConn): Promise<string | null> {
  const buffer = new Uint8Array(65536);
  const length = await conn.read(buffer);
  return length === null ? null : decode(buffer.subarray(0, length));
}

for (const registry of [undefined, createRegistry([kerberos()])]) {
  const name = registry ? "Kerberos" : "Negotiate";

  test(
    `${name} over TCP: both ends are authenticated, encrypted, and know each other's name`,
    () =>
      inRealm((_realm, system) =>
        overTcp(
          system,
          async ({ client, server }) => {
            assertEquals(client.security.provider, name.toLowerCase());
            assertEquals([
              client.security.mutualAuthentication,
              client.security.confidentiality,
              client.security.integrity,
            ], [
              true,
              true,
              true,
            ]);
            assertEquals([
              server.security.mutualAuthentication,
              server.security.confidentiality,
              server.security.integrity,
            ], [
              true,
              true,
              true,
            ]);
            assertEquals(client.security.peer, TARGET);
            assertEquals(server.security.peer, "alice@MIT.TEST");
            assertEquals(client.security.mechanism, "kerberos");
            assertEquals(client.security.simulated, false);
            assert(client.security.expiresAt! > new Date());
            await client.write(encode("from the client"));
            assertEquals(await readText(server), "from the client");
            await server.write(encode("from the server"));
            await server.closeWrite();
            assertEquals(await readText(client), "from the server");
            assertEquals(await readText(client), null);
            assertEquals(client.endOfStream, "unauthenticated");
          },
          { registry },
          { registry, acceptedTargets: ["http/LOCALHOST"] },
        )
      ),
    { skip },
  );
}

test(
  "the wire does not contain the plain text, nor a part of it",
  () =>
    inRealm((_realm, system) =>
      overMemory(system, async ({ client, server }, wire) => {
        const secret = "a secret that is long enough to be recognised";
        await client.write(encode(secret));
        assertEquals(await readText(server), secret);
        const seen = decode(Uint8Array.from(wire.sent));
        assert(!seen.includes(secret.slice(0, 12)) && !seen.includes(secret.slice(-12)));
      })
    ),
  { skip },
);

test(
  "a peer that requires only integrity gets signed records, readable on the wire and in order",
  () =>
    inRealm((_realm, system) => {
      const requirements = { confidentiality: false };
      return overTcp(
        system,
        async ({ client, server }) => {
          assertEquals(client.security.confidentiality, false);
          assertEquals(client.security.integrity, true);
          await client.write(encode("signed"));
          assertEquals(await readText(server), "signed");
        },
        { requirements },
        { requirements },
      );
    }),
  { skip },
);

test(
  "a server that requires encryption refuses a client that asked only for integrity, and both ends report it",
  () =>
    inRealm(async (_realm, system) => {
      const failures: unknown[] = [];
      await using listener = await listen({
        hostname: "127.0.0.1",
        port: 0,
        system,
        onHandshakeError: (error) => failures.push(error),
      });
      const { port } = listener.addr as { port: number };
      const requirements = { confidentiality: false };
      const error = await assertRejects(
        () => connect({ hostname: "localhost", port, target: TARGET, system, requirements }),
        AuthenticationError,
      );
      assertEquals(error.reason, "peer-refused");
      assertEquals((failures[0] as SecurityRequirementError).name, "SecurityRequirementError");
      assertEquals((failures[0] as SecurityRequirementError).required, "confidentiality");
    }),
  { skip },
);

test(
  "a client with impersonation anonymous sends no token, and one with the default is only identified",
  () =>
    inRealm(async (_realm, system) => {
      const [near, far] = MemoryTransport.pair();
      const error = await assertRejects(
        () =>
          secure(near, {
            role: "client",
            target: TARGET,
            system,
            requirements: { impersonation: "anonymous" },
          }),
        SecurityRequirementError,
        "nothing was sent",
      );
      assertEquals(error.required, "impersonation");
      assertEquals([near.sent.length, near.closes], [0, 1]);
      far.close();
      const requirements = { impersonation: "anonymous" } as const;
      await overTcp(
        system,
        ({ server }) => {
          assertEquals(server.security.impersonation, "identify");
          return Promise.resolve();
        },
        {},
        { requirements },
      );
    }),
  { skip },
);

test(
  "a target that is not registered is refused before a byte of a token is sent",
  () =>
    inRealm(async (_realm, system) => {
      await using listener = await listen({
        hostname: "127.0.0.1",
        port: 0,
        system,
        onHandshakeError: () => {},
      });
      const { port } = listener.addr as { port: number };
      const error = await assertRejects(
        () => connect({ hostname: "localhost", port, target: "HTTP/nobody.mit.test", system }),
        AuthenticationError,
        "KRB5KDC_ERR_S_PRINCIPAL_UNKNOWN",
      );
      assertEquals(error.reason, "unknown-target");
    }),
  { skip },
);

test(
  "acceptedTargets refuses a client that asked for another name of the server",
  () =>
    inRealm(async (_realm, system) => {
      const failures: unknown[] = [];
      await using listener = await listen({
        hostname: "127.0.0.1",
        port: 0,
        system,
        acceptedTargets: ["host/web.mit.test"],
        onHandshakeError: (error) => failures.push(error),
      });
      const { port } = listener.addr as { port: number };
      const error = await assertRejects(
        () => connect({ hostname: "localhost", port, target: TARGET, system }),
        AuthenticationError,
      );
      assertEquals(error.reason, "peer-refused");
      assertEquals((failures[0] as AuthenticationError).reason, "target-not-accepted");
    }),
  { skip },
);

test(
  "a negotiate() server serves a kerberos() client, and a kerberos() server refuses a negotiate() client",
  () =>
    inRealm(async (_realm, system) => {
      const [bare, wrapped] = [createRegistry([kerberos()]), createRegistry([negotiate()])];
      await overTcp(
        system,
        async ({ client, server }) => {
          assertEquals([client.security.mechanism, server.security.mechanism], ["kerberos", "kerberos"]);
          assertEquals([client.security.provider, server.security.provider], ["kerberos", "negotiate"]);
          assertEquals(server.security.requestedTarget, `${TARGET}@MIT.TEST`);
          await client.write(encode("attack at dawn"));
          assertEquals(await readText(server), "attack at dawn");
        },
        { registry: bare },
        { registry: wrapped },
      );
      const failures: unknown[] = [];
      await using listener = await listen({
        hostname: "127.0.0.1",
        port: 0,
        system,
        registry: bare,
        onHandshakeError: (error) => failures.push(error),
      });
      const { port } = listener.addr as { port: number };
      const error = await assertRejects(
        () => connect({ hostname: "localhost", port, target: TARGET, system, registry: wrapped }),
        AuthenticationError,
        "use the same provider on both ends",
      );
      assertEquals(error.reason, "peer-refused");
      assertEquals((failures[0] as AuthenticationError).reason, "mechanism");
    }),
  { skip },
);

test(
  "channelBindings that are the same on both ends are verified in every step",
  () =>
    inRealm((_realm, system) => {
      const channelBindings = encode("tls-server-end-point:0123456789");
      return overTcp(
        system,
        ({ client, server }) => {
          assertEquals([client.security.channelBindings, server.security.channelBindings], [
            "sent",
            "verified",
          ]);
          return Promise.resolve();
        },
        { channelBindings },
        { channelBindings },
      );
    }),
  { skip },
);

for (
  const [what, client] of [
    ["absent", undefined],
    ["different", encode("tls-server-end-point:another")],
  ] as const
) {
  test(
    `channelBindings of a server refuse a client whose bindings are ${what}`,
    () =>
      inRealm(async (_realm, system) => {
        const failures: unknown[] = [];
        await using listener = await listen({
          hostname: "127.0.0.1",
          port: 0,
          system,
          channelBindings: encode("tls-server-end-point:0123456789"),
          onHandshakeError: (error) => failures.push(error),
        });
        const { port } = listener.addr as { port: number };
        await assertRejects(
          () => connect({ hostname: "localhost", port, target: TARGET, system, channelBindings: client }),
          AuthenticationError,
        );
        assertEquals((failures[0] as AuthenticationError).reason, "channel-bindings");
      }),
    { skip },
  );
}

const TAMPERINGS: [string, string, (record: Uint8Array) => Uint8Array][] = [
  ["with one bit flipped", "altered", (record) => {
    record[record.length - 3] ^= 1;
    return record;
  }],
  ["sent a second time", "replayed", (record) => Uint8Array.from([...record, ...record])],
  ["with its sequence number changed", "malformed", (record) => {
    record[4 + 15] ^= 1;
    return record;
  }],
  ["with its header overwritten", "malformed", (record) => record.fill(0xee, 4, 8)],
];

for (const [how, reason, tamper] of TAMPERINGS) {
  test(
    `a record ${how} ends the connection with a ProtocolError: ${reason}`,
    () =>
      inRealm((_realm, system) =>
        overMemory(system, async ({ client, server }, wire) => {
          wire.tamper = tamper;
          await client.write(encode("first"));
          const readAll = async (): Promise<void> => {
            while (await readText(server) !== null);
          };
          const error = await assertRejects(readAll, ProtocolError);
          assertEquals(error.reason, reason);
          // It stays refused, and nothing more can be sent on it.
          assertEquals(await assertRejects(() => server.read(new Uint8Array(8))), error);
          assertEquals(await assertRejects(() => server.write(encode("more"))), error);
        })
      ),
    { skip },
  );
}

test(
  "records that arrive in another order, or with one missing, end the connection",
  () =>
    inRealm(async (_realm, system) => {
      for (const drop of [true, false]) {
        await overMemory(system, async ({ client, server }, wire) => {
          const held: Uint8Array[] = [];
          wire.tamper = (record) => {
            if (held.length === 0) {
              held.push(record);
              return new Uint8Array();
            }
            return drop ? record : Uint8Array.from([...record, ...held[0]]);
          };
          await client.write(encode("one"));
          await client.write(encode("two"));
          const error = await assertRejects(() => server.read(new Uint8Array(8)), ProtocolError);
          assert(["gap", "out-of-order"].includes(error.reason), error.reason);
        });
      }
    }),
  { skip },
);

test(
  "an end of the stream inside a record is an error",
  () =>
    inRealm((_realm, system) =>
      overMemory(system, async ({ client, server }, wire) => {
        wire.tamper = (record) => record.subarray(0, record.length - 1);
        await client.write(encode("cut"));
        await client.closeWrite();
        const error = await assertRejects(() => server.read(new Uint8Array(8)), ProtocolError);
        assertEquals(error.reason, "truncated");
      })
    ),
  { skip },
);

test(
  "web streams carry a payload of many records unchanged, in both directions at once",
  () =>
    inRealm((_realm, system) =>
      overTcp(system, async ({ client, server }) => {
        const payload = new Uint8Array(1 << 20);
        for (let index = 0; index < payload.length; index++) payload[index] = index * 31 >> 3;
        const send = async (conn: SecureConn): Promise<void> => {
          const writer = conn.writable.getWriter();
          for (let at = 0; at < payload.length; at += 100_000) {
            await writer.write(payload.subarray(at, at + 100_000));
          }
          await writer.close();
        };
        const collect = async (conn: SecureConn): Promise<Uint8Array> => {
          const parts: Uint8Array[] = [];
          for await (const part of conn.readable) parts.push(part);
          return new Uint8Array(await new Blob(parts as BlobPart[]).arrayBuffer());
        };
        const [, , atServer, atClient] = await Promise.all([
          send(client),
          send(server),
          collect(server),
          collect(client),
        ]);
        assertEquals(atServer, payload);
        assertEquals(atClient, payload);
      })
    ),
  { skip },
);

test(
  "takeDelegated() lets a server connect onward as its client",
  () =>
    inRealm((_realm, system) => {
      const requirements = { delegation: true };
      return overTcp(
        system,
        async ({ server }) => {
          assertEquals(server.security.impersonation, "delegate");
          using delegated = server.takeDelegated()!;
          assertEquals(server.takeDelegated(), null);
          await overTcp(system, ({ server: next }) => {
            assertEquals(next.security.peer, "alice@MIT.TEST");
            return Promise.resolve();
          }, { credentials: { delegated } });
        },
        { requirements },
        { requirements },
      );
    }),
  { skip },
);
