/** Resolves names with overlapped queries, on simulated hosts, also when they are aborted. */

import { assert, assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { test } from "@test";
import fc from "fast-check";
import { TransportError } from "../../../errors.ts";
import { liveHandles } from "../../../ffi/handles.ts";
import { type NetworkOptions, simulate, type SimulatedNetwork } from "../../../testing/simulator/simulate.ts";
import type { NativeSystem } from "../../../ffi/system.ts";
import { type Winsock, winsockOf } from "../../../ffi/winsock/winsock.ts";
import { settled } from "../../support/socket_suite.ts";

const SILENT = "far.example.test";
const NOTHING_HELD = { handles: 0, allocations: 0 };

/** Runs `fn` on a host among others, then checks that it has released everything. */
async function withNames(
  fn: (winsock: Winsock, network: SimulatedNetwork, system: NativeSystem) => Promise<void>,
  options: NetworkOptions = {},
): Promise<void> {
  const network = simulate({ hosts: { server: { address: "10.0.0.7" } }, silentNames: [SILENT], ...options });
  const system = network.host("client") as NativeSystem;
  try {
    await fn(winsockOf(system, "sockets"), network, system);
  } finally {
    system.close();
  }
  assertEquals(await settled(), {});
  assertEquals(network.held(), NOTHING_HELD);
}

const look = (winsock: Winsock, name: string, signal?: AbortSignal) =>
  winsock.resolve(name, 80, "stream", "connect", signal);
const hostnames = async (winsock: Winsock, name: string) =>
  (await look(winsock, name)).map(({ hostname, port }) => `${hostname} ${port}`);

/** Runs what is queued already, except timers. */
async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await null;
}

test("resolve() returns the addresses of a name, and a numeric address itself, and leaves nothing open", () =>
  withNames(async (winsock) => {
    assertEquals(await hostnames(winsock, "server"), ["10.0.0.7 80", "fd00::a00:7 80"]);
    assertEquals(await hostnames(winsock, "192.0.2.9"), ["192.0.2.9 80"]);
    assertEquals(await hostnames(winsock, "2001:db8::1"), ["2001:db8::1 80"]);
    assertEquals(await hostnames(winsock, "localhost"), ["127.0.0.1 80"]);
  }));

test("resolve() of an unknown name rejects with an error that says what to check", () =>
  withNames(async (winsock) => {
    const error = await assertRejects(
      () => look(winsock, "nobody.example.test"),
      TransportError,
      "Cannot find the address of nobody.example.test: GetAddrInfoExW failed with WSAHOST_NOT_FOUND (11001). " +
        "Check the spelling",
    );
    assertEquals(error.codeName, "WSAHOST_NOT_FOUND");
  }));

for (
  const [fn, codes] of Object.entries({
    GetAddrInfoExW: ["WSATRY_AGAIN", "WSANO_RECOVERY", "WSAEINVAL", "ERROR_NOT_ENOUGH_MEMORY"],
    GetAddrInfoExOverlappedResult: ["WSAHOST_NOT_FOUND", "WSATRY_AGAIN", "WSANO_RECOVERY", "WSANO_DATA"],
    CreateEventW: ["ERROR_NOT_ENOUGH_MEMORY"],
  })
) {
  for (const code of codes) {
    test(`resolve() fails with ${code} where ${fn} returns it, and leaves nothing open`, () =>
      withNames(async (winsock, network) => {
        const named = fn === "CreateEventW" ? fn : "GetAddrInfoExW";
        network.failNext("client", fn, code);
        const error = await assertRejects(() => look(winsock, "server"), TransportError, named);
        assertEquals(error.codeName, code);
        assertEquals((await look(winsock, "server")).length, 2, "the next one works");
      }));
  }
}

test("resolve() fails and leaves nothing open where the event that wakes the waiting thread cannot be created", () =>
  withNames(async (winsock, network) => {
    network.failNext("client", "CreateEventW", "ERROR_NOT_ENOUGH_MEMORY", 1);
    await assertRejects(() => look(winsock, "server"), TransportError, "CreateEventW");
  }));

test("resolve() with an aborted signal starts no query", () =>
  withNames(async (winsock, network) => {
    const reason = new Error("not at all");
    network.failNext("client", "GetAddrInfoExW", "WSATRY_AGAIN");
    assertStrictEquals(
      await look(winsock, "server", AbortSignal.abort(reason)).catch((error) => error),
      reason,
    );
    await assertRejects(() => look(winsock, "server"), TransportError, "WSATRY_AGAIN");
  }));

test("resolve() rethrows the signal's reason immediately, and the system cancels the query", () =>
  withNames(async (winsock, network) => {
    const controller = new AbortController();
    const reason = { enough: true };
    let settledWith: unknown = "nothing";
    const looking = look(winsock, SILENT, controller.signal).catch((error) => void (settledWith = error));
    await turns(50);
    assertEquals(settledWith, "nothing");
    assertEquals(liveHandles()["name query"], 1);
    controller.abort(reason);
    await turns(10);
    assertStrictEquals(settledWith, reason, "before any timer or event");
    await looking;
    await turns(50);
    assertEquals(liveHandles(), { library: 6 }, "the query, its events and Winsock are gone");
    assertEquals(network.held(), NOTHING_HELD);
  }));

test("resolve() is aborted as quickly where the system refuses to cancel, and a later result is released", () =>
  withNames(async (winsock, network) => {
    const controller = new AbortController();
    const reason = new Error("enough");
    network.failNext("client", "GetAddrInfoExCancel", "ERROR_INVALID_HANDLE");
    const looking = look(winsock, "server", controller.signal).catch((error) => error);
    controller.abort(reason);
    assertEquals(liveHandles()["name query"], 1, "its memory stays while the system may write to it");
    assertStrictEquals(await looking, reason);
  }));

test("resolve() aborted at any moment returns the addresses or rejects with the reason, and leaves nothing open", () =>
  withNames(async (winsock, network) => {
    const seen = new Set<string>();
    for (let moment = 0; moment < 60; moment++) {
      const controller = new AbortController();
      const looking = look(winsock, "server", controller.signal).then(
        (found) => `${found.length} addresses`,
        (error) => error === controller.signal.reason ? "the reason" : `another error: ${error}`,
      );
      await turns(moment);
      controller.abort(new Error("enough"));
      seen.add(await looking);
    }
    assertEquals([...seen].sort(), ["2 addresses", "the reason"]);
    await turns(100);
    assertEquals(network.held(), NOTHING_HELD);
  }));

test("resolve() aborted at the moment it ends never cancels another query that has reused its handle", () =>
  withNames(async (winsock) => {
    for (let moment = 0; moment < 40; moment++) {
      const [first, second] = [new AbortController(), new AbortController()];
      const looking = look(winsock, "server", first.signal).catch(() => {});
      await turns(moment);
      let other: unknown = "under way";
      const silent = look(winsock, SILENT, second.signal).catch((error) => other = error);
      first.abort(new Error("enough"));
      await looking;
      await turns(50);
      assertEquals(other, "under way", `given up after ${moment} turns`);
      second.abort("done");
      await silent;
      assertEquals(other, "done");
    }
    await turns(100);
  }));

test("resolve() is not delayed by 200 queries that are not answered", () =>
  withNames(async (winsock) => {
    const controller = new AbortController();
    const silent = Array.from({ length: 200 }, () => look(winsock, SILENT, controller.signal));
    for (let round = 0; round < 3; round++) {
      const answered = await Promise.all(Array.from({ length: 100 }, () => look(winsock, "server")));
      assert(answered.every((found) => found.length === 2));
    }
    controller.abort(new Error("enough"));
    const outcomes = await Promise.allSettled(silent);
    assert(outcomes.every((each) => each.status === "rejected" && each.reason === controller.signal.reason));
  }));

test("resolve() ends its queries after the system is closed, and begins no others", async () => {
  const network = simulate({ hosts: { server: {} } });
  const system = network.host("client") as NativeSystem;
  const winsock = winsockOf(system, "sockets");
  const looking = look(winsock, "server");
  system.close();
  assertEquals((await looking).length, 2);
  await assertRejects(() => look(winsock, "server"), Error, "closed");
  assertEquals(await settled(), {});
  assertEquals(network.held(), NOTHING_HELD);
});

test("resolve() under random faults and aborts leaves no handle, buffer or promise open", async () => {
  const step = fc.record({
    name: fc.constantFrom("server", "nobody.example.test", "10.0.0.7", "localhost", SILENT),
    abortAfter: fc.option(fc.nat(40), { nil: null }),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 80 }), fc.nat(), async (steps, seed) => {
      await withNames(async (winsock) => {
        await Promise.all(steps.map(async ({ name, abortAfter }) => {
          const controller = new AbortController();
          const looking = look(winsock, name, controller.signal).catch((error) => {
            assert(error instanceof TransportError || error === controller.signal.reason, String(error));
          });
          // A query that is not answered is always aborted: it would never end.
          if (abortAfter !== null || name === SILENT) {
            await turns(abortAfter ?? 20);
            controller.abort(new Error("enough"));
          }
          await looking;
        }));
      }, { faults: { seed, perThousand: 100 } });
    }),
    { numRuns: 60 },
  );
});
