/** Two ends of one IPsec connection on a simulated network. */

import { assertEquals } from "@std/assert";
import type { NativeSystem } from "../../ffi/system.ts";
import {
  type HostOptions,
  type NetworkOptions,
  simulate,
  type SimulatedNetwork,
} from "../../testing/simulator/simulate.ts";
import { ipsec, type IpsecOptions } from "../../plugins/ipsec/mod.ts";
import type { Requirements } from "../../contract.ts";
import { createRegistry } from "../../plugins/registry.ts";
import { connect } from "../../sockets/connect.ts";
import { listen } from "../../sockets/listen.ts";
import type { ConnectOptions } from "../../sockets/options.ts";
import type { SecureConn } from "../../sockets/secure_conn.ts";
import { settled } from "./socket_suite.ts";

/** Options of the two ends. */
export interface PairTerms {
  /** The hosts `client` and `server`. */
  readonly hosts?: { readonly [name: string]: HostOptions };
  /** What both ends require. */
  readonly requirements?: Requirements;
  /** What the server requires instead. */
  readonly serverRequirements?: Requirements;
  /** Options of both ends' provider. */
  readonly ipsec?: IpsecOptions;
  /** Options of the server's provider, instead. */
  readonly serverIpsec?: IpsecOptions;
  /** The answer of a query after the system has aborted its connection. */
  readonly abortedQuery?: NetworkOptions["abortedQuery"];
  /** Further options of the client. */
  readonly client?: Partial<ConnectOptions>;
  /** Prepares each end's system; returns further options of that end's provider, and what is closed at the end. */
  readonly prepare?: (system: NativeSystem) => { readonly options: IpsecOptions; readonly held: Disposable };
}

/** The two ends. */
export interface Pair {
  readonly client: SecureConn;
  readonly server: SecureConn;
  readonly network: SimulatedNetwork;
}

/** Connects two ends and calls `fn` with them; then checks that nothing is left open on any host. */
export async function withPair(terms: PairTerms, fn: (pair: Pair) => Promise<void> | void): Promise<void> {
  const { hosts, requirements, abortedQuery } = terms;
  const network = simulate({ hosts, abortedQuery });
  const systems = ["client", "server"].map((name) => network.host(name) as NativeSystem);
  const given = [terms.ipsec, terms.serverIpsec ?? terms.ipsec];
  let refuse!: (error: unknown) => void;
  const refused = new Promise<never>((_, reject) => refuse = reject);
  refused.catch(() => {});
  const prepared = systems.map((system) => terms.prepare?.(system));
  try {
    const [here, there] = prepared.map((end, index) =>
      createRegistry([ipsec({ ...given[index], ...end?.options })])
    );
    await using listener = await listen({
      port: 7,
      registry: there,
      system: systems[1],
      requirements: terms.serverRequirements ?? requirements,
      onHandshakeError: refuse,
    });
    const accepting = listener.accept();
    accepting.catch(() => {});
    await using client = await connect({
      hostname: "server",
      port: 7,
      registry: here,
      system: systems[0],
      requirements,
      ...terms.client,
    });
    await using server = await Promise.race([accepting, refused]);
    await fn({ client, server, network });
  } finally {
    for (const end of prepared) end?.held[Symbol.dispose]();
    for (const system of systems) system.close();
  }
  assertEquals(await settled(), {});
  assertEquals(network.held(), { handles: 0, allocations: 0 });
}
