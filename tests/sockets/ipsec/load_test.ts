/** Thousands of connect() and listen() on simulated hosts under random faults. */

import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { test } from "@test";
import { SecureSocketError } from "../../../errors.ts";
import { simulate, type SimulatedNetwork } from "../../../testing/simulator/simulate.ts";
import type { System } from "../../../ffi/system.ts";
import { createRegistry, type Registry } from "../../../plugins/registry.ts";
import { connect } from "../../../sockets/connect.ts";
import { listen } from "../../../sockets/listen.ts";
import type { SecureConn } from "../../../sockets/secure_conn.ts";
import type { SecureListener } from "../../../sockets/secure_conn.ts";
import { referenceProvider } from "../../support/reference_codec.ts";
import { settled } from "../../support/socket_suite.ts";

const PORT = 7;
const requirements = { mutualAuthentication: false } as const;
const SENT = Uint8Array.of(1, 2, 3);

/** The name of an error that a fault can cause. */
function expectable(error: unknown): string {
  if (!(error instanceof SecureSocketError)) throw error;
  return error.message;
}

/** A listener, as soon as no fault prevents it. */
async function listening(system: System, registry: Registry, failures: unknown[]): Promise<SecureListener> {
  const onHandshakeError = (error: unknown) => void failures.push(error);
  for (;;) {
    try {
      return await listen({ port: PORT, registry, requirements, system, onHandshakeError });
    } catch (error) {
      expectable(error);
    }
  }
}

async function echo(conn: SecureConn): Promise<void> {
  const p = new Uint8Array(8);
  try {
    for (let read = await conn.read(p); read !== null; read = await conn.read(p)) {
      await conn.write(p.subarray(0, read));
    }
  } catch (error) {
    expectable(error);
  } finally {
    await conn.close();
  }
}

/** Opens, uses and closes one connection; returns the result. */
async function life(system: System, registry: Registry): Promise<string> {
  let conn: SecureConn | null = null;
  try {
    conn = await connect({ hostname: "server", port: PORT, registry, requirements, system });
    assertEquals([conn.security.integrity, conn.security.confidentiality], [true, true]);
    await conn.write(SENT);
    const p = new Uint8Array(8);
    const read = await conn.read(p);
    if (read !== null) assertEquals(p.subarray(0, read), SENT);
    await conn.querySecurity();
    await conn.closeWrite();
    return "served";
  } catch (error) {
    return expectable(error);
  } finally {
    await conn?.close();
  }
}

interface Run {
  readonly outcomes: readonly string[];
  readonly network: SimulatedNetwork;
  readonly faults: number;
}

/** Runs `lives` connections, so many at a time, and checks that nothing is left open. */
async function run(seed: number, perThousand: number, lives: number, atOnce: number): Promise<Run> {
  const network = simulate({ faults: { seed, perThousand } });
  const [here, there] = [network.host("client"), network.host("server")];
  const [mine, theirs] = [referenceProvider(), referenceProvider()];
  const failures: unknown[] = [];
  const listener = await listening(there, createRegistry([theirs]), failures);
  const serving: Promise<void>[] = [];
  const accepting = (async () => {
    for await (const conn of listener) serving.push(echo(conn));
  })();
  const registry = createRegistry([mine]);
  const outcomes: string[] = [];
  for (let begun = 0; begun < lives; begun += atOnce) {
    outcomes.push(...await Promise.all(Array.from({ length: atOnce }, () => life(here, registry))));
  }
  await listener.close();
  await accepting;
  await Promise.all(serving);
  for (const failure of failures) expectable(failure);
  here.close();
  there.close();
  assertEquals(await settled(), {}, "no handle, no query, no operation is left");
  assertEquals(network.held(), { handles: 0, allocations: 0 });
  assertEquals([mine.open.count, theirs.open.count], [0, 0], "every codec is closed");
  assertEquals(network.traffic.clear, 0);
  return { outcomes, network, faults: network.faultsInjected };
}

test(
  "connect() 5,000 times under random faults leaves nothing open and sends nothing in clear text, and " +
    "most succeed",
  async () => {
    const { outcomes, faults } = await run(20261121, 10, 5000, 50);
    assertEquals(outcomes.length, 5000);
    const served = outcomes.filter((outcome) => outcome === "served").length;
    assert(served > 2500 && served < 4900, `${served} were served`);
    assert(faults > 500, `${faults} faults`);
    // Each function that a client calls has failed in some call.
    for (
      const fn of [
        "GetAddrInfoExW",
        "CreateEventW",
        "WSASocketW",
        "WSASetSocketSecurity",
        "WSASetSocketPeerTargetName",
        "ConnectEx",
        "WSAQuerySocketSecurity",
        "WSASend",
        "WSARecv",
      ]
    ) assert(outcomes.some((outcome) => outcome.includes(fn)), `no ${fn} failed`);
  },
);

test("faults: the same seed gives the same faults, call by call, and another seed others", async () => {
  const [one, again, other] = [await run(7, 60, 200, 1), await run(7, 60, 200, 1), await run(8, 60, 200, 1)];
  assertEquals(again.outcomes, one.outcomes);
  assertEquals([again.faults, again.network.traffic], [one.faults, one.network.traffic]);
  assertNotEquals(other.outcomes, one.outcomes);
});
