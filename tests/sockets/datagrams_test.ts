/** openDatagrams() on a simulated network. */

import { assertEquals, assertRejects } from "@std/assert";
import { test } from "@test";
import { SecurityRequirementError, StateError, TransportError } from "../../errors.ts";
import { type HostOptions, simulate, type SimulatedNetwork } from "../../ffi/simulator/simulate.ts";
import { ipsec, type IpsecOptions } from "../../plugins/ipsec/mod.ts";
import { negotiate } from "../../plugins/negotiate/mod.ts";
import type { Requirements } from "../../plugins/provider.ts";
import { createRegistry } from "../../plugins/registry.ts";
import { openDatagrams } from "../../sockets/open_datagrams.ts";
import type { SecureDatagrams } from "../../sockets/secure_datagrams.ts";
import { settled } from "../support/socket_suite.ts";

const WITHOUT_MUTUAL = { mutualAuthentication: false } as const;
const NOTHING = { integrity: false, confidentiality: false, mutualAuthentication: false } as const;
const encode = (text: string) => new TextEncoder().encode(text);

interface Given {
  readonly hosts?: { readonly [name: string]: HostOptions };
  readonly requirements?: Requirements;
  readonly senderRequirements?: Requirements;
  readonly sender?: IpsecOptions;
  readonly receiver?: IpsecOptions;
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
      onDropped: (error) => void dropped.push(error),
    });
    await fn(a, b, dropped, network);
  }
  assertEquals(await settled(), {});
  assertEquals(network.held(), { handles: 0, allocations: 0 });
}

const PEER = { hostname: "server", port: 9 };

test("datagrams between secured ends arrive whole, and both ends know that they are encrypted", () =>
  withPair({}, async (a, b, _dropped, { traffic }) => {
    const sent = await a.send(encode("ping"), PEER);
    assertEquals([sent.secured, sent.encrypted, sent.simulated], [true, true, true]);
    const p = new Uint8Array(64);
    const got = await b.receive(p);
    assertEquals(new TextDecoder().decode(p.subarray(0, got.length)), "ping");
    assertEquals([got.from.port, got.security.encrypted], [a.addr.port, true]);
    await a.send(encode("again"), PEER);
    assertEquals((await b.receive(p)).length, 5);
    await a.deletePeerTarget(PEER);
    assertEquals(traffic, { clear: 0, secured: 0, encrypted: 9 });
  }));

test("a datagram to a peer that cannot be secured does not leave, and the sender is told", () =>
  withPair({ hosts: { server: { credentials: false } } }, async (a, _b, _dropped, { traffic }) => {
    await assertRejects(() => a.send(encode("secret"), PEER), SecurityRequirementError, "integrity");
    assertEquals(traffic, { clear: 0, secured: 0, encrypted: 0 });
  }));

test("one end's guarantee of encryption is both ends', for datagrams too", () =>
  withPair({ senderRequirements: NOTHING, sender: { allowInsecure: true } }, async (a, b, dropped) => {
    assertEquals((await a.send(encode("fine"), PEER)).encrypted, true);
    assertEquals((await b.receive(new Uint8Array(8))).length, 4);
    assertEquals(dropped, []);
  }));

test("a receiver that requires what nobody can tell drops everything, and goes on", () =>
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

test("without filters of the socket's own the first datagram would leave before anybody is asked: refused", async () => {
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
      assertEquals((await a.send(encode("x"), PEER)).secured, false);
      assertEquals(network.traffic, { clear: 1, secured: 0, encrypted: 0 });
    },
  );
});

test("the name of another computer keeps a datagram from leaving", () =>
  withPair({}, async (a, _b, _dropped, { traffic }) => {
    const other = { ...PEER, computer: "host/other" };
    await assertRejects(() => a.send(encode("secret"), other), SecurityRequirementError);
    assertEquals(traffic.clear + traffic.encrypted, 0);
    await a.send(encode("now"), PEER);
    assertEquals(traffic.encrypted, 3);
  }));

test("arguments are checked, and providers of the other layer have no datagrams", async () => {
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
