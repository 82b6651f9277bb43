/** Two simulated hosts with their secure socket functions. */

import { assertEquals } from "@std/assert";
import { SecureSockets } from "../../ffi/ipsec/secure_sockets.ts";
import type { SimulatedNetwork } from "../../testing/simulator/simulate.ts";
import type { NativeSystem } from "../../ffi/system.ts";
import { type Winsock, winsockOf } from "../../ffi/winsock/winsock.ts";
import { settled } from "./socket_suite.ts";

/** One of two hosts. */
export interface Side {
  /** Its system. */
  readonly system: NativeSystem;
  /** Its sockets. */
  readonly winsock: Winsock;
  /** The functions that protect them. */
  readonly secure: SecureSockets;
}

/** Runs `fn` with the hosts `client` and `server`, then checks that both have released everything. */
export async function withHosts(
  network: SimulatedNetwork,
  fn: (client: Side, server: Side) => Promise<void>,
): Promise<void> {
  const systems = ["client", "server"].map((name) => network.host(name) as NativeSystem);
  const [client, server] = systems.map((system) => ({
    system,
    winsock: winsockOf(system, "ipsec"),
    secure: new SecureSockets(system),
  }));
  try {
    await fn(client, server);
  } finally {
    for (const system of systems) system.close();
  }
  assertEquals(await settled(), {});
  assertEquals(network.held(), { handles: 0, allocations: 0 });
}
