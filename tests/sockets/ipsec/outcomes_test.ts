/**
 * What connect() and listen() return and refuse, for every combination of both ends' requirements, options, IPsec
 * policies and administrators' policies, compared with the documentation's tables and docs/ipsec.md.
 */

import { assert, assertEquals } from "@std/assert";
import { test } from "@test";
import { SecurityRequirementError, TransportError } from "../../../errors.ts";
import { type IpsecPolicy, ipsecPolicy } from "../../../ffi/ipsec/policies.ts";
import { type HostOptions, simulate, type SimulatedNetwork } from "../../../testing/simulator/simulate.ts";
import type { System } from "../../../ffi/system.ts";
import type { ImpersonationLevel } from "../../../contract.ts";
import { createRegistry } from "../../../plugins/registry.ts";
import { connect } from "../../../sockets/connect.ts";
import { listen } from "../../../sockets/listen.ts";
import type { SecureConn } from "../../../sockets/secure_conn.ts";
import type { SecureListener } from "../../../sockets/secure_conn.ts";
import {
  type Asked,
  combinations,
  OUTCOMES,
  POLICIES,
  type Policy,
  type Result,
  STANCES,
} from "../../support/documented_outcomes.ts";
import { referenceProvider } from "../../support/reference_codec.ts";
import { settled } from "../../support/socket_suite.ts";

/** What the bytes must be; the third combination of the two, encryption without integrity, is a TypeError. */
type Protection = "nothing" | "integrity" | "confidentiality";

/** One end's program. */
interface End {
  readonly protection: Protection;
  readonly mutual: boolean;
  readonly impersonation: Exclude<ImpersonationLevel, "delegate">;
  readonly allowInsecure: boolean;
}

const ENDS = combinations<{ [key in keyof End]: End[key] }>({
  protection: ["nothing", "integrity", "confidentiality"],
  mutual: [false, true],
  impersonation: ["anonymous", "identify", "impersonate"],
  allowInsecure: [false, true],
});

/** The AuthIP policies that both ends name: the system's own, or Kerberos with users that can be impersonated. */
type AuthIp = "anonymous" | "kerberos" | "different" | "no filters";

/** Whether a program allows clear text and requires nothing that clear text cannot provide. */
function allowsClear({ protection, mutual, impersonation, allowInsecure }: End): boolean {
  return allowInsecure && protection === "nothing" && !mutual && impersonation !== "impersonate";
}

/** The socket settings of such a program according to docs/ipsec.md, "Requirements". */
function asked(end: End, authIp: AuthIp): Asked {
  if (authIp === "no filters") return "no filters";
  if (end.protection === "confidentiality") return "encrypt";
  return allowsClear(end) ? "insecure" : "0";
}

/** Whether a client is refused before anything is sent: nothing limits the server to the level it allows. */
function isUnbounded({ impersonation }: End, { authIp }: World): boolean {
  const acting = authIp === "kerberos" || authIp === "different";
  return impersonation === "anonymous" || acting && impersonation === "identify";
}

/** The documented result of the connection of two programs. */
function outcome(client: End, server: End, world: World): Result {
  const [a, b] = [asked(client, world.authIp), asked(server, world.authIp)];
  const table = OUTCOMES[world.authIp === "different" ? "authentication" : "nothing"];
  const result = table[STANCES[a][world.client]][STANCES[b][world.server]];
  // The quick-mode policies that both ends then name propose nothing without encryption.
  return world.authIp === "kerberos" && result === "secured" ? "encrypted" : result;
}

/** The requirement for which an end refuses such a connection; `null`: it accepts it. */
function refusal(end: End, result: Result, world: World, server: boolean): string | null {
  const proved = proves(world) && result !== "clear";
  if (result === "clear" && !allowsClear(end)) return "integrity";
  if (result !== "encrypted" && end.protection === "confidentiality") return "confidentiality";
  if (end.mutual && !proved) return "mutualAuthentication";
  if (server && end.impersonation !== "anonymous" && !proved) return "impersonation";
  return null;
}

/** Both computers. */
interface World {
  readonly client: Policy;
  readonly server: Policy;
  readonly authIp: AuthIp;
}

/** A listener, and the result of each connection it was given. */
class Serving {
  readonly listener: SecureListener;
  readonly #events: (SecureConn | Error)[] = [];
  #waiting: ((event: SecureConn | Error) => void) | null = null;

  private constructor(listener: SecureListener) {
    this.listener = listener;
  }

  static async open(end: End, port: number, system: System, policy: IpsecPolicy | null, skip: boolean) {
    let failed = (_error: Error): void => {};
    const serving = new Serving(
      await listen({
        port,
        system,
        ...program(end, policy, skip),
        onHandshakeError: (error) => failed(error as Error),
      }),
    );
    failed = (error) => serving.#happened(error);
    (async () => {
      for await (const conn of serving.listener) serving.#happened(conn);
    })();
    return serving;
  }

  #happened(event: SecureConn | Error): void {
    if (this.#waiting === null) return void this.#events.push(event);
    this.#waiting(event);
    this.#waiting = null;
  }

  /** The result of the next connection. */
  next(): Promise<SecureConn | Error> {
    const event = this.#events.shift();
    return event ? Promise.resolve(event) : new Promise((resolve) => this.#waiting = resolve);
  }
}

function program(end: End, policy: IpsecPolicy | null, skipFilters: boolean) {
  const { mainModePolicy, quickModePolicy } = policy ?? {};
  const { allowInsecure, protection, mutual, impersonation } = end;
  return {
    registry: createRegistry([
      referenceProvider({ allowInsecure, mainModePolicy, quickModePolicy, skipFilters }),
    ]),
    requirements: {
      integrity: protection !== "nothing",
      confidentiality: protection === "confidentiality",
      mutualAuthentication: mutual,
      impersonation,
    },
  };
}

const ACTING = {
  mainMode: { authentication: ["kerberos"] },
  extendedMode: { authentication: ["kerberos"], impersonation: true },
} as const;

/** One connection, a byte over it if there is one, and what each end reports. */
async function attempt(
  client: End,
  server: End,
  world: World,
  serving: Serving,
  means: { readonly network: SimulatedNetwork; readonly system: System; readonly policy: IpsecPolicy | null },
): Promise<void> {
  const { network, system, policy } = means;
  const what = JSON.stringify({ client, server, world });
  const result = outcome(client, server, world);
  const before = { ...network.traffic };
  const { port } = serving.listener.addr;
  const options = {
    hostname: "server",
    port,
    system,
    ...program(client, policy, world.authIp === "no filters"),
  };
  const [conn, error] = await connect(options).then((conn) => [conn, null], (error) => [null, error]);
  if (isUnbounded(client, world)) {
    assert(error instanceof SecurityRequirementError, `${what}: ${error}`);
    assertEquals([error.required, network.traffic], ["impersonation", before], what);
    return;
  }
  const clientRefuses = refusal(client, result, world, false);
  if (result === "failed") {
    assert(error instanceof TransportError, `${what}: ${error}`);
  } else if (clientRefuses !== null) {
    assert(error instanceof SecurityRequirementError, `${what}: ${error}`);
    assertEquals(error.required, clientRefuses, what);
  } else {
    if (conn === null) throw error;
    assertEquals([conn.security.integrity, conn.security.confidentiality], SAYS[result], what);
    assertEquals(conn.security.mutualAuthentication, mutualOf(result, world), what);
    assertEquals(conn.security.impersonation, levelOf(client, result, world), what);
    await conn.write(Uint8Array.of(1)).catch(() => {});
  }
  if (result !== "failed") {
    const there = await serving.next();
    const serverRefuses = refusal(server, result, world, true);
    if (serverRefuses !== null) {
      assert(there instanceof SecurityRequirementError, `${what}: ${there}`);
      assertEquals(there.required, serverRefuses, what);
    } else {
      if (there instanceof Error) throw there;
      assertEquals([there.security.integrity, there.security.confidentiality], SAYS[result], what);
      assertEquals(
        there.security.impersonation,
        result === "clear" || !proves(world) ? "anonymous" : "impersonate",
      );
      if (conn !== null) assertEquals(await there.read(new Uint8Array(8)), 1, what);
      await there.close();
    }
  }
  await conn?.close();
  const moved = (["clear", "secured", "encrypted"] as const).filter((kind) =>
    network.traffic[kind] > before[kind]
  );
  // A server that refuses has closed the connection, maybe before the byte.
  const lost = refusal(server, result, world, true) !== null && moved.length === 0;
  if (!lost) assertEquals(moved, conn === null ? [] : [result], what);
  // The rule itself: clear bytes need an application that allows them, and requires nothing.
  if (moved.includes("clear")) assert(allowsClear(client), what);
}

const SAYS: { readonly [result in Result]: readonly [secured: boolean, encrypted: boolean] } = {
  failed: [false, false],
  clear: [false, false],
  secured: [true, false],
  encrypted: [true, true],
};

/** Administrators may read the association: the value is known, if there is one. */
function mutualOf(result: Result, { authIp }: World): boolean | "unknown" {
  return result === "clear" ? "unknown" : authIp === "kerberos";
}

/** Whether the policies of both ends authenticate both, and let the server impersonate the client. */
function proves({ authIp }: World): boolean {
  return authIp === "kerberos";
}

/** What a client reports about the server's level: a level that it allows and nothing reports is unknown. */
function levelOf({ impersonation }: End, result: Result, world: World): string {
  if (result === "clear") return "anonymous";
  if (proves(world)) return "impersonate";
  return impersonation === "impersonate" ? "unknown" : "anonymous";
}

const WITH: { readonly [authIp in AuthIp]: string } = {
  "anonymous": "the system's AuthIP policies",
  "kerberos": "AuthIP policies by Kerberos",
  "different": "AuthIP policies that differ",
  "no filters": "skipFilters",
};

/** Every combination of two programs between two computers. */
async function walk(world: World): Promise<number> {
  const computer = (policy: Policy): HostOptions => ({ policy, administrator: true });
  const network = simulate({ hosts: { client: computer(world.client), server: computer(world.server) } });
  const [here, there] = [network.host("client"), network.host("server")];
  const kerberos = world.authIp === "kerberos";
  const [mine, theirs] = [kerberos || world.authIp === "different", kerberos].map((named, index) =>
    named ? ipsecPolicy({ system: [here, there][index], ...ACTING }) : null
  );
  const skip = world.authIp === "no filters";
  const serving = await Promise.all(
    ENDS.map((end, index) => Serving.open(end, 1000 + index, there, theirs, skip)),
  );
  let walked = 0;
  for (const client of ENDS) {
    for (const [index, server] of ENDS.entries()) {
      await attempt(client, server, world, serving[index], { network, system: here, policy: mine });
      walked++;
    }
  }
  for (const { listener } of serving) await listener.close();
  for (const policy of [mine, theirs]) policy?.close();
  here.close();
  there.close();
  assertEquals(await settled(), {});
  assertEquals(network.held(), { handles: 0, allocations: 0 });
  return walked;
}

for (const authIp of ["anonymous", "kerberos", "different", "no filters"] as const) {
  for (const policies of combinations({ client: POLICIES, server: POLICIES })) {
    const { client, server } = policies;
    test(
      `both ends' requirements with ${
        WITH[authIp]
      }, policy ${client} here and ${server} there: what is handed out, ` +
        "what is refused and for what, and no byte in clear that was not allowed",
      async () => assertEquals(await walk({ ...policies, authIp }), 36 * 36),
    );
  }
}
