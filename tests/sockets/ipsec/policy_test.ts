/** An application's own policies, what they authenticate, and impersonation: on a simulated network. */

import { assertEquals, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import { test } from "@test";
import { PermissionError, StateError, UnsupportedPlatformError } from "../../../errors.ts";
import { ipsecPolicy } from "../../../ffi/ipsec/policies.ts";
import type { IpsecPolicyOptions } from "../../../ffi/ipsec/policy_options.ts";
import { type HostOptions, simulate, type SimulatedNetwork } from "../../../testing/simulator/simulate.ts";
import { ipsec } from "../../../plugins/ipsec/mod.ts";
import type { Requirements } from "../../../contract.ts";
import { createRegistry } from "../../../plugins/registry.ts";
import { connect } from "../../../sockets/connect.ts";
import { listen } from "../../../sockets/listen.ts";
import type { SecureConn } from "../../../sockets/secure_conn.ts";
import { settled } from "../../support/socket_suite.ts";

const WITHOUT_MUTUAL = { mutualAuthentication: false } as const;
const KERBEROS = { mainMode: { authentication: ["kerberos"] } } as const;
const ACTING = {
  ...KERBEROS,
  extendedMode: { authentication: ["kerberos"], impersonation: true },
} as const;
/** The most that a client allows, the least that a server requires. */
const AS_CLIENT = { impersonation: "impersonate" } as const;
const ALICE: HostOptions["account"] = {
  domain: "SIM",
  name: "alice",
  sid: "S-1-5-21-1-2-3-1104",
  groups: [{ domain: "SIM", name: "Operators", sid: "S-1-5-21-1-2-3-1200" }],
};
const HOSTS = { client: { administrator: true, account: ALICE }, server: { administrator: true } };

interface Ends {
  readonly client: SecureConn;
  readonly server: SecureConn;
  readonly network: SimulatedNetwork;
}

/** Two ends with the same policy, and a check that nothing of it is left. */
async function withEnds(
  given: {
    readonly policy?: Omit<IpsecPolicyOptions, "system">;
    readonly hosts?: { readonly [name: string]: HostOptions };
    readonly requirements?: Requirements;
    readonly serverRequirements?: Requirements;
  },
  fn: (ends: Ends) => Promise<void> | void,
): Promise<void> {
  const network = simulate({ hosts: given.hosts ?? HOSTS });
  const systems = ["client", "server"].map((name) => network.host(name));
  const policies = systems.map((system) => given.policy ? ipsecPolicy({ system, ...given.policy }) : null);
  const [here, there] = policies.map((policy) => {
    const { mainModePolicy, quickModePolicy } = policy ?? {};
    return createRegistry([ipsec({ mainModePolicy, quickModePolicy })]);
  });
  let refuse!: (error: unknown) => void;
  const refused = new Promise<never>((_, reject) => refuse = reject);
  refused.catch(() => {});
  try {
    await using listener = await listen({
      port: 7,
      registry: there,
      system: systems[1],
      requirements: given.serverRequirements ?? given.requirements,
      onHandshakeError: refuse,
    });
    const accepting = listener.accept();
    accepting.catch(() => {});
    await using client = await connect({
      hostname: "server",
      port: 7,
      registry: here,
      system: systems[0],
      requirements: given.requirements,
    });
    await using server = await Promise.race([accepting, refused]);
    await fn({ client, server, network });
  } finally {
    for (const policy of policies) policy?.close();
    for (const system of systems) system.close();
  }
  assertEquals(await settled(), {});
  assertEquals(network.held(), { handles: 0, allocations: 0 });
}

test("a main-mode policy with Kerberos authenticates both computers, and only then is mutual authentication met", () =>
  withEnds({ policy: KERBEROS }, ({ client, server }) => {
    assertEquals([client.security.mutualAuthentication, client.security.peer], [true, "host/server"]);
    assertEquals([server.security.mutualAuthentication, server.security.peer], [true, "host/client"]);
    assertEquals((client.security.details.association as { authentication: string[] }).authentication, [
      "kerberos",
    ]);
  }));

test("the system's own policy authenticates no computer, which an account that may read the association sees", () =>
  withEnds({ requirements: WITHOUT_MUTUAL }, ({ client }) => {
    assertEquals([client.security.mutualAuthentication, client.security.peer], [false, ""]);
  }));

test("an account that may not read the association is told which right it needs, and mutual stays unknown", () =>
  withEnds({ requirements: WITHOUT_MUTUAL, hosts: {} }, ({ client }) => {
    assertEquals(client.security.mutualAuthentication, "unknown");
    assertStringIncludes(String(client.security.details.association), "needs membership in Administrators");
  }));

test("ends whose policies have different authentication methods do not connect", async () => {
  const network = simulate({ hosts: HOSTS });
  using client = network.host("client");
  using server = network.host("server");
  using policy = ipsecPolicy({ system: client, ...KERBEROS });
  const requirements = WITHOUT_MUTUAL;
  await using _listener = await listen({
    port: 7,
    registry: createRegistry([ipsec()]),
    system: server,
    requirements,
  });
  const registry = createRegistry([ipsec({ mainModePolicy: policy.mainModePolicy })]);
  await assertRejects(
    () => connect({ hostname: "server", port: 7, registry, system: client, requirements }),
    Error,
    "the negotiation may have failed",
  );
});

test("a server reports its client's identity, and impersonates it while one function runs", () =>
  withEnds({ policy: ACTING, requirements: AS_CLIENT }, async ({ server }) => {
    assertEquals(server.security.impersonation, "impersonate");
    const { tokens } = await server.querySecurity({ tokens: true });
    const { user, computer } = tokens!;
    assertEquals(user!.account, { sid: ALICE!.sid, domain: "SIM", name: "alice" });
    assertEquals(user!.groups.map(({ name }) => name), ["Operators"]);
    assertEquals(user!.isMember("SIM\\Operators"), true);
    assertEquals(user!.isMember("S-1-5-21-1-2-3-1200"), true);
    assertEquals(user!.isMember("S-1-5-32-544"), false);
    assertThrows(() => user!.isMember("SIM\\Nobody"), Error, "LookupAccountNameW");
    assertThrows(() => user!.isMember(""), TypeError, "SID");
    assertEquals(computer!.account.name, "CLIENT$");
    assertEquals(server.impersonate(() => 7 * 6), 42);
    assertThrows(() => server.impersonate(() => Promise.resolve()), TypeError, "promise");
    assertThrows(() => server.impersonate(async () => {}), TypeError, "synchronous");
    await server.close();
    assertThrows(() => user!.account, StateError, "closed");
  }));

test("without an extended mode there is no token, and a requirement of one is refused", async () => {
  await withEnds({ policy: KERBEROS }, async ({ client, server }) => {
    const { tokens } = await server.querySecurity({ tokens: true });
    assertEquals(tokens!.user, null);
    assertThrows(() => server.impersonate(() => 1), UnsupportedPlatformError, "no token");
    assertThrows(() => client.impersonate(() => 1), StateError, "Only the server");
  });
  const failing = withEnds({
    policy: KERBEROS,
    serverRequirements: { impersonation: "impersonate" },
  }, () => {});
  await assertRejects(() => failing, Error, "impersonation");
});

test("the process ends with a message if reverting fails", () =>
  withEnds({ policy: ACTING, requirements: AS_CLIENT }, ({ server, network }) => {
    network.failNext("server", "RevertToSelf", "ERROR_ACCESS_DENIED");
    const errors: unknown[] = [];
    const { error } = console;
    console.error = (...args) => void errors.push(...args);
    try {
      assertThrows(() => server.impersonate(() => 1), Error, "the process was ended");
    } finally {
      console.error = error;
    }
    assertStringIncludes(String(errors[0]), "reverting");
  }));

test("ipsecPolicy() without the right names the group, and leaves nothing in the engine", () => {
  const network = simulate();
  using system = network.host("client");
  const error = assertThrows(
    () => ipsecPolicy({ system, ...KERBEROS }),
    PermissionError,
    "Network Configuration",
  );
  assertEquals(error.grant, "ipsec.policy");
  assertEquals(network.held().handles, 0);
});

test("ipsecPolicy() without the grant names the grant", () => {
  using system = simulate({ hosts: HOSTS }).host("client", ["ipsec"]);
  assertThrows(() => ipsecPolicy({ system, ...KERBEROS }), PermissionError, '"ipsec.policy"');
});

test("a policy that was closed cannot be used", async () => {
  const network = simulate({ hosts: HOSTS });
  using system = network.host("client");
  const policy = ipsecPolicy({ system, ...KERBEROS });
  policy.close();
  policy.close();
  const registry = createRegistry([ipsec({ mainModePolicy: policy.mainModePolicy })]);
  await assertRejects(
    () => listen({ port: 7, registry, system, requirements: WITHOUT_MUTUAL }),
    Error,
    "provider contexts",
  );
});

test("ipsecPolicy() checks its options before anything is added", () => {
  const network = simulate({ hosts: HOSTS });
  using system = network.host("client");
  assertThrows(() => ipsecPolicy({ system }), TypeError, "nothing to add");
  assertThrows(
    () => ipsecPolicy({ system, mainMode: { authentication: [] } }),
    TypeError,
    "must not be empty",
  );
  assertThrows(
    () => ipsecPolicy({ system, mainMode: { authentication: ["kerberos"], lifetimeSeconds: 1 } }),
    RangeError,
    "lifetimeSeconds",
  );
  assertThrows(
    () => ipsecPolicy({ system, quickMode: { ciphers: ["rot13"] as never } }),
    TypeError,
    "ciphers",
  );
  assertEquals(network.held().handles, 0);
});

const KERBEROS_ONLY = { authentication: ["kerberos"] };

for (
  const [name, options, error, text] of [
    ["no object", 7, TypeError, "ipsecPolicy()'s options must be an object with system, mainMode"],
    ["nothing at all", undefined, TypeError, "ipsecPolicy()'s options must be an object"],
    [
      "an unknown option",
      { extendMode: KERBEROS_ONLY },
      TypeError,
      'unknown key "extendMode"; use system, mainMode',
    ],
    [
      "an unknown key of main mode",
      {
        mainMode: { ...KERBEROS_ONLY, lifetimeSecond: 300 },
      },
      TypeError,
      'mainMode has an unknown key "lifetimeSecond"; use authentication, lifetimeSeconds',
    ],
    [
      "an unknown key of quick mode",
      { quickMode: { cipher: [] } },
      TypeError,
      'quickMode has an unknown key "cipher"',
    ],
    [
      "an unknown key of extended mode",
      {
        extendedMode: { ...KERBEROS_ONLY, impersonate: true },
      },
      TypeError,
      'extendedMode has an unknown key "impersonate"',
    ],
    ["a mode that is null", { mainMode: null }, TypeError, "mainMode must be an object"],
    ["a mode that is false", { quickMode: false }, TypeError, "quickMode must be an object"],
    ["a mode that is a list", { quickMode: [] }, TypeError, "quickMode must be an object"],
    [
      "ciphers that are not a list",
      { quickMode: { ciphers: "" } },
      TypeError,
      'quickMode.ciphers must be a list of aes-256-gcm, aes-128-gcm, not ""',
    ],
    [
      "ciphers that are null",
      { quickMode: { ciphers: null } },
      TypeError,
      "quickMode.ciphers must be a list",
    ],
    ["ciphers with a hole", { quickMode: { ciphers: new Array(1) } }, TypeError, "not undefined"],
    ["authentication left out", { mainMode: {} }, TypeError, "mainMode.authentication must be a list"],
    [
      "authentication that is a string",
      {
        extendedMode: { authentication: "kerberos" },
      },
      TypeError,
      'extendedMode.authentication must be a list of kerberos, anonymous, ntlm, not "kerberos"',
    ],
    [
      "authentication inherited from elsewhere",
      {
        mainMode: { authentication: ["toString"] },
      },
      TypeError,
      'not "toString"',
    ],
    [
      "impersonation that is not a boolean",
      {
        extendedMode: { ...KERBEROS_ONLY, impersonation: 1 },
      },
      TypeError,
      "extendedMode.impersonation must be true or false, not 1",
    ],
    [
      "a lifetime that is a string",
      {
        mainMode: { ...KERBEROS_ONLY, lifetimeSeconds: "300" },
      },
      TypeError,
      'mainMode.lifetimeSeconds must be a whole number from 300 to 2147483647, not "300"',
    ],
    [
      "a lifetime too short",
      { quickMode: { lifetimeSeconds: 299 } },
      RangeError,
      "quickMode.lifetimeSeconds",
    ],
    ["an amount that is not a number", { quickMode: { lifetimeKilobytes: NaN } }, RangeError, "not NaN"],
  ] as const
) {
  test(`ipsecPolicy() with ${name} is refused before anything native is called`, () => {
    const network = simulate({ hosts: HOSTS });
    using system = network.host("client");
    // Opening the engine would fail in another way.
    network.failNext("client", "FwpmEngineOpen0", "ERROR_ACCESS_DENIED");
    const given = typeof options === "object" ? { system, ...options } : options;
    assertThrows(() => ipsecPolicy(given as never), error, text);
    assertEquals(network.held(), { handles: 0, allocations: 0 });
  });
}
