/**
 * connect and listen over loopback TCP with Windows' security contexts: both ends here, and one end here against
 * GSS-API of a real Linux on the other.
 */

import { assert, assertEquals } from "@std/assert";
import {
  connect,
  createRegistry,
  kerberos,
  listen,
  type ListenOptions,
  negotiate,
  type SecureConn,
  type System,
} from "../../mod.ts";
import type { ContextProvider } from "../../plugins/mod.ts";
import { liveHandles } from "../../testing/mod.ts";
import type { Terms } from "./peers/agent.ts";
import { ask, noAgent } from "./support/agent.ts";
import { machine } from "./support/machine.ts";
import { declareTests, windowsTest, type WindowsTestOptions } from "./support/on_windows.ts";
import { answerOf, bytes, noRealm, testSystem } from "./support/sspi.ts";

const PROVIDERS: readonly ContextProvider[] = [kerberos(), negotiate()];
const TARGET = "HTTP/localhost";
const CLIENT = `alice@${machine.realm?.name}`;
/** The same bytes as the agent's. */
const SENT = bytes(300_000);

/** Runs `body` with a system, and holds that nothing native is left behind. */
async function streamTest(
  name: string,
  body: (system: System) => Promise<void>,
  options: WindowsTestOptions = {},
): Promise<void> {
  await windowsTest(name, async () => {
    const system = testSystem();
    try {
      await body(system);
    } finally {
      system.close();
    }
    assertEquals(liveHandles(), {});
  }, { skip: noRealm, ...options });
}

async function readAll(conn: SecureConn): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  const buffer = new Uint8Array(65536);
  for (let length = await conn.read(buffer); length !== null; length = await conn.read(buffer)) {
    parts.push(buffer.slice(0, length));
  }
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

async function writeAll(conn: SecureConn, data: Uint8Array): Promise<void> {
  for (let at = 0; at < data.length;) at += await conn.write(data.subarray(at, at + 60_000));
  await conn.closeWrite();
}

async function server(system: System, provider: ContextProvider, options: Partial<ListenOptions> = {}) {
  const failures: Error[] = [];
  const listener = await listen({
    hostname: "127.0.0.1",
    port: 0,
    system,
    registry: createRegistry([provider]),
    onHandshakeError: (error) => failures.push(error as Error),
    ...options,
  });
  return { listener, failures, port: (listener.addr as { port: number }).port };
}

for (const provider of PROVIDERS) {
  const { name } = provider;
  const registry = createRegistry([provider]);

  await streamTest(`${name}: a stream over TCP carries everything both ways`, async (system) => {
    const { listener, failures, port } = await server(system, provider);
    await using _listener = listener;
    const accepted = listener.accept();
    await using client = await connect({ hostname: "127.0.0.1", port, target: TARGET, system, registry });
    await using peer = await accepted;
    for (const { security } of [client, peer]) {
      assertEquals([security.mutualAuthentication, security.confidentiality, security.simulated], [
        true,
        true,
        false,
      ]);
    }
    const echo = readAll(peer).then((data) => writeAll(peer, data));
    const [got] = await Promise.all([readAll(client), writeAll(client, SENT), echo]);
    assertEquals(got, SENT);
    assertEquals(failures, []);
  });

  await streamTest(`${name}: twenty connections at a time`, async (system) => {
    const { listener, failures, port } = await server(system, provider);
    await using _listener = listener;
    const serving = (async () => {
      for (let count = 0; count < 20; count++) {
        await using conn = await listener.accept();
        await writeAll(conn, await readAll(conn));
      }
    })();
    await Promise.all(Array.from({ length: 20 }, async (_, index) => {
      await using conn = await connect({ hostname: "127.0.0.1", port, target: TARGET, system, registry });
      await writeAll(conn, bytes(1000 + index));
      assertEquals(await readAll(conn), bytes(1000 + index));
    }));
    await serving;
    assertEquals(failures, []);
  });

  await streamTest(
    `${name}: a server that names its targets accepts no client whose target it cannot learn`,
    async (system) => {
      const { listener, failures, port } = await server(system, provider, {
        acceptedTargets: ["HTTP/localhost"],
      });
      await using _listener = listener;
      const connecting = connect({ hostname: "127.0.0.1", port, target: TARGET, system, registry });
      const client = await connecting.catch((error) => error);
      if (client instanceof Error) {
        assert(failures.length > 0);
        throw new Error(`${failures[0].message}; ${answerOf("CLIENT_SPECIFIED_TARGET")}`);
      }
      await client.close();
      await (await listener.accept()).close();
    },
    { wineAnswers: "SECPKG_ATTR_CLIENT_SPECIFIED_TARGET" },
  );

  const terms: Terms = { provider: name as Terms["provider"] };

  await streamTest(`${name}: this client and a Linux server`, async (system) => {
    using answers = ask({ ...terms, do: "listen" });
    const { port } = await answers.next();
    const conn = await connect({ hostname: "127.0.0.1", port: port!, target: TARGET, system, registry })
      .catch(async (error) => {
        throw new Error(`${error.message}; the server says: ${(await answers.next()).error}`);
      });
    assertEquals([conn.security.mutualAuthentication, conn.security.confidentiality], [true, true]);
    const [got] = await Promise.all([readAll(conn), writeAll(conn, SENT)]);
    assertEquals(got, SENT);
    await conn.close();
    const told = await answers.next();
    assertEquals(told, {
      ok: true,
      security: { mutual: true, encrypted: true, peer: CLIENT, mechanism: "kerberos" },
    });
  }, { skip: noRealm ?? noAgent });

  await streamTest(`${name}: a Linux client and this server`, async (system) => {
    const { listener, failures, port } = await server(system, provider);
    await using _listener = listener;
    const echoing = listener.accept().then(async (conn) => {
      await writeAll(conn, await readAll(conn));
      await conn.close();
    }).catch(() => {});
    using answers = ask({ ...terms, do: "connect", port, target: TARGET, bytes: SENT.length });
    const told = await answers.next();
    if (!told.ok) throw new Error(`${told.error}; this server says: ${failures[0]?.message}`);
    assertEquals(told.security, {
      mutual: true,
      encrypted: true,
      peer: TARGET,
      mechanism: "kerberos",
    });
    await echoing;
  }, { skip: noRealm ?? noAgent });
}

declareTests();
