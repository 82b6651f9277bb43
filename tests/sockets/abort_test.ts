import { assert, assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { test } from "@test";
import { TimeoutError } from "../../errors.ts";
import { settle } from "../support/memory_transport.ts";
import { type Attempt, attempt, secured } from "../support/secured.ts";
import type { ToyFaults } from "../support/toy_provider.ts";

type Role = "client" | "server";
/** A place where an end of the handshake waits: an operation, and which of its kind. */
type Point = { call: "acquire" | "step" | "read" | "write"; index: number };

const FAULTS: ToyFaults = { tokens: 4 };

/** Starts a handshake of which one end calls `act` at one point; `reached` reports that it got there. */
function attemptAt(
  role: Role,
  point: Point,
  act: () => void | Promise<void>,
  limits: { signal?: AbortSignal; timeoutMs?: number } = {},
): Attempt {
  let acted = false;
  const once = () => {
    if (acted) return;
    acted = true;
    return act();
  };
  const faults: ToyFaults = {
    ...FAULTS,
    onAcquire: () => point.call === "acquire" ? once() : undefined,
    onStep: (at, leg) => at === role && point.call === "step" && leg === point.index ? once() : undefined,
  };
  const { signal, timeoutMs } = limits;
  const started = attempt({
    clientFaults: role === "client" ? faults : FAULTS,
    serverFaults: role === "server" ? faults : FAULTS,
    client: role === "client" ? { ...(signal && { signal }), ...(timeoutMs && { timeoutMs }) } : {},
    server: role === "server"
      ? { ...(signal && { signal }), ...(timeoutMs && { handshakeTimeoutMs: timeoutMs }) }
      : {},
  });
  const transport = role === "client" ? started.a : started.b;
  transport.onCall = (call, count) => call === point.call && count === point.index ? once() : undefined;
  return started;
}

/** Every point of a whole handshake, found by running one. */
async function everyPoint(role: Role): Promise<Point[]> {
  const points: Point[] = [{ call: "acquire", index: 0 }, { call: "step", index: 0 }, {
    call: "step",
    index: 1,
  }];
  const { a, b, close } = await secured({ faults: FAULTS });
  const own = role === "client" ? a : b;
  for (let index = 0; index < own.reads; index++) points.push({ call: "read", index });
  for (let index = 0; index < own.writes; index++) points.push({ call: "write", index });
  await close();
  assert(points.length >= 7, "reads and writes are among them");
  return points;
}

async function assertReleased(started: Attempt): Promise<void> {
  // The other end may have been done before this one failed.
  for (const end of [started.client, started.server]) await end.then((conn) => conn.close(), () => {});
  await settle();
  for (const { ledger } of [started.clientProvider, started.serverProvider]) {
    assertEquals(ledger.live, 0);
    assert(ledger.contextCloses.every((closes) => closes === 1), String(ledger.contextCloses));
  }
  assertEquals([started.a.closes, started.b.closes], [1, 1]);
}

for (const role of ["client", "server"] as const) {
  test(
    `secure() as a ${role}: an abort at any point of the handshake rethrows its reason and releases ` +
      "everything",
    async () => {
      for (const point of await everyPoint(role)) {
        const reason = { at: point };
        const controller = new AbortController();
        let letGo = () => {};
        const started = attemptAt(role, point, () => {
          controller.abort(reason);
          return new Promise<void>((resolve) => letGo = resolve);
        }, { signal: controller.signal });
        const own = started[role];
        assertStrictEquals(
          await own.then(() => "connected", (error) => error),
          reason,
          JSON.stringify(point),
        );
        assertEquals((role === "client" ? started.a : started.b).closes, 1);
        // The pending call is only now settled by the transport or provider.
        letGo();
        await assertReleased(started);
      }
    },
  );

  test(`secure() as a ${role}: a wait that never ends, at any point of the handshake, is a TimeoutError`, async () => {
    for (const point of await everyPoint(role)) {
      let letGo = () => {};
      const stuck = () => new Promise<void>((resolve) => letGo = resolve);
      const started = attemptAt(role, point, stuck, { timeoutMs: 20 });
      const error = await assertRejects(() => started[role], TimeoutError, "20 ms");
      assertEquals(error.timeoutMs, 20);
      letGo();
      await assertReleased(started);
    }
  });

  test(`secure() as a ${role}: a failure at any point of the handshake is rethrown and releases everything`, async () => {
    for (const point of await everyPoint(role)) {
      const failure = new Error(JSON.stringify(point));
      const started = attemptAt(role, point, () => {
        throw failure;
      });
      assertStrictEquals(await started[role].then(() => "connected", (error) => error), failure);
      await assertReleased(started);
    }
  });

  test(`secure() as a ${role} with an aborted signal closes the transport and calls no provider`, async () => {
    const signal = AbortSignal.abort("too late");
    const started = attempt(role === "client" ? { client: { signal } } : { server: { signal } });
    assertEquals(await started[role].catch((error) => error), "too late");
    const provider = role === "client" ? started.clientProvider : started.serverProvider;
    assertEquals([provider.ledger.credentials, provider.ledger.contexts], [0, 0]);
    assertEquals((role === "client" ? started.a : started.b).closes, 1);
    await assertReleased(started);
  });
}

test("a context whose step is pending at an abort is closed when the step ends, and not before", async () => {
  const controller = new AbortController();
  let letGo = () => {};
  const started = attemptAt("client", { call: "step", index: 1 }, () => {
    controller.abort("enough");
    return new Promise<void>((resolve) => letGo = resolve);
  }, { signal: controller.signal });
  assertEquals(await started.client.catch((error) => error), "enough");
  await settle();
  assertEquals(started.a.closes, 1);
  assertEquals(started.clientProvider.ledger.contextCloses, [0]);
  assertEquals(started.clientProvider.ledger.credentialCloses, 0);
  letGo();
  await assertReleased(started);
});

test("credentials that arrive after an abort are closed", async () => {
  const controller = new AbortController();
  let letGo = () => {};
  const started = attemptAt("client", { call: "acquire", index: 0 }, () => {
    controller.abort("enough");
    return new Promise<void>((resolve) => letGo = resolve);
  }, { signal: controller.signal });
  assertEquals(await started.client.catch((error) => error), "enough");
  assertEquals(started.clientProvider.ledger.credentials, 0);
  letGo();
  await assertReleased(started);
  assertEquals(started.clientProvider.ledger.credentials, 1);
});

test("acquire() gets a signal that aborts with the caller's reason", async () => {
  const controller = new AbortController();
  let seen: AbortSignal | undefined;
  const started = attempt({
    client: { signal: controller.signal },
    clientFaults: {
      onAcquire: ({ signal }) => {
        seen = signal;
        return new Promise<void>((_, reject) =>
          signal!.addEventListener("abort", () => reject(signal!.reason))
        );
      },
    },
  });
  await settle();
  controller.abort("mine");
  assertEquals(await started.client.catch((error) => error), "mine");
  assertEquals(seen?.reason, "mine");
  await assertReleased(started);
});

test("secure(): the signal and the time-out have no effect after the connection is made", async () => {
  const controller = new AbortController();
  const { client, server, close } = await secured({ client: { signal: controller.signal, timeoutMs: 50 } });
  controller.abort();
  await new Promise((resolve) => setTimeout(resolve, 80));
  await client.write(Uint8Array.of(1));
  assertEquals(await server.read(new Uint8Array(2)), 1);
  await close();
});
