import { CONNECTIONS_PER_SLOT } from "../../sockets/limiter.ts";
import { assert, assertEquals, assertRejects, assertStrictEquals, assertStringIncludes } from "@std/assert";
import { test } from "@test";
import { createServer as createHttpServer } from "node:http";
import { type AddressInfo, createServer, type Server } from "node:net";
import { connect as connectTls } from "node:tls";
import {
  AuthenticationError,
  ProtocolError,
  ProviderNotFoundError,
  TimeoutError,
  TransportError,
} from "../../errors.ts";
import { connectTcp, listenTcp } from "../../ffi/transport/mod.ts";
import { createRegistry } from "../../plugins/registry.ts";
import { connect } from "../../sockets/connect.ts";
import { listen } from "../../sockets/listen.ts";
import type { ConnectOptions, ListenOptions } from "../../sockets/options.ts";
import { secure } from "../../sockets/secure.ts";
import type { SecureConn, SecureListener } from "../../sockets/secure_conn.ts";
import { settle } from "../support/memory_transport.ts";
import { pattern, readExactly } from "../support/secured.ts";
import { type ToyFaults, toyProvider, toySystem } from "../support/toy_provider.ts";

const system = toySystem();

interface Net {
  listener: SecureListener;
  provider: ReturnType<typeof toyProvider>;
  failures: unknown[];
  dial(options?: Partial<ConnectOptions>, faults?: ToyFaults): Promise<SecureConn>;
}

async function net(options: Partial<ListenOptions> = {}, faults: ToyFaults = {}): Promise<Net> {
  const provider = toyProvider(faults);
  const failures: unknown[] = [];
  const listener = await listen({
    hostname: "127.0.0.1",
    port: 0,
    registry: createRegistry([provider]),
    system,
    onHandshakeError: (error) => void failures.push(error),
    ...options,
  });
  const dial = (own: Partial<ConnectOptions> = {}, clientFaults: ToyFaults = {}) =>
    connect({
      hostname: "127.0.0.1",
      target: "host/localhost",
      port: listener.addr.port,
      registry: createRegistry([toyProvider(clientFaults)]),
      system,
      ...own,
    });
  return { listener, provider, failures, dial };
}

async function assertClosed({ listener, provider }: Net): Promise<void> {
  await listener.close();
  assertEquals(provider.ledger.live, 0);
}

test("connect() and listen() authenticate each other over TCP and carry data both ways at once", async () => {
  const one = await net({ acceptedTargets: ["HOST/localhost"] });
  const [client, server] = await Promise.all([one.dial(), one.listener.accept()]);
  assertEquals(client.remoteAddr, server.localAddr);
  assertEquals(client.localAddr, server.remoteAddr);
  assertEquals(one.listener.addr, server.localAddr);
  assertEquals([client.security.peer, server.security.peer], ["server@TOY", "client@TOY"]);
  const [up, down] = [pattern(1_000_000, 1), pattern(1_000_000, 2)];
  const send = async (conn: SecureConn, data: Uint8Array) => {
    await conn.write(data);
    await conn.closeWrite();
  };
  const [, , arrived, returned] = await Promise.all([
    send(client, up),
    send(server, down),
    readExactly(server, up.length),
    readExactly(client, down.length),
  ]);
  assert(arrived.every((byte, index) => byte === up[index]));
  assert(returned.every((byte, index) => byte === down[index]));
  assertEquals([await server.read(new Uint8Array(1)), await client.read(new Uint8Array(1))], [null, null]);
  await Promise.all([client.close(), server.close()]);
  await assertClosed(one);
});

test("connect() without a target requests host/ and the hostname as typed", async () => {
  const one = await net({ acceptedTargets: ["host/LOCALHOST"] });
  const [client, server] = await Promise.all([
    one.dial({ hostname: "LocalHost", target: undefined }),
    one.listener.accept(),
  ]);
  assertEquals(server.security.requestedTarget, "host/LocalHost");
  await Promise.all([client.close(), server.close()]);
  await assertClosed(one);
});

/** Runs `call` against a listener of this library and returns why its handshake failed. */
async function refusedByListener(call: (port: number) => Promise<unknown>): Promise<string> {
  const one = await net();
  await call(one.listener.addr.port).catch(() => {});
  while (one.failures.length === 0) await settle();
  await assertClosed(one);
  const [failure] = one.failures;
  assert(failure instanceof ProtocolError);
  assertEquals(failure.reason, "malformed");
  return failure.message;
}

/** Connects to a server of another protocol, which is then closed, and returns why that failed. */
async function refusedByClient(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const registry = createRegistry([toyProvider()]);
  const options = { hostname: "127.0.0.1", target: "host/localhost", port, registry, system };
  try {
    return (await assertRejects(() => connect(options), ProtocolError)).message;
  } finally {
    await new Promise((resolve) => server.close(resolve));
  }
}

test("listen() and connect() name a peer that uses HTTP in the error", async () => {
  const call = async (port: number) => await (await fetch(`http://127.0.0.1:${port}/`)).body?.cancel();
  assertStringIncludes(await refusedByListener(call), "The peer uses HTTP");
  const server = createHttpServer((_, response) => response.end());
  assertStringIncludes(await refusedByClient(server), "The peer uses HTTP");
});

test("listen() and connect() name a peer that uses TLS in the error", async () => {
  const call = (port: number) =>
    new Promise((resolve) =>
      connectTls({ host: "127.0.0.1", port }).on("error", resolve).on("close", resolve)
    );
  assertStringIncludes(await refusedByListener(call), "The peer uses TLS");
  // What OpenSSL answers to a first record that is not TLS: a fatal alert, "protocol version".
  const server = createServer((socket) => socket.resume().end(Uint8Array.of(0x15, 3, 1, 0, 2, 2, 70)));
  assertStringIncludes(await refusedByClient(server), "The peer uses TLS");
});

test("listen() serves many clients at once, over web streams", async () => {
  const one = await net({ maxHandshakes: 4 });
  const serving = (async () => {
    for await (const conn of one.listener) conn.readable.pipeTo(conn.writable).catch(() => {});
  })();
  const echo = async (seed: number) => {
    const conn = await one.dial();
    const data = pattern(20_000 + seed, seed);
    await conn.write(data);
    await conn.closeWrite();
    assertEquals(await readExactly(conn, data.length), data);
    assertEquals(await conn.read(new Uint8Array(1)), null);
    await conn.close();
  };
  await Promise.all(Array.from({ length: 30 }, (_, seed) => echo(seed)));
  assertEquals(one.failures, []);
  await one.listener.close();
  await serving;
  await settle();
  await assertClosed(one);
});

test("listen() serves clients while silent peers are connected over TCP", async () => {
  const one = await net({ maxHandshakes: 1 });
  const address = { hostname: "127.0.0.1", port: one.listener.addr.port };
  const room = CONNECTIONS_PER_SLOT;
  const silent = await Promise.all(Array.from({ length: room + 4 }, () => connectTcp(address)));
  for (let count = 0; count < 3; count++) {
    const [client, server] = await Promise.all([one.dial(), one.listener.accept()]);
    await Promise.all([client.close(), server.close()]);
  }
  // Connections beyond the limit are evicted in the end, before or after the others were served.
  while (one.failures.length < 4) await new Promise((resolve) => setTimeout(resolve, 5));
  await assertClosed(one);
  silent.forEach((stranger) => stranger.close());
});

test("connect() gives up a silent server after timeoutMs, which counts from the start", async () => {
  const tcp = await listenTcp({ hostname: "127.0.0.1", port: 0 });
  const provider = toyProvider();
  const dialing = connect({
    hostname: "localhost",
    port: tcp.addr.port,
    registry: createRegistry([provider]),
    system,
    timeoutMs: 60,
  });
  const accepted = await tcp.accept();
  const error = await assertRejects(() => dialing, TimeoutError, "Connecting took longer than 60 ms");
  assertEquals(error.timeoutMs, 60);
  // The client's token, and then the end: it has closed its transport.
  const p = new Uint8Array(65_536);
  const ends = [await accepted.read(p), await accepted.read(p).catch(() => null)];
  assertEquals(ends[1], null);
  assertEquals(provider.ledger.live, 0);
  accepted.close();
  tcp.close();
});

test("connect() rethrows the reason of an abort and leaves nothing open", async () => {
  const tcp = await listenTcp({ hostname: "127.0.0.1", port: 0 });
  const provider = toyProvider();
  const controller = new AbortController();
  const dialing = connect({
    hostname: "localhost",
    port: tcp.addr.port,
    registry: createRegistry([provider]),
    system,
    signal: controller.signal,
  });
  const accepted = await tcp.accept();
  const reason = Symbol("mine");
  controller.abort(reason);
  assertStrictEquals(await dialing.catch((error) => error), reason);
  assertEquals(provider.ledger.live, 0);
  accepted.close();
  tcp.close();
});

test("connect() to a port without a listener is a TransportError, and the credentials are released", async () => {
  const tcp = await listenTcp({ hostname: "127.0.0.1", port: 0 });
  tcp.close();
  const provider = toyProvider();
  const options = {
    hostname: "localhost",
    port: tcp.addr.port,
    registry: createRegistry([provider]),
    system,
  };
  const error = await assertRejects(() => connect(options), TransportError, "Cannot connect to localhost");
  assertEquals(error.codeName, "ECONNREFUSED");
  assertEquals([provider.ledger.credentials, provider.ledger.live], [1, 0]);
});

test("listen() on a port in use is a TransportError, and the credentials are released", async () => {
  const tcp = await listenTcp({ hostname: "127.0.0.1", port: 0 });
  const provider = toyProvider();
  const options = {
    hostname: "127.0.0.1",
    port: tcp.addr.port,
    registry: createRegistry([provider]),
    system,
  };
  await assertRejects(() => listen(options), TransportError, "Cannot listen");
  assertEquals([provider.ledger.credentials, provider.ledger.live], [1, 0]);
  tcp.close();
});

test("connect() and listen() report unavailable credentials or an unavailable provider before anything is opened", async () => {
  const failure = new AuthenticationError("no-credentials", "There is no key table");
  const failing = toyProvider({
    onAcquire: () => {
      throw failure;
    },
  });
  const options = { hostname: "localhost", port: 1, registry: createRegistry([failing]), system };
  assertStrictEquals(await connect(options).catch((error) => error), failure);
  assertStrictEquals(await listen({ ...options, port: 0 }).catch((error) => error), failure);
  const weak = createRegistry([toyProvider({ offers: { confidentiality: false } })]);
  await assertRejects(() => connect({ ...options, registry: weak }), ProviderNotFoundError);
  await assertRejects(() => listen({ ...options, port: 0, registry: weak }), ProviderNotFoundError);
});

test("listen() with an aborted signal opens nothing and rethrows the reason", async () => {
  const provider = toyProvider();
  const options = { hostname: "127.0.0.1", port: 0, registry: createRegistry([provider]), system };
  const reason = new Error("mine");
  const error = await listen({ ...options, signal: AbortSignal.abort(reason) }).catch((error) => error);
  assertStrictEquals(error, reason);
  assertEquals(provider.ledger.credentials, 0);
});

test("a refusal reaches the client over TCP as the code that was sent, not as a reset", async () => {
  const one = await net({ acceptedTargets: ["host/other"] });
  for (let count = 0; count < 10; count++) {
    const error = await assertRejects(() => one.dial(), AuthenticationError, "1790");
    assertEquals(error.reason, "peer-refused");
  }
  assertEquals(one.failures.length, 10);
  await assertClosed(one);
});

test("secure() works with a connection of the runtime, and both ends close it when they are done", async () => {
  const tcp = await listenTcp({ hostname: "127.0.0.1", port: 0 });
  const [a, b] = await Promise.all([
    connectTcp({ hostname: "127.0.0.1", port: tcp.addr.port }),
    tcp.accept(),
  ]);
  tcp.close();
  const common = { registry: createRegistry([toyProvider()]), system };
  const [client, server] = await Promise.all([
    secure(a, { role: "client", target: "host/x", ...common }),
    secure(b, { role: "server", ...common }),
  ]);
  assertEquals(client.localAddr, a.localAddr);
  await client.close();
  assertEquals(await server.read(new Uint8Array(1)), null);
  await server.close();
  assertEquals((await assertRejects(() => b.read(new Uint8Array(1)), TransportError)).codeName, "closed");
});

test("listen() closes the connection of a client that leaves while it waits for a slot, over TCP too", async () => {
  const gate = Promise.withResolvers<void>();
  const one = await net({ maxHandshakes: 1 }, { onStep: () => gate.promise });
  const first = one.dial();
  const until = async (holds: () => boolean) => {
    for (let turn = 0; turn < 1000 && !holds(); turn++) await settle();
    assert(holds(), String(holds));
  };
  await until(() => one.provider.ledger.contexts === 1);
  const controller = new AbortController();
  const going = one.dial({ signal: controller.signal }).catch((error) => error);
  const staying = one.dial();
  // Nothing reports when its token has arrived; if it has not by then, it is closed as a silent peer.
  await new Promise((resolve) => setTimeout(resolve, 50));
  controller.abort(new Error("enough"));
  assertEquals((await going).message, "enough");
  await until(() => one.failures.length === 1);
  assertEquals((one.failures[0] as AuthenticationError).reason, "peer-closed");
  assertEquals(one.provider.ledger.contexts, 1);
  gate.resolve();
  const served = [await one.listener.accept(), await one.listener.accept()];
  await Promise.all([...await Promise.all([first, staying]), ...served].map((conn) => conn.close()));
  assertEquals([one.failures.length, one.provider.ledger.contexts], [1, 2]);
  await assertClosed(one);
});
