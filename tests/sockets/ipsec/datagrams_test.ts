/** openDatagrams() on a simulated network. */

import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { test } from "@test";
import {
  type NativeError,
  ProviderTrapError,
  SecurityRequirementError,
  StateError,
  TransportError,
} from "../../../errors.ts";
import { liveHandles } from "../../../ffi/handles.ts";
import { type HostOptions, simulate, type SimulatedNetwork } from "../../../testing/simulator/simulate.ts";
import { ipsec, type IpsecOptions } from "../../../plugins/ipsec/mod.ts";
import { negotiate } from "../../../plugins/negotiate/mod.ts";
import type { Requirements } from "../../../contract.ts";
import { createRegistry } from "../../../plugins/registry.ts";
import { connect } from "../../../sockets/connect.ts";
import { listen } from "../../../sockets/listen.ts";
import { openDatagrams } from "../../../sockets/ipsec/open_datagrams.ts";
import type { SecureDatagrams } from "../../../sockets/ipsec/datagrams.ts";
import { referenceProvider } from "../../support/reference_codec.ts";
import { settled } from "../../support/socket_suite.ts";
import { warnings } from "../../support/warnings.ts";

const WITHOUT_MUTUAL = { mutualAuthentication: false } as const;
const NOTHING = { integrity: false, confidentiality: false, mutualAuthentication: false } as const;
const encode = (text: string) => new TextEncoder().encode(text);

interface Given {
  readonly hosts?: { readonly [name: string]: HostOptions };
  readonly requirements?: Requirements;
  readonly senderRequirements?: Requirements;
  readonly sender?: IpsecOptions;
  readonly receiver?: IpsecOptions;
  /** Called of what is dropped, behind the list of it. */
  readonly onDropped?: () => void;
}

async function withPair(
  given: Given,
  fn: (
    a: SecureDatagrams,
    b: SecureDatagrams,
    dropped: unknown[],
    network: SimulatedNetwork,
  ) => Promise<void>,
) {
  const network = simulate({ hosts: given.hosts });
  const dropped: unknown[] = [];
  {
    using here = network.host("client");
    using there = network.host("server");
    const requirements = given.requirements ?? WITHOUT_MUTUAL;
    await using a = await openDatagrams({
      registry: createRegistry([ipsec(given.sender)]),
      requirements: given.senderRequirements ?? requirements,
      system: here,
    });
    await using b = await openDatagrams({
      port: 9,
      registry: createRegistry([ipsec(given.receiver)]),
      requirements,
      system: there,
      onDropped: (error) => {
        dropped.push(error);
        given.onDropped?.();
      },
    });
    await fn(a, b, dropped, network);
  }
  assertEquals(await settled(), {});
  assertEquals(network.held(), { handles: 0, allocations: 0 });
}

const PEER = { hostname: "server", port: 9 };

test("openDatagrams(): datagrams between secured ends arrive whole, and both ends report encryption", () =>
  withPair({}, async (a, b, _dropped, { traffic }) => {
    const sent = await a.send(encode("ping"), PEER);
    assertEquals([sent.integrity, sent.confidentiality, sent.simulated], [true, true, true]);
    const p = new Uint8Array(64);
    const got = await b.receive(p);
    assertEquals(new TextDecoder().decode(p.subarray(0, got.length)), "ping");
    assertEquals([got.from.port, got.security.confidentiality], [a.addr.port, true]);
    await a.send(encode("again"), PEER);
    assertEquals((await b.receive(p)).length, 5);
    await a.deletePeerTarget(PEER);
    assertEquals(traffic, { clear: 0, secured: 0, encrypted: 9 });
  }));

test("send() to a peer that cannot be secured sends nothing, and reports it", () =>
  withPair({ hosts: { server: { credentials: false } } }, async (a, _b, _dropped, { traffic }) => {
    await assertRejects(() => a.send(encode("secret"), PEER), SecurityRequirementError, "integrity");
    assertEquals(traffic, { clear: 0, secured: 0, encrypted: 0 });
  }));

test("a guarantee of encryption at one end encrypts at both ends, for datagrams too", () =>
  withPair({ senderRequirements: NOTHING, sender: { allowInsecure: true } }, async (a, b, dropped) => {
    assertEquals((await a.send(encode("fine"), PEER)).confidentiality, true);
    assertEquals((await b.receive(new Uint8Array(8))).length, 4);
    assertEquals(dropped, []);
  }));

test("receive() with a requirement that cannot be verified drops everything, and continues", () =>
  withPair({ requirements: {}, senderRequirements: WITHOUT_MUTUAL }, async (a, b, dropped) => {
    const stop = new AbortController();
    const receiving = b.receive(new Uint8Array(8), stop.signal).catch((error) => error);
    await a.send(encode("one"), PEER);
    await a.send(encode("two"), PEER);
    for (let turn = 0; turn < 100 && dropped.length < 2; turn++) await new Promise((r) => setTimeout(r, 5));
    assertEquals(dropped.map((error) => (error as SecurityRequirementError).required), [
      "mutualAuthentication",
      "mutualAuthentication",
    ]);
    const reason = new Error("enough");
    stop.abort(reason);
    assertEquals(await receiving, reason);
  }));

test("skipFilters is refused: the first datagram would be sent before the system is queried", async () => {
  const requirements = { ...WITHOUT_MUTUAL, confidentiality: false };
  for (const options of [{ skipFilters: true }, { skipFilters: true, allowInsecure: true }]) {
    const network = simulate();
    using system = network.host("client");
    const error = await assertRejects(
      () => openDatagrams({ registry: createRegistry([ipsec(options)]), requirements, system }),
      SecurityRequirementError,
      "Leave skipFilters out",
    );
    assertEquals(error.required, "integrity");
    system.close();
    assertEquals(await settled(), {});
    assertEquals(network.held(), { handles: 0, allocations: 0 });
  }
  const careless = { skipFilters: true, allowInsecure: true };
  await withPair(
    { requirements: NOTHING, sender: careless, receiver: careless },
    async (a, _b, _d, network) => {
      assertEquals((await a.send(encode("x"), PEER)).integrity, false);
      assertEquals(network.traffic, { clear: 1, secured: 0, encrypted: 0 });
    },
  );
});

test("send() with the name of another computer sends nothing", () =>
  withPair({}, async (a, _b, _dropped, { traffic }) => {
    const other = { ...PEER, computer: "host/other" };
    await assertRejects(() => a.send(encode("secret"), other), SecurityRequirementError);
    assertEquals(traffic.clear + traffic.encrypted, 0);
    await a.send(encode("now"), PEER);
    assertEquals(traffic.encrypted, 3);
  }));

test("send() reports why a negotiation failed", () =>
  withPair({ hosts: { server: { credentials: false } } }, async (a) => {
    const error = await assertRejects(() => a.send(encode("x"), PEER), SecurityRequirementError);
    assertStringIncludes(error.message, "IPsec's negotiation failed with ERROR_IPSEC_IKE_AUTH_FAIL (13801)");
    assertEquals((error.cause as NativeError).codeName, "ERROR_IPSEC_IKE_AUTH_FAIL");
  }));

test("receive() returns no byte of a datagram before its sender is known to be secured", () =>
  withPair({ requirements: {}, senderRequirements: WITHOUT_MUTUAL }, async (a, b, dropped) => {
    const p = new Uint8Array(8);
    const stop = new AbortController();
    const receiving = b.receive(p, stop.signal).catch((error) => error);
    await a.send(encode("secret"), PEER);
    for (let turn = 0; turn < 100 && dropped.length < 1; turn++) await new Promise((r) => setTimeout(r, 5));
    stop.abort(new Error("enough"));
    await receiving;
    assertEquals([dropped.length, ...p], [1, 0, 0, 0, 0, 0, 0, 0, 0]);
  }));

test("send(): the dot at the end of an absolute name is not part of the peer's principal", async () => {
  const network = simulate();
  const common = { registry: createRegistry([ipsec()]), requirements: WITHOUT_MUTUAL };
  {
    using client = network.host("client");
    using peer = network.host("peer");
    await using a = await openDatagrams({ ...common, system: client });
    await using b = await openDatagrams({ ...common, port: 9, system: peer });
    await a.send(encode("x"), { hostname: "peer.", port: 9 });
    await b.receive(new Uint8Array(1));
    await using listener = await listen({ ...common, port: 10, system: peer });
    const accepted = listener.accept();
    const conn = await connect({ ...common, hostname: "peer.", port: 10, system: client });
    await conn.close();
    await (await accepted).close();
  }
  assertEquals(await settled(), {});
});

test("send() sets each peer's name by its address, and sets it again after it was deleted", async () => {
  const network = simulate();
  const registry = createRegistry([ipsec()]);
  const requirements = WITHOUT_MUTUAL;
  {
    using client = network.host("client");
    using one = network.host("one");
    using other = network.host("other");
    await using a = await openDatagrams({ registry, requirements, system: client });
    await using b = await openDatagrams({ port: 9, registry, requirements, system: one });
    await using c = await openDatagrams({ port: 9, registry, requirements, system: other });
    const to = (hostname: string, computer: string) => a.send(encode("x"), { hostname, port: 9, computer });
    const arrives = (end: SecureDatagrams) => end.receive(new Uint8Array(1));
    await to("one", "host/one");
    await to("other", "host/other");
    await to("one", "host/one");
    for (const end of [b, c, b]) await arrives(end);
    // The names the wrong way round: neither peer holds the other's.
    await assertRejects(() => to("one", "host/other"), SecurityRequirementError);
    await to("other", "host/other");
    await arrives(c);
    await assertRejects(() => to("other", "host/one"), SecurityRequirementError);
    await a.deletePeerTarget({ hostname: "one", port: 9 });
    await to("one", "host/one");
    await arrives(b);
    assertEquals(network.traffic.encrypted, 5);
  }
  assertEquals(await settled(), {});
});

test("a peer whose association has changed is queried completely: it may be another peer", () =>
  withPair({
    hosts: { client: { administrator: true }, server: { administrator: true } },
  }, async (a, b, _dropped, network) => {
    const first = await a.send(encode("1"), PEER);
    assertEquals(await a.send(encode("2"), PEER), first);
    network.rekey("client", "server", "main");
    const then = await a.send(encode("3"), PEER);
    assertEquals(then.details.mainModeSa === first.details.mainModeSa, false);
    network.failNext("client", "IkeextSaGetById1", "ERROR_ACCESS_DENIED");
    assertEquals(await a.send(encode("4"), PEER), then, "nothing has changed, so nothing is read anew");
    network.rekey("client", "server", "quick");
    const refused = await a.send(encode("5"), PEER);
    assertEquals([refused.mutualAuthentication, String(refused.details.association).slice(0, 5)], [
      "unknown",
      "needs",
    ]);
    const p = new Uint8Array(1);
    for (let count = 0; count < 5; count++) await b.receive(p);
  }));

test("openDatagrams() checks its arguments, and refuses providers of the other layer", async () => {
  await withPair({}, async (a) => {
    const data = encode("x");
    await assertRejects(() => a.send(data, { hostname: "10.0.0.2", port: 9 }), TypeError, "peer.computer");
    await assertRejects(() => a.send(data, { hostname: "server", port: 0 }), RangeError, "peer.port");
    await assertRejects(() => a.send(data, { hostname: "nobody", port: 9 }), TransportError, "nobody");
    await assertRejects(() => a.send("x" as never, PEER), TypeError, "Uint8Array");
    await assertRejects(() => a.receive(null as never), TypeError, "Uint8Array");
    await a.close();
    await assertRejects(() => a.receive(new Uint8Array(1)), StateError, "closed");
  });
  using system = simulate().host("client");
  const registry = createRegistry([negotiate()]);
  await assertRejects(() => openDatagrams({ registry, system }), Error);
});

test("half of a surrogate pair is refused by the argument's name, and nothing is opened or sent for it", async () => {
  const HALF = "zq\ud83d";
  const network = simulate();
  {
    using system = network.host("client");
    const given = { registry: createRegistry([ipsec()]), requirements: WITHOUT_MUTUAL, system };
    for (const key of ["username", "domain", "password"]) {
      const credentials = { username: "alice", password: "x", [key]: HALF };
      await assertRejects(
        () => openDatagrams({ ...given, credentials }),
        TypeError,
        `options.credentials.${key} contains a lone surrogate`,
      );
    }
    await assertRejects(
      () => openDatagrams({ ...given, hostname: HALF }),
      TypeError,
      "options.hostname contains a lone surrogate",
    );
    assertEquals(liveHandles(), {}, "no library either");
  }
  await withPair({}, async (a, _b, _dropped, { traffic }) => {
    const send = (peer: object) => a.send(encode("x"), { ...PEER, ...peer });
    await assertRejects(() => send({ computer: HALF }), TypeError, "peer.computer contains a lone surrogate");
    await assertRejects(() => send({ hostname: HALF }), TypeError, "peer.hostname contains a lone surrogate");
    assertEquals(traffic, { clear: 0, secured: 0, encrypted: 0 });
  });
});

for (
  const [key, value] of [
    ["handshakeTimeoutMs", 5],
    ["maxHandshakes", 3],
    ["onHandshakeError", () => {}],
    ["acceptedTargets", ["host/a"]],
    ["channelBindings", new Uint8Array(1)],
    ["timeoutMs", 5],
    ["onDrop", () => {}],
  ] as const
) {
  test(`openDatagrams() has no option ${key}, and reports it before anything is opened`, async () => {
    const network = simulate();
    using system = network.host("client");
    const registry = createRegistry([ipsec()]);
    const options = { registry, requirements: WITHOUT_MUTUAL, system, [key]: value };
    await assertRejects(
      () => openDatagrams(options),
      TypeError,
      `options.${key} is not known; use one of hostname`,
    );
    await assertRejects(() => openDatagrams(undefined as never), TypeError, "options must be an object");
    assertEquals(network.held(), { handles: 0, allocations: 0 });
  });
}

test("a codec's settings that allow clear text, although integrity is required, send nothing", async () => {
  const network = simulate({ hosts: { server: { credentials: false } } });
  {
    using here = network.host("client");
    const hostile = (bytes: Uint8Array) => (bytes[4] |= 2, bytes);
    const provider = referenceProvider({ allowInsecure: true }, { settings: hostile });
    const requirements = { ...WITHOUT_MUTUAL, confidentiality: false };
    const registry = createRegistry([provider]);
    await assertRejects(
      () => openDatagrams({ registry, requirements, system: here }),
      ProviderTrapError,
      "a value in SecurityFlags that was not granted",
    );
    assertEquals(provider.open.count, 0);
  }
  assertEquals(network.traffic, { clear: 0, secured: 0, encrypted: 0 });
  assertEquals(network.held(), { handles: 0, allocations: 0 });
});

for (
  const [what, faults, field] of [
    ["another computer", { target: (bytes: Uint8Array) => (bytes[140] ^= 1, bytes) }, "AllStrings"],
    ["another peer", { target: (bytes: Uint8Array) => (bytes[12] ^= 1, bytes) }, "PeerAddress"],
    ["the peer without its address", {
      target: (bytes: Uint8Array) => (bytes.fill(0, 8, 136), bytes),
    }, "PeerAddress"],
  ] as const
) {
  test(`a codec that names ${what} for a datagram is refused before it is sent`, async () => {
    const network = simulate();
    {
      using here = network.host("client");
      const provider = referenceProvider({}, faults);
      const options = { registry: createRegistry([provider]), requirements: WITHOUT_MUTUAL, system: here };
      await using udp = await openDatagrams(options);
      const peer = { hostname: "localhost", port: udp.addr.port, computer: "host/client" };
      await assertRejects(
        () => udp.send(new Uint8Array(3), peer),
        ProviderTrapError,
        `a value in ${field} that was not granted`,
      );
    }
    assertEquals(network.traffic, { clear: 0, secured: 0, encrypted: 0 });
    assertEquals(network.held(), { handles: 0, allocations: 0 });
  });
}

test("receive() drops an unsecured sender's datagram of any length, and receives the next one", () =>
  withPair({ requirements: {}, senderRequirements: WITHOUT_MUTUAL }, async (a, b, dropped) => {
    const stop = new AbortController();
    const receiving = b.receive(new Uint8Array(2), stop.signal).catch((error) => error);
    for (const length of [100, 3, 60_000, 0]) await a.send(new Uint8Array(length), PEER);
    for (let turn = 0; turn < 100 && dropped.length < 4; turn++) await new Promise((r) => setTimeout(r, 5));
    assertEquals(dropped.map((error) => (error as SecurityRequirementError).required), [
      "mutualAuthentication",
      "mutualAuthentication",
      "mutualAuthentication",
      "mutualAuthentication",
    ]);
    stop.abort(new Error("enough"));
    assertEquals((await receiving).message, "enough");
  }));

test(
  "receive() of a secured peer's datagram that is too long is an error with both lengths, and the next " +
    "one is received",
  () =>
    withPair({}, async (a, b, dropped) => {
      const p = new Uint8Array(4).fill(7);
      for (const data of ["five!", "more than that", "four", "", "x"]) await a.send(encode(data), PEER);
      const from = `10.0.0.1:${a.addr.port}`;
      for (const [length, room, into] of [[5, 4, p], [14, 0, new Uint8Array()]] as const) {
        const error = await assertRejects(
          () => b.receive(into),
          TransportError,
          `from ${from} has ${length} bytes`,
        );
        assertStringIncludes(error.message, `p has room for ${room}. It is lost`);
        assertEquals(error.codeName, "WSAEMSGSIZE");
      }
      assertEquals(p, new Uint8Array(4).fill(7), "nothing of it was handed out");
      assertEquals((await b.receive(p)).length, 4);
      assertEquals(p, encode("four"));
      assertEquals((await b.receive(new Uint8Array())).length, 0);
      assertEquals((await b.receive(p)).length, 1);
      assertEquals(dropped, []);
    }),
);

test("receive() into an empty buffer receives an empty datagram, and reports any other as too long", () =>
  withPair({}, async (a, b) => {
    const receiving = b.receive(new Uint8Array());
    await a.send(encode(""), PEER);
    assertEquals((await receiving).length, 0);
  }));

for (
  const code of ["WSAECONNRESET", "WSAENETRESET", "ERROR_PORT_UNREACHABLE", "ERROR_PROTOCOL_UNREACHABLE"]
) {
  test(`receive() continues if the system reports an earlier datagram with ${code}`, () =>
    withPair({}, async (a, b, dropped, network) => {
      network.failNext("server", "WSARecvFrom", code);
      const receiving = b.receive(new Uint8Array(8));
      await a.send(encode("after"), PEER);
      assertEquals((await receiving).length, 5);
      assertEquals([dropped, network.faultsInjected], [[], 1]);
    }));
}

test("onDropped that throws does not end receive(), and hides neither its failure nor the one it was called with", async () => {
  const thrown = [new Error("the observer's own"), Object.create(null), new Error("the last")];
  const lines = await warnings(() =>
    withPair({
      onDropped: () => {
        throw thrown.shift();
      },
    }, async (a, b, dropped, network) => {
      for (let count = 0; count < 3; count++) {
        network.failNext("server", "WSAQuerySocketSecurity", "WSAEINVAL");
      }
      const p = new Uint8Array(8);
      const receiving = b.receive(p);
      for (const text of ["one", "two", "three", "four"]) await a.send(encode(text), PEER);
      assertEquals(new TextDecoder().decode(p.subarray(0, (await receiving).length)), "four");
      assertEquals([dropped.length, thrown.length], [3, 0]);
    })
  );
  assertStringIncludes(lines[0], "a datagram from 10.0.0.1:");
  assertStringIncludes(lines[0], "was dropped: TransportError: ");
  assertStringIncludes(lines[0], "; and onDropped threw Error: the observer's own");
  // Written or counted, however long the three took.
  const written = lines.filter((line) => line.includes("; and onDropped threw ")).length;
  const counted = lines.map((line) =>
    Number(/\(and (\d+) more datagrams were dropped before\)$/.exec(line)?.[1] ?? 0)
  );
  assertEquals(written + counted.reduce((sum, count) => sum + count), 3);
});

test("without onDropped nothing is written about datagrams of unsecured senders", async () => {
  const lines = await warnings(async () => {
    const network = simulate();
    const given = { registry: createRegistry([ipsec()]), requirements: WITHOUT_MUTUAL };
    using here = network.host("client");
    using there = network.host("server");
    await using a = await openDatagrams({ ...given, system: here });
    await using b = await openDatagrams({ ...given, port: 9, system: there });
    network.failNext("server", "WSAQuerySocketSecurity", "WSAEINVAL");
    for (const text of ["one", "four"]) await a.send(encode(text), PEER);
    assertEquals((await b.receive(new Uint8Array(8))).length, 4);
  });
  assertEquals(lines, []);
});

test("receive() continues when a peer is gone, whether or not the system can be asked not to report it", async () => {
  for (const refused of [false, true]) {
    const network = simulate();
    const given = { registry: createRegistry([ipsec()]), requirements: WITHOUT_MUTUAL };
    {
      using here = network.host("client");
      using there = network.host("server");
      if (refused) network.failNext("client", "WSAIoctl", "WSAEOPNOTSUPP");
      await using a = await openDatagrams({ ...given, port: 8, system: here });
      await using b = await openDatagrams({ ...given, system: there });
      const receiving = a.receive(new Uint8Array(8));
      // Nobody receives at this port.
      for (let count = 0; count < 3; count++) await a.send(encode("?"), PEER).catch(() => {});
      await b.send(encode("here"), { hostname: "client", port: 8 });
      assertEquals((await receiving).length, 4);
    }
    assertEquals(await settled(), {});
    assertEquals(network.held(), { handles: 0, allocations: 0 });
  }
});

test("receive() rejects with an error that is not a reset, by name", () =>
  withPair({}, async (_a, b, _dropped, network) => {
    network.failNext("server", "WSARecvFrom", "WSAENETDOWN");
    await assertRejects(() => b.receive(new Uint8Array(8)), TransportError, "WSAENETDOWN");
  }));

test("with mutual authentication required no datagram is sent in clear text, whatever allowInsecure is", () =>
  withPair({
    hosts: { server: { credentials: false } },
    sender: { allowInsecure: true },
    senderRequirements: { ...NOTHING, mutualAuthentication: true },
    receiver: { allowInsecure: true },
    requirements: NOTHING,
  }, async (a, _b, _dropped, { traffic }) => {
    await assertRejects(() => a.send(encode("secret"), PEER), SecurityRequirementError);
    assertEquals(traffic, { clear: 0, secured: 0, encrypted: 0 });
  }));
