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
import { CONNECTIONS_PER_PLACE, GRACE_TURNS } from "../../sockets/limiter.ts";
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
  /** A client that does all it should. */
  honest(): Promise<SecureConn>;
}

/** @param scarce Given: the runtime takes every connection from the system by itself. */
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

/** A client that sends and takes so many tokens in all. */
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

test("A stranger who says nothing costs no context, and is told as a TimeoutError with its address", async () => {
  const one = await stage({ handshakeTimeoutMs: 30 });
  const [stranger, own] = one.tcp.arrive();
  await stranger.write(HALF_A_TOKEN);
  await one.failed(1);
  assert(one.failures[0].error instanceof TimeoutError);
  assertEquals(one.failures[0].origin.remoteAddr?.hostname, "192.0.2.2");
  assertEquals([own.closes, one.provider.ledger.contexts], [1, 0]);
  await assertClosed(one);
});

test("Silent strangers take no place: an honest client is served at once, and they stay", async () => {
  const one = await stage({ maxHandshakes: 1 });
  const strangers = Array.from({ length: CONNECTIONS_PER_PLACE - 1 }, () => one.tcp.arrive());
  await settle();
  const conns = await Promise.all([one.honest(), one.listener.accept()]);
  assertEquals([one.failures.length, one.turns.counted], [0, false]);
  assert(strangers.every(([, own]) => own.closes === 0));
  await Promise.all(conns.map((conn) => conn.close()));
  await assertClosed(one);
  assert(strangers.every(([, own]) => own.closes === 1));
});

test("Where strangers take all the room the one who came first makes some, and an honest client is served", async () => {
  const one = await stage({ maxHandshakes: 1 });
  const strangers = Array.from({ length: CONNECTIONS_PER_PLACE }, () => one.tcp.arrive());
  await settle();
  const serving = Promise.all([one.honest(), one.listener.accept()]);
  await settle();
  one.turns.pass(GRACE_TURNS - 1);
  await settle();
  assertEquals(one.failures, []);
  one.turns.pass(1);
  const [client, server] = await serving;
  assertEquals(strangers.map(([, own]) => own.closes).indexOf(1), 0);
  assertEquals(one.failures.length, 1);
  assert(one.failures[0].error instanceof StateError);
  assertStringIncludes(one.failures[0].error.message, "maxHandshakes");
  assertEquals(one.provider.ledger.contexts, 1);
  await client.write(Uint8Array.of(1));
  assertEquals(await server.read(new Uint8Array(1)), 1);
  await Promise.all([client.close(), server.close()]);
  await assertClosed(one);
  assert(strangers.every(([, own]) => own.closes === 1));
});

test("A client whose bytes are there is never dropped, however long the loop has not gone round", async () => {
  const one = await stage({ maxHandshakes: 1 });
  const strangers = Array.from({ length: CONNECTIONS_PER_PLACE - 1 }, () => one.tcp.arrive());
  const honest = Array.from({ length: 5 }, () => one.honest());
  await settle();
  const served: SecureConn[] = [];
  while (served.length < 5) {
    served.push(await one.listener.accept());
    one.turns.pass(GRACE_TURNS);
  }
  assertEquals(strangers.filter(([, own]) => own.closes > 0).length, one.failures.length);
  await Promise.all([...await Promise.all(honest), ...served].map((conn) => conn.close()));
  await assertClosed(one);
});

test("Those who do not read the answer, and those who send no second token, give up their place", async () => {
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

test("Waiting for a place does not count towards a peer's time-out", async () => {
  let letGo = () => {};
  const gate = new Promise<void>((resolve) => letGo = resolve);
  // The provider is stuck with the first; its time-out passes while the second waits for the place.
  const one = await stage({ maxHandshakes: 1, handshakeTimeoutMs: 300 }, {
    onStep: (_, leg) => leg === 0 && one.provider.ledger.contexts === 1 ? gate : undefined,
  });
  const first = one.honest().catch((error) => error);
  await settle();
  const second = one.honest();
  await one.failed(1);
  await pause(100);
  letGo();
  const served = await one.listener.accept();
  assertEquals(one.failures.map(({ error }) => error.name), ["TimeoutError"]);
  assert(await first instanceof Error);
  await Promise.all([served.close(), (await second).close()]);
  await assertClosed(one);
});

test("A burst of honest clients beyond maxHandshakes is served in full", async () => {
  const one = await stage({ maxHandshakes: 2 });
  const clients = Promise.all(Array.from({ length: 20 }, () => one.honest()));
  const served: SecureConn[] = [];
  while (served.length < 20) served.push(await one.listener.accept());
  assertEquals(one.failures, []);
  await Promise.all([...await clients, ...served].map((conn) => conn.close()));
  await assertClosed(one);
});

test("While the provider is at work in every place a newcomer waits, and nobody is dropped", async () => {
  let letGo = () => {};
  const gate = new Promise<void>((resolve) => letGo = resolve);
  const one = await stage({ maxHandshakes: 1 }, { onStep: () => gate });
  const first = one.honest();
  await settle();
  const second = one.honest();
  await settle();
  one.turns.pass(2 * GRACE_TURNS);
  await settle();
  assertEquals([one.failures.length, one.provider.ledger.contexts], [0, 1]);
  letGo();
  const served = [await one.listener.accept(), await one.listener.accept()];
  await Promise.all([...await Promise.all([first, second]), ...served].map((conn) => conn.close()));
  await assertClosed(one);
});

/** A listener whose one place is taken by a provider at work, until `letGo` is called. */
async function busyStage(
  faults: ToyFaults = {},
  scarce?: boolean,
): Promise<{ one: Stage; first: Promise<SecureConn>; letGo(): void }> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const one: Stage = await stage({ maxHandshakes: 1 }, {
    onStep: (_, leg) => leg === 0 && one.provider.ledger.contexts === 1 ? promise : undefined,
    ...faults,
  }, scarce);
  const first = dial(one.tcp.arrive()[0], faults.tokens ?? 2);
  await settle();
  return { one, first, letGo: resolve };
}

const TOKEN = encodeHandshake("in-progress", new Uint8Array(100));

test("A client that goes away while it waits for a place is let go at once, and told of", async () => {
  const { one, first, letGo } = await busyStage();
  const waiting = Array.from({ length: 3 }, () => one.tcp.arrive());
  for (const [peer] of waiting) await peer.write(TOKEN);
  await settle();
  waiting[1][0].close();
  await one.failed(1);
  await settle();
  assertEquals(waiting.map(([, own]) => own.closes), [0, 1, 0]);
  const { error, origin } = one.failures[0] as { error: AuthenticationError; origin: HandshakeOrigin };
  assertEquals([error.name, error.reason], ["AuthenticationError", "peer-closed"]);
  assertStringIncludes(error.message, "while it waited for one of the places (maxHandshakes)");
  assertEquals(origin.remoteAddr, waiting[1][1].remoteAddr);
  assertEquals(waiting[1][1].writes, 0, "nobody is there to be told");
  assertEquals([one.failures.length, one.provider.ledger.contexts], [1, 1]);
  letGo();
  await Promise.all([(await first).close(), (await one.listener.accept()).close()]);
  await assertClosed(one);
});

test("A connection that is cut while it waits for a place ends with what the system says", async () => {
  const { one, first, letGo } = await busyStage();
  const [peer, own] = one.tcp.arrive();
  const cut = Promise.withResolvers<void>();
  // The reads of the token's header and of the token are over by then.
  own.onCall = (call, count) => call === "read" && count > 0 ? cut.promise : undefined;
  await peer.write(TOKEN);
  await settle();
  const failure = new TransportError("ECONNRESET", "Cannot read: the connection was reset");
  cut.reject(failure);
  await one.failed(1);
  assertStrictEquals(one.failures[0].error, failure);
  assertEquals(own.closes, 1);
  letGo();
  await Promise.all([(await first).close(), (await one.listener.accept()).close()]);
  await assertClosed(one);
});

test("What a client sends while it waits for a place is the next thing that is read, and held to the same rules", async () => {
  for (
    const [early, name] of [[TOKEN, "AuthenticationError"], [new Uint8Array(9), "ProtocolError"]] as const
  ) {
    const { one, first, letGo } = await busyStage({ tokens: 4 });
    const [peer, own] = one.tcp.arrive();
    const client = dial(peer, 4).catch((error) => error);
    await settle();
    const { reads } = own;
    peer.inject(early);
    await settle();
    assertEquals(own.reads, reads, "what is there is left where it is, but for one byte");
    letGo();
    // Whoever is ready and not fetched keeps the place.
    await Promise.all([(await first).close(), (await one.listener.accept()).close()]);
    await one.failed(1);
    assertEquals(one.failures.map(({ error }) => error.name), [name]);
    assert(await client instanceof Error);
    await assertClosed(one);
  }
});

test("Clients that wait for a place exchange all their tokens after, and then carry data both ways", async () => {
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

test("Where the system has no more room for sockets, a silent stranger makes some", async () => {
  const one = await stage({ maxHandshakes: 2 });
  const strangers = Array.from({ length: 3 }, () => one.tcp.arrive());
  await settle();
  one.tcp.fail(new TransportError("EMFILE", "Cannot accept: too many open files"));
  await one.failed(1);
  one.turns.pass(GRACE_TURNS);
  const conns = await Promise.all([one.honest(), one.listener.accept()]);
  assertEquals(strangers.map(([, own]) => own.closes), [1, 0, 0]);
  await Promise.all(conns.map((conn) => conn.close()));
  await assertClosed(one);
});

test("On a runtime that takes every connection by itself, strangers beyond the limit keep an honest client from nothing", async () => {
  const one = await stage({ maxHandshakes: 1 }, {}, false);
  const strangers = Array.from({ length: CONNECTIONS_PER_PLACE + 10 }, () => one.tcp.arrive());
  await settle();
  const conns = await Promise.all([one.honest(), one.listener.accept()]);
  assertEquals([one.failures.length, strangers.some(([, own]) => own.closes > 0)], [0, false]);
  one.turns.pass(GRACE_TURNS);
  await one.failed(10);
  assertEquals(strangers.map(([, own]) => own.closes).indexOf(0), 10);
  assert(one.failures.every(({ error, origin }) => error instanceof StateError && origin.remoteAddr));
  await Promise.all(conns.map((conn) => conn.close()));
  await assertClosed(one);
});

test("Near the limit of descriptors a newcomer takes the room of the first silent one at once, and it is reported", async () => {
  const one = await stage({}, {}, false);
  const strangers = Array.from({ length: 3 }, () => one.tcp.arrive());
  await settle();
  one.tcp.scarce = true;
  const conns = await Promise.all([one.honest(), one.listener.accept()]);
  assertEquals(strangers.map(([, own]) => own.closes), [1, 0, 0]);
  assertEquals(one.failures.map(({ error }) => error.name), ["StateError"]);
  assertEquals(one.failures[0].origin.remoteAddr, strangers[0][1].remoteAddr);
  await Promise.all(conns.map((conn) => conn.close()));
  await assertClosed(one);
});

test("Near the limit of descriptors, where nobody is silent, a newcomer is refused, closed and reported", async () => {
  const { one, first, letGo } = await busyStage({}, false);
  one.tcp.scarce = true;
  const [, own] = one.tcp.arrive();
  await one.failed(1);
  assertEquals([one.failures[0].error.name, own.closes], ["TransportError", 1]);
  assertStringIncludes(one.failures[0].error.message, "ulimit -n");
  assertEquals(one.failures[0].origin.remoteAddr, own.remoteAddr);
  one.tcp.scarce = false;
  const second = one.honest();
  letGo();
  const served = [await one.listener.accept(), await one.listener.accept()];
  await Promise.all([...await Promise.all([first, second]), ...served].map((conn) => conn.close()));
  await assertClosed(one);
});

test("Connections nobody accepts do not keep newcomers from the limiter where the runtime takes them all", async () => {
  const one = await stage({ maxHandshakes: 1 }, {}, false);
  const clients = [await one.honest()];
  const rest = Array.from({ length: 5 }, () => one.honest());
  const strangers = Array.from({ length: CONNECTIONS_PER_PLACE }, () => one.tcp.arrive());
  await settle();
  one.turns.pass(GRACE_TURNS);
  await one.failed(1);
  assertEquals(strangers[0][1].closes, 1);
  const served: SecureConn[] = [];
  while (served.length < 6) served.push(await one.listener.accept());
  clients.push(...await Promise.all(rest));
  await Promise.all([...clients, ...served].map((conn) => conn.close()));
  await assertClosed(one);
});

test("A handshake that fails is told and the next one served", async () => {
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

test("An accept that fails, again and again, ends nothing: it is told, waited for and tried again", async () => {
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

test("Connections nobody accepts are bounded: the rest stays with the system", async () => {
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

test("Closing ends handshakes, drops what nobody accepted, rejects who waits and tells no failure", async () => {
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
});

test("Closing waits for a provider that is at work before it releases the credentials", async () => {
  let letGo = () => {};
  const one = await stage({}, { onStep: () => new Promise<void>((resolve) => letGo = resolve) });
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
  letGo();
  await closing;
  assert(await client instanceof Error);
  await assertClosed(one);
});

test("Iterating gives each connection, ends when the listener is closed, and leaving it closes the listener", async () => {
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

test("A signal closes the listener, and its reason is what waits and iterations reject with", async () => {
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

test("Without a handler failures go to console.warn, one line a second, and none is left uncounted", async () => {
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

/** What is written where a handshake fails and its handler does, too; one that goes well follows. */
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

test("A handler that throws ends nothing, and hides neither its failure nor the one it was told of", async () => {
  const line = await writtenAbout(() => {
    throw new Error("the handler's own");
  });
  assertStringIncludes(line, "; and onHandshakeError threw Error: the handler's own");
});

test("A handler whose promise rejects ends nothing, the process least of all, and hides nothing", async () => {
  const line = await writtenAbout(() => Promise.reject(new Error("the handler's own")));
  assertStringIncludes(line, "; and onHandshakeError threw Error: the handler's own");
});

test("A handler that throws what cannot even be shown ends nothing either", async () => {
  const line = await writtenAbout(() => {
    throw Object.create(null);
  });
  assertStringIncludes(line, "onHandshakeError threw a value that cannot be shown");
});
