import { assert, assertEquals, assertRejects, assertStrictEquals, assertStringIncludes } from "@std/assert";
import { test } from "@test";
import { AuthenticationError, StateError, TimeoutError, TransportError } from "../../errors.ts";
import { createRegistry } from "../../plugins/registry.ts";
import { acquire, chooseForTransport } from "../../sockets/establish.ts";
import { encodeHandshake } from "../../sockets/framing.ts";
import { listenOver } from "../../sockets/listen.ts";
import type { SecureConn, SecureListener } from "../../sockets/secure_conn.ts";
import type { HandshakeOrigin, ListenOptions } from "../../sockets/options.ts";
import { readListenOptions } from "../../sockets/read_options.ts";
import { secure } from "../../sockets/secure.ts";
import { Deadline } from "../../sockets/deadline.ts";
import { CONNECTIONS_PER_SLOT, GRACE_TURNS } from "../../sockets/limiter.ts";
import { FakeListener } from "../support/fake_listener.ts";
import { type MemoryTransport, settle } from "../support/memory_transport.ts";
import { type ToyFaults, toyProvider, toySystem } from "../support/toy_provider.ts";
import { Turns } from "../support/turns.ts";
import { warnings } from "../support/warnings.ts";

const HALF_A_TOKEN = encodeHandshake("in-progress", new Uint8Array(500)).subarray(0, 300);

interface Stage {
  tcp: FakeListener;
  listener: SecureListener;
  provider: ReturnType<typeof toyProvider>;
  failures: { error: Error; origin: HandshakeOrigin }[];
  /** Resolves once so many handshakes have failed. */
  failed(count: number): Promise<void>;
  turns: Turns;
  /** A client that completes its handshake. */
  honest(): Promise<SecureConn>;
}

/** @param scarce If given, the runtime accepts every connection from the system by itself. */
async function stage(
  options: Partial<ListenOptions> = {},
  faults: ToyFaults = {},
  scarce?: boolean,
): Promise<Stage> {
  const provider = toyProvider(faults);
  const registry = createRegistry([provider]);
  const failures: Stage["failures"] = [];
  const turns = new Turns();
  let told = () => {};
  const failed = async (count: number) => {
    while (failures.length < count) await new Promise<void>((resolve) => told = resolve);
  };
  const settings = readListenOptions({
    port: 0,
    registry,
    system: toySystem(),
    onHandshakeError: (error, origin) => {
      failures.push({ error: error as Error, origin });
      told();
    },
    ...options,
  });
  const chosen = chooseForTransport(settings);
  const deadline = new Deadline(undefined, "Acquiring");
  const credentials = await acquire(chosen, deadline);
  const tcp = new FakeListener();
  tcp.scarce = scarce;
  const listener = listenOver(tcp, settings, chosen, credentials, turns.turn);
  const honest = () =>
    secure(tcp.arrive()[0], {
      role: "client",
      target: "host/x",
      registry: createRegistry([toyProvider()]),
      system: toySystem(),
    });
  return { tcp, listener, provider, failures, failed, turns, honest };
}

async function assertClosed({ tcp, listener, provider }: Stage): Promise<void> {
  await listener.close();
  assertEquals(tcp.closes, 1);
  assertEquals(provider.ledger.live, 0);
  assert(provider.ledger.contextCloses.every((closes) => closes === 1));
}

/** A client that sends and receives so many tokens in all. */
function dial(end: MemoryTransport, tokens: number, signal?: AbortSignal): Promise<SecureConn> {
  return secure(end, {
    role: "client",
    signal,
    target: "host/x",
    registry: createRegistry([toyProvider({ tokens })]),
    system: toySystem(),
  });
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

test("a silent peer costs no context, and is reported as a TimeoutError with its address", async () => {
  const one = await stage({ handshakeTimeoutMs: 30 });
  const [stranger, own] = one.tcp.arrive();
  await stranger.write(HALF_A_TOKEN);
  await one.failed(1);
  assert(one.failures[0].error instanceof TimeoutError);
  assertEquals(one.failures[0].origin.remoteAddr?.hostname, "192.0.2.2");
  assertEquals([own.closes, one.provider.ledger.contexts], [1, 0]);
  await assertClosed(one);
});

test("silent peers take no slot: an honest client is served at once, and they stay connected", async () => {
  const one = await stage({ maxHandshakes: 1 });
  const silent = Array.from({ length: CONNECTIONS_PER_SLOT - 1 }, () => one.tcp.arrive());
  await settle();
  const conns = await Promise.all([one.honest(), one.listener.accept()]);
  assertEquals([one.failures.length, one.turns.counted], [0, false]);
  assert(silent.every(([, own]) => own.closes === 0));
  await Promise.all(conns.map((conn) => conn.close()));
  await assertClosed(one);
  assert(silent.every(([, own]) => own.closes === 1));
});

test("if silent peers take all the room the first is evicted, and an honest client is served", async () => {
  const one = await stage({ maxHandshakes: 1 });
  const silent = Array.from({ length: CONNECTIONS_PER_SLOT }, () => one.tcp.arrive());
  await settle();
  const serving = Promise.all([one.honest(), one.listener.accept()]);
  await settle();
  one.turns.pass(GRACE_TURNS - 1);
  await settle();
  assertEquals(one.failures, []);
  one.turns.pass(1);
  const [client, server] = await serving;
  assertEquals(silent.map(([, own]) => own.closes).indexOf(1), 0);
  assertEquals(one.failures.length, 1);
  assert(one.failures[0].error instanceof StateError);
  assertStringIncludes(one.failures[0].error.message, "maxHandshakes");
  assertEquals(one.provider.ledger.contexts, 1);
  await client.write(Uint8Array.of(1));
  assertEquals(await server.read(new Uint8Array(1)), 1);
  await Promise.all([client.close(), server.close()]);
  await assertClosed(one);
  assert(silent.every(([, own]) => own.closes === 1));
});

test("a client whose bytes have arrived is never evicted, however long the event loop has not turned", async () => {
  const one = await stage({ maxHandshakes: 1 });
  const silent = Array.from({ length: CONNECTIONS_PER_SLOT - 1 }, () => one.tcp.arrive());
  const honest = Array.from({ length: 5 }, () => one.honest());
  await settle();
  const served: SecureConn[] = [];
  while (served.length < 5) {
    served.push(await one.listener.accept());
    one.turns.pass(GRACE_TURNS);
  }
  assertEquals(silent.filter(([, own]) => own.closes > 0).length, one.failures.length);
  await Promise.all([...await Promise.all(honest), ...served].map((conn) => conn.close()));
  await assertClosed(one);
});

test("peers that do not read the answer, or send no second token, give up their slot", async () => {
  const one = await stage({ maxHandshakes: 1 }, { tokens: 4 });
  const serveOne = async () => {
    const serving = Promise.all([dial(one.tcp.arrive()[0], 4), one.listener.accept()]);
    await settle();
    assertEquals(one.turns.counted, true);
    one.turns.pass(GRACE_TURNS);
    await Promise.all((await serving).map((conn) => conn.close()));
  };
  const [deaf, own] = one.tcp.arrive();
  own.onCall = (call) => call === "write" ? new Promise(() => {}) : undefined;
  const deafClient = dial(deaf, 4).catch((error) => error);
  await settle();
  await serveOne();
  assert(await deafClient instanceof AuthenticationError);

  const [mute] = one.tcp.arrive();
  mute.onCall = (call, count) => call === "write" && count > 0 ? new Promise(() => {}) : undefined;
  const controller = new AbortController();
  const muteClient = dial(mute, 4, controller.signal).catch((error) => error);
  await settle();
  await serveOne();
  controller.abort();
  await muteClient;
  assertEquals(one.failures.map(({ error }) => error.name), ["StateError", "StateError"]);
  await assertClosed(one);
});

test("waiting for a slot does not count towards a peer's time-out", async () => {
  let finish = () => {};
  const gate = new Promise<void>((resolve) => finish = resolve);
  // The provider is stuck with the first; its time-out passes while the second waits for the slot.
  const one = await stage({ maxHandshakes: 1, handshakeTimeoutMs: 300 }, {
    onStep: (_, leg) => leg === 0 && one.provider.ledger.contexts === 1 ? gate : undefined,
  });
  const first = one.honest().catch((error) => error);
  await settle();
  const second = one.honest();
  await one.failed(1);
  await pause(100);
  finish();
  const served = await one.listener.accept();
  assertEquals(one.failures.map(({ error }) => error.name), ["TimeoutError"]);
  assert(await first instanceof Error);
  await Promise.all([served.close(), (await second).close()]);
  await assertClosed(one);
});

test("a burst of honest clients beyond maxHandshakes is served in full", async () => {
  const one = await stage({ maxHandshakes: 2 });
  const clients = Promise.all(Array.from({ length: 20 }, () => one.honest()));
  const served: SecureConn[] = [];
  while (served.length < 20) served.push(await one.listener.accept());
  assertEquals(one.failures, []);
  await Promise.all([...await clients, ...served].map((conn) => conn.close()));
  await assertClosed(one);
});

test("a newcomer waits while the provider is working in every slot, and nobody is evicted", async () => {
  let finish = () => {};
  const gate = new Promise<void>((resolve) => finish = resolve);
  const one = await stage({ maxHandshakes: 1 }, { onStep: () => gate });
  const first = one.honest();
  await settle();
  const second = one.honest();
  await settle();
  one.turns.pass(2 * GRACE_TURNS);
  await settle();
  assertEquals([one.failures.length, one.provider.ledger.contexts], [0, 1]);
  finish();
  const served = [await one.listener.accept(), await one.listener.accept()];
  await Promise.all([...await Promise.all([first, second]), ...served].map((conn) => conn.close()));
  await assertClosed(one);
});

/** A listener whose only slot is taken by a provider at work, until `finish` is called. */
async function busyStage(
  faults: ToyFaults = {},
  scarce?: boolean,
): Promise<{ one: Stage; first: Promise<SecureConn>; finish(): void }> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const one: Stage = await stage({ maxHandshakes: 1 }, {
    onStep: (_, leg) => leg === 0 && one.provider.ledger.contexts === 1 ? promise : undefined,
    ...faults,
  }, scarce);
  const first = dial(one.tcp.arrive()[0], faults.tokens ?? 2);
  await settle();
  return { one, first, finish: resolve };
}

const TOKEN = encodeHandshake("in-progress", new Uint8Array(100));

test("a client that leaves while it waits for a slot is closed at once, and reported", async () => {
  const { one, first, finish } = await busyStage();
  const waiting = Array.from({ length: 3 }, () => one.tcp.arrive());
  for (const [peer] of waiting) await peer.write(TOKEN);
  await settle();
  waiting[1][0].close();
  await one.failed(1);
  await settle();
  assertEquals(waiting.map(([, own]) => own.closes), [0, 1, 0]);
  const { error, origin } = one.failures[0] as { error: AuthenticationError; origin: HandshakeOrigin };
  assertEquals([error.name, error.reason], ["AuthenticationError", "peer-closed"]);
  assertStringIncludes(error.message, "while it waited for one of the slots (maxHandshakes)");
  assertEquals(origin.remoteAddr, waiting[1][1].remoteAddr);
  assertEquals(waiting[1][1].writes, 0, "nobody is there to be told");
  assertEquals([one.failures.length, one.provider.ledger.contexts], [1, 1]);
  finish();
  await Promise.all([(await first).close(), (await one.listener.accept()).close()]);
  await assertClosed(one);
});

test("a connection that breaks while it waits for a slot ends with the system's error", async () => {
  const { one, first, finish } = await busyStage();
  const [peer, own] = one.tcp.arrive();
  const cut = Promise.withResolvers<void>();
  // The reads of the token's header and of the token have ended by then.
  own.onCall = (call, count) => call === "read" && count > 0 ? cut.promise : undefined;
  await peer.write(TOKEN);
  await settle();
  const failure = new TransportError("ECONNRESET", "Cannot read: the connection was reset");
  cut.reject(failure);
  await one.failed(1);
  assertStrictEquals(one.failures[0].error, failure);
  assertEquals(own.closes, 1);
  finish();
  await Promise.all([(await first).close(), (await one.listener.accept()).close()]);
  await assertClosed(one);
});

test("bytes that a client sends while it waits for a slot are read next, and checked by the same rules", async () => {
  for (
    const [early, name] of [[TOKEN, "AuthenticationError"], [new Uint8Array(9), "ProtocolError"]] as const
  ) {
    const { one, first, finish } = await busyStage({ tokens: 4 });
    const [peer, own] = one.tcp.arrive();
    const client = dial(peer, 4).catch((error) => error);
    await settle();
    const { reads } = own;
    peer.inject(early);
    await settle();
    assertEquals(own.reads, reads, "what is there is left where it is, but for one byte");
    finish();
    // A finished connection that was not accepted keeps its slot.
    await Promise.all([(await first).close(), (await one.listener.accept()).close()]);
    await one.failed(1);
    assertEquals(one.failures.map(({ error }) => error.name), [name]);
    assert(await client instanceof Error);
    await assertClosed(one);
  }
});

test("clients that waited for a slot exchange all their tokens afterwards, and carry data both ways", async () => {
  const one = await stage({ maxHandshakes: 1 }, { tokens: 4 });
  const clients = Promise.all(Array.from({ length: 5 }, async (_, index) => {
    await using client = await dial(one.tcp.arrive()[0], 4);
    const data = new Uint8Array(1000).fill(index);
    await client.write(data);
    const p = new Uint8Array(2000);
    assertEquals(p.subarray(0, (await client.read(p))!), data);
    await client.closeWrite();
    assertEquals(await client.read(p), null);
  }));
  for (let served = 0; served < 5; served++) {
    await using server = await one.listener.accept();
    const p = new Uint8Array(2000);
    await server.write(p.subarray(0, (await server.read(p))!));
    assertEquals(await server.read(p), null);
  }
  await clients;
  assertEquals(one.failures, []);
  await assertClosed(one);
});

test("if the system has no more room for sockets, a silent peer is evicted", async () => {
  const one = await stage({ maxHandshakes: 2 });
  const silent = Array.from({ length: 3 }, () => one.tcp.arrive());
  await settle();
  one.tcp.fail(new TransportError("EMFILE", "Cannot accept: too many open files"));
  await one.failed(1);
  one.turns.pass(GRACE_TURNS);
  const conns = await Promise.all([one.honest(), one.listener.accept()]);
  assertEquals(silent.map(([, own]) => own.closes), [1, 0, 0]);
  await Promise.all(conns.map((conn) => conn.close()));
  await assertClosed(one);
});

test("on a runtime that accepts every connection by itself, peers beyond the limit do not block an honest client", async () => {
  const one = await stage({ maxHandshakes: 1 }, {}, false);
  const silent = Array.from({ length: CONNECTIONS_PER_SLOT + 10 }, () => one.tcp.arrive());
  await settle();
  const conns = await Promise.all([one.honest(), one.listener.accept()]);
  assertEquals([one.failures.length, silent.some(([, own]) => own.closes > 0)], [0, false]);
  one.turns.pass(GRACE_TURNS);
  await one.failed(10);
  assertEquals(silent.map(([, own]) => own.closes).indexOf(0), 10);
  assert(one.failures.every(({ error, origin }) => error instanceof StateError && origin.remoteAddr));
  await Promise.all(conns.map((conn) => conn.close()));
  await assertClosed(one);
});

test("near the limit of descriptors a newcomer evicts the first silent peer at once, which is reported", async () => {
  const one = await stage({}, {}, false);
  const silent = Array.from({ length: 3 }, () => one.tcp.arrive());
  await settle();
  one.tcp.scarce = true;
  const conns = await Promise.all([one.honest(), one.listener.accept()]);
  assertEquals(silent.map(([, own]) => own.closes), [1, 0, 0]);
  assertEquals(one.failures.map(({ error }) => error.name), ["StateError"]);
  assertEquals(one.failures[0].origin.remoteAddr, silent[0][1].remoteAddr);
  await Promise.all(conns.map((conn) => conn.close()));
  await assertClosed(one);
});

test("near the limit of descriptors, if no peer is silent, a newcomer is refused, closed and reported", async () => {
  const { one, first, finish } = await busyStage({}, false);
  one.tcp.scarce = true;
  const [, own] = one.tcp.arrive();
  await one.failed(1);
  assertEquals([one.failures[0].error.name, own.closes], ["TransportError", 1]);
  assertStringIncludes(one.failures[0].error.message, "ulimit -n");
  assertEquals(one.failures[0].origin.remoteAddr, own.remoteAddr);
  one.tcp.scarce = false;
  const second = one.honest();
  finish();
  const served = [await one.listener.accept(), await one.listener.accept()];
  await Promise.all([...await Promise.all([first, second]), ...served].map((conn) => conn.close()));
  await assertClosed(one);
});

test("connections that were not accepted do not keep newcomers from the limiter if the runtime accepts them all", async () => {
  const one = await stage({ maxHandshakes: 1 }, {}, false);
  const clients = [await one.honest()];
  const rest = Array.from({ length: 5 }, () => one.honest());
  const silent = Array.from({ length: CONNECTIONS_PER_SLOT }, () => one.tcp.arrive());
  await settle();
  one.turns.pass(GRACE_TURNS);
  await one.failed(1);
  assertEquals(silent[0][1].closes, 1);
  const served: SecureConn[] = [];
  while (served.length < 6) served.push(await one.listener.accept());
  clients.push(...await Promise.all(rest));
  await Promise.all([...clients, ...served].map((conn) => conn.close()));
  await assertClosed(one);
});

test("a handshake that fails is reported and the next one is served", async () => {
  const one = await stage({ acceptedTargets: ["host/x"] });
  const wrong = secure(one.tcp.arrive()[0], {
    role: "client",
    target: "host/other",
    registry: createRegistry([toyProvider()]),
    system: toySystem(),
  });
  await assertRejects(() => wrong, AuthenticationError, "1790");
  const garbage = one.tcp.arrive()[0];
  await garbage.write(new TextEncoder().encode("hello?"));
  const [client, server] = await Promise.all([one.honest(), one.listener.accept()]);
  assertEquals(one.failures.map(({ error }) => error.name).sort(), ["AuthenticationError", "ProtocolError"]);
  await Promise.all([client.close(), server.close()]);
  await assertClosed(one);
});

test("an accept that fails repeatedly does not end the listener: it is reported and tried again after a wait", async () => {
  const one = await stage();
  const failure = new Error("EMFILE");
  for (let count = 0; count < 3; count++) one.tcp.fail(failure);
  await pause(100);
  assertEquals(one.failures.length, 3);
  assertStrictEquals(one.failures[0].error, failure);
  assertEquals(one.failures[0].origin, {});
  assert(one.tcp.accepts <= 5, `${one.tcp.accepts} accepts: it does not wait`);
  const [client, server] = await Promise.all([one.honest(), one.listener.accept()]);
  await Promise.all([client.close(), server.close()]);
  await assertClosed(one);
});

test("connections that were not accepted are bounded: the rest stays with the system", async () => {
  const one = await stage({ maxHandshakes: 2 });
  const clients: SecureConn[] = [];
  for (let count = 0; count < 2; count++) clients.push(await one.honest());
  await settle();
  const accepts = one.tcp.accepts;
  const rest = Array.from({ length: 5 }, () => one.honest());
  await pause(30);
  // One accept was already waiting when the second connection became ready.
  assert(one.tcp.accepts <= accepts + 1);
  assert(one.provider.ledger.contexts <= 3, `${one.provider.ledger.contexts} contexts`);
  const served: SecureConn[] = [];
  while (served.length < 7) served.push(await one.listener.accept());
  clients.push(...await Promise.all(rest));
  await Promise.all([...clients, ...served].map((conn) => conn.close()));
  await assertClosed(one);
});

test(
  "close() ends handshakes, closes connections that were not accepted, rejects accept() and reports no " +
    "failure",
  async () => {
    const one = await stage();
    const client = await one.honest();
    await settle();
    const stranger: MemoryTransport = one.tcp.arrive()[1];
    await settle();
    const closing = one.listener.close();
    assertStrictEquals(one.listener.close(), closing);
    await closing;
    assertEquals([stranger.closes, one.failures.length], [1, 0]);
    assertEquals(await client.read(new Uint8Array(1)), null);
    await assertRejects(() => one.listener.accept(), StateError, "The listener was closed");
    await client.close();
    await assertClosed(one);

    const two = await stage();
    const waiting = assertRejects(() => two.listener.accept(), StateError);
    await two.listener[Symbol.asyncDispose]();
    await waiting;
    await assertClosed(two);
  },
);

test("close() waits for a provider that is working before it releases the credentials", async () => {
  let finish = () => {};
  const one = await stage({}, { onStep: () => new Promise<void>((resolve) => finish = resolve) });
  const client = one.honest().catch((error) => error);
  await settle();
  let closed = false;
  const closing = one.listener.close().then(() => closed = true);
  await settle();
  assertEquals([closed, one.provider.ledger.credentialCloses, one.provider.ledger.contextCloses[0]], [
    false,
    0,
    0,
  ]);
  finish();
  await closing;
  assert(await client instanceof Error);
  await assertClosed(one);
});

test("iterating returns each connection, ends when the listener is closed, and leaving it closes the listener", async () => {
  const one = await stage();
  const clients = [one.honest(), one.honest()];
  let seen = 0;
  for await (const conn of one.listener) {
    await conn.close();
    if (++seen === 2) one.listener.close();
  }
  assertEquals(seen, 2);
  await Promise.all(clients.map(async (client) => await (await client).close()));
  await assertClosed(one);

  const two = await stage();
  const client = two.honest();
  for await (const conn of two.listener) {
    await conn.close();
    break;
  }
  assertEquals(two.tcp.closes, 1);
  await (await client).close();
  await assertClosed(two);
});

test("signal closes the listener, and accept() and iterations reject with its reason", async () => {
  const controller = new AbortController();
  const one = await stage({ signal: controller.signal });
  const waiting = one.listener.accept().catch((error) => error);
  const iterating = (async () => {
    for await (const conn of one.listener) await conn.close();
  })().catch((error) => error);
  await settle();
  const reason = { mine: true };
  controller.abort(reason);
  assertStrictEquals(await waiting, reason);
  assertStrictEquals(await iterating, reason);
  assertStrictEquals(await one.listener.accept().catch((error) => error), reason);
  await assertClosed(one);
});

test("without onHandshakeError failures go to console.warn, one line a second, and all of them are counted", async () => {
  const lines = await warnings(async () => {
    const one = await stage({ onHandshakeError: undefined });
    for (let count = 0; count < 10; count++) await one.tcp.arrive()[0].write(new Uint8Array(9));
    await settle();
    await assertClosed(one);
  });
  assertEquals(lines.length, 2);
  assertStringIncludes(lines[0], "a handshake with 192.0.2.2:2 failed: ProtocolError");
  assertStringIncludes(lines[1], "9 more");
});

/** What is written if a handshake fails and its handler does too; a successful handshake follows. */
async function writtenAbout(onHandshakeError: () => void): Promise<string> {
  const lines = await warnings(async () => {
    const one = await stage({ onHandshakeError });
    await one.tcp.arrive()[0].write(new Uint8Array(9));
    await settle();
    const [client, server] = await Promise.all([one.honest(), one.listener.accept()]);
    await Promise.all([client.close(), server.close()]);
    await assertClosed(one);
  });
  assertEquals(lines.length, 1);
  assertStringIncludes(lines[0], "a handshake with 192.0.2.2:2 failed: ProtocolError");
  return lines[0];
}

test("onHandshakeError that throws ends nothing, and hides neither its failure nor the one it was called with", async () => {
  const line = await writtenAbout(() => {
    throw new Error("the handler's own");
  });
  assertStringIncludes(line, "; and onHandshakeError threw Error: the handler's own");
});

test("onHandshakeError whose promise rejects ends nothing, not even the process, and hides nothing", async () => {
  const line = await writtenAbout(() => Promise.reject(new Error("the handler's own")));
  assertStringIncludes(line, "; and onHandshakeError threw Error: the handler's own");
});

test("onHandshakeError that throws a value without a text form ends nothing either", async () => {
  const line = await writtenAbout(() => {
    throw Object.create(null);
  });
  assertStringIncludes(line, "onHandshakeError threw a value that cannot be converted to text");
});
