/** Aborts during a name look-up, with a system that secures sockets: simulated, with names that no server answers. */

import { assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { test } from "@test";
import { StateError, TimeoutError } from "../../../errors.ts";
import { simulate } from "../../../testing/simulator/simulate.ts";
import type { System } from "../../../ffi/system.ts";
import { ipsec } from "../../../plugins/ipsec/mod.ts";
import { createRegistry } from "../../../plugins/registry.ts";
import { connect } from "../../../sockets/connect.ts";
import { listen } from "../../../sockets/listen.ts";
import { openDatagrams } from "../../../sockets/ipsec/open_datagrams.ts";
import { settled } from "../../support/socket_suite.ts";

const SILENT = "far.example.test";
const provider = ipsec();
const registry = createRegistry([provider]);
const requirements = { mutualAuthentication: false } as const;

/** Runs `fn` on a host, then checks that the query and everything else was released. */
async function withSilence(fn: (system: System) => Promise<void>): Promise<void> {
  // The module is compiled once: after that only the look-up takes time.
  (await provider.codec()).close();
  const network = simulate({ silentNames: [SILENT] });
  {
    using system = network.host("client");
    await fn(system);
  }
  assertEquals(await settled(), {});
  assertEquals(network.held(), { handles: 0, allocations: 0 });
}

/** The error of `opening` when its signal aborts during the look-up. */
async function givenUp(opening: (signal: AbortSignal) => Promise<unknown>): Promise<void> {
  const controller = new AbortController();
  const reason = new Error("enough");
  const outcome = opening(controller.signal).then(() => "opened", (error) => error);
  setTimeout(() => controller.abort(reason), 20);
  assertStrictEquals(await outcome, reason);
}

test("connect() to a name that no server answers ends after timeoutMs, and so does the query", () =>
  withSilence(async (system) => {
    const options = { hostname: SILENT, port: 7, registry, requirements, system, timeoutMs: 30 };
    await assertRejects(() => connect(options), TimeoutError, "Connecting took longer than 30 ms");
  }));

test("connect(), listen() and openDatagrams() end with the signal's reason while a name is looked up", () =>
  withSilence(async (system) => {
    const options = { hostname: SILENT, port: 7, registry, requirements, system };
    await givenUp((signal) => connect({ ...options, signal }));
    await givenUp((signal) => listen({ ...options, signal }));
    await givenUp((signal) => openDatagrams({ ...options, signal }));
  }));

test("openDatagrams() with an aborted signal opens nothing", () =>
  withSilence(async (system) => {
    const reason = new Error("not at all");
    const opening = openDatagrams({ registry, requirements, system, signal: AbortSignal.abort(reason) });
    assertStrictEquals(await opening.catch((error) => error), reason);
  }));

test("send() to a name that no server answers ends with the signal, and the socket continues", () =>
  withSilence(async (system) => {
    await using udp = await openDatagrams({ registry, requirements, system });
    const data = new Uint8Array(3);
    await givenUp((signal) => udp.send(data, { hostname: SILENT, port: 9 }, signal));
    const port = udp.addr.port;
    const sent = await udp.send(data, { hostname: "localhost", port, computer: "host/client" });
    assertEquals(sent.confidentiality, true);
    await assertRejects(
      () => udp.send(data, { hostname: "localhost", port }, "no signal" as never),
      TypeError,
      "signal must be an AbortSignal",
    );
  }));

test("close() ends the look-ups of send() and deletePeerTarget()", () =>
  withSilence(async (system) => {
    const udp = await openDatagrams({ registry, requirements, system });
    const peer = { hostname: SILENT, port: 9 };
    const waiting = [udp.send(new Uint8Array(1), peer), udp.deletePeerTarget(peer)].map((each) =>
      assertRejects(() => each, StateError, "the socket was closed")
    );
    await udp.close();
    await Promise.all(waiting);
  }));
