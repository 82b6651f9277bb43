/**
 * The IPsec part of the demo, between two simulated Windows computers on every system: a negotiation needs two
 * computers, and the demo has one. Every step is marked as simulated.
 *
 * @module
 */

import {
  connect,
  createRegistry,
  ipsec,
  type IpsecOptions,
  ipsecPolicy,
  listen,
  type Requirements,
  type SecurityInfo,
} from "../../mod.ts";
import { type HostOptions, simulate, type Traffic } from "../../testing/mod.ts";
import { expect, say, section } from "./screen.ts";

const PORT = 7;
const WITHOUT_MUTUAL: Requirements = { mutualAuthentication: false };

/** One attempt of the client to reach the server. */
interface Attempt {
  /** What both ends require; left out: the default. */
  readonly requirements?: Requirements;
  /** Computers that differ from the simulator's defaults. */
  readonly hosts?: Record<string, HostOptions>;
  /** Whether both ends have a main-mode policy of their own, by Kerberos. */
  readonly policy?: boolean;
}

/** How an attempt ended. */
interface Ended {
  /** What the client knows; null where it was refused. */
  readonly security: SecurityInfo | null;
  /** Why it was refused; null where it was not. */
  readonly error: Error | null;
  readonly traffic: Readonly<Traffic>;
  /** Open handles and allocations of the simulated system. */
  readonly held: number;
}

async function attempt({ requirements, hosts, policy }: Attempt): Promise<Ended> {
  const network = simulate({ hosts });
  const outcome = await (async () => {
    using client = network.host("client");
    using server = network.host("server");
    using resources = new DisposableStack();
    const [here, there] = [client, server].map((system) => {
      if (!policy) return {};
      const made = ipsecPolicy({ system, mainMode: { authentication: ["kerberos"] } });
      resources.defer(() => made.close());
      const { mainModePolicy, quickModePolicy } = made;
      return { mainModePolicy, quickModePolicy } satisfies IpsecOptions;
    });
    await using listener = await listen({
      port: PORT,
      registry: createRegistry([ipsec(there)]),
      requirements,
      system: server,
      onHandshakeError: () => {},
    });
    const accepting = listener.accept();
    accepting.catch(() => {});
    try {
      await using conn = await connect({
        hostname: "server",
        port: PORT,
        registry: createRegistry([ipsec(here)]),
        requirements,
        system: client,
      });
      await using accepted = await accepting;
      await conn.write(new TextEncoder().encode("12345678"));
      await accepted.read(new Uint8Array(16));
      return { security: conn.security, error: null };
    } catch (error) {
      return { security: null, error: error as Error };
    }
  })();
  const { handles, allocations } = network.held();
  return { ...outcome, traffic: network.traffic, held: handles + allocations };
}

/** Nothing in clear and nothing left behind is part of every step. */
function report(what: string, holds: boolean, { traffic, held }: Ended, known: string): void {
  const bytes = `${traffic.encrypted} bytes encrypted, ${traffic.clear} in clear`;
  const left = held === 0 ? "" : `; ${held} handles or allocations left`;
  expect(
    `simulated: ${what}`,
    holds && traffic.clear === 0 && held === 0,
    `simulated: ${known}; ${bytes}${left}`,
  );
}

function reportRefusal(what: string, ended: Ended, kind: string): void {
  const { error, traffic } = ended;
  report(
    `${what}: refused`,
    error?.name === kind && traffic.encrypted === 0,
    ended,
    error?.name ?? "not refused",
  );
}

/** Shows it. */
export async function showSimulatedIpsec(): Promise<void> {
  section("IPsec at the socket: simulated");
  say("simulated", "these are two Windows computers of a simulator in this process.");
  say("simulated", "No real IPsec negotiation has been run with this library yet.");

  const plain = await attempt({ requirements: WITHOUT_MUTUAL });
  report(
    "two sockets that ask for IPsec are connected, and encrypted",
    plain.security?.confidentiality === true && plain.security.simulated && plain.traffic.encrypted === 8,
    plain,
    `mutual ${plain.security?.mutualAuthentication}`,
  );

  const hosts = { client: { administrator: true }, server: { administrator: true } };
  const proved = await attempt({ hosts, policy: true });
  report(
    "a policy by Kerberos proves each computer to the other",
    proved.security?.mutualAuthentication === true && proved.security.simulated &&
      proved.security.peer === "host/server",
    proved,
    `mutual ${proved.security?.mutualAuthentication}, peer ${proved.security?.peer}`,
  );

  const unknown = await attempt({});
  reportRefusal("proof required, and none to be had", unknown, "SecurityRequirementError");

  const outside = await attempt({ requirements: WITHOUT_MUTUAL, hosts: { server: { credentials: false } } });
  reportRefusal("a server outside the domain", outside, "TransportError");
  say("for real", "on Windows, not yet run there: examples/secure_tcp_connect.ts");
}
