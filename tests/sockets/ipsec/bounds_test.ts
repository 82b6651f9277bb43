/** What a client allows its server, and a server requires of its client, where the system secures the socket. */

import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { test } from "@test";
import { SecurityRequirementError } from "../../../errors.ts";
import { ipsecPolicy } from "../../../ffi/ipsec/policies.ts";
import { mayAllowImpersonation, rememberBounded } from "../../../ffi/ipsec/policies.ts";
import { simulate } from "../../../testing/simulator/simulate.ts";
import type { NativeSystem, System } from "../../../ffi/system.ts";
import { ipsec, type IpsecOptions } from "../../../plugins/ipsec/mod.ts";
import type { Requirements, SocketProvider } from "../../../contract.ts";
import { createRegistry } from "../../../plugins/registry.ts";
import { connect } from "../../../sockets/connect.ts";
import { listen } from "../../../sockets/listen.ts";
import { openDatagrams } from "../../../sockets/ipsec/open_datagrams.ts";
import { withPair } from "../../support/ipsec_pair.ts";
import { referenceProvider } from "../../support/reference_codec.ts";
import { settled } from "../../support/socket_suite.ts";

const HOSTS = { client: { administrator: true }, server: { administrator: true } };
const NOBODY = { mutualAuthentication: false, impersonation: "anonymous" } as const;
const PLAIN = { mutualAuthentication: false } as const;

/** Policies with Kerberos, with which the server may or may not impersonate the client. */
const policies = (impersonation: boolean) => (system: System) => {
  const held = ipsecPolicy({
    system,
    mainMode: { authentication: ["kerberos"] },
    extendedMode: { authentication: ["kerberos"], impersonation },
  });
  const { mainModePolicy, quickModePolicy } = held;
  return { held, options: { mainModePolicy, quickModePolicy } };
};

/** The error of an opening that must fail; nothing was sent by then, and nothing is left open. */
async function refused(open: (system: NativeSystem) => Promise<unknown>): Promise<SecurityRequirementError> {
  const network = simulate({ hosts: HOSTS });
  const system = network.host("client") as NativeSystem;
  network.host("server").close();
  const error = await assertRejects(() => open(system), SecurityRequirementError, "nothing was sent");
  system.close();
  assertEquals(await settled(), {});
  assertEquals(network.held(), { handles: 0, allocations: 0 });
  assertEquals(network.traffic, { clear: 0, secured: 0, encrypted: 0 });
  return error;
}

const connecting = (provider: SocketProvider, requirements: Requirements) => (system: NativeSystem) =>
  connect({ hostname: "server", port: 7, registry: createRegistry([provider]), system, requirements });
const opening = (provider: SocketProvider, requirements: Requirements) => (system: NativeSystem) =>
  openDatagrams({ registry: createRegistry([provider]), system, requirements });

for (const [what, open] of [["a client", connecting], ["datagrams", opening]] as const) {
  test(`${what} cannot be anonymous, which is reported before a socket is opened`, async () => {
    const error = await refused(open(ipsec(), NOBODY));
    assertEquals([error.required, error.got], ["impersonation", "not offered"]);
  });

  test(`${what} with a policy that lets servers impersonate must allow it`, async () => {
    const error = await refused(async (system) => {
      const { held, options } = policies(true)(system);
      using _held = held;
      await open(ipsec(options), {})(system);
    });
    assertEquals([error.required, error.got], ["impersonation", "impersonate"]);
  });

  test(`${what} with a policy whose impersonation level is unknown must allow it`, async () => {
    for (
      const options of [{ mainModePolicy: crypto.randomUUID() }, { quickModePolicy: crypto.randomUUID() }]
    ) {
      const error = await refused(open(ipsec(options), PLAIN));
      assertStringIncludes(error.message, "not added by ipsecPolicy() in this program");
    }
  });

  test(`${what} that requires proof does not accept the proof of any other computer`, async () => {
    const providers = [ipsec({ optionalPeerName: true }), referenceProvider({ optionalPeerName: true })];
    for (const provider of providers) {
      const error = await refused(open(provider, {}));
      assertEquals([error.required, error.got], ["mutualAuthentication", "of any computer"]);
    }
  });
}

test("optionalPeerName without that requirement accepts any peer, and reports a name only if it was proved", () =>
  withPair({
    hosts: HOSTS,
    prepare: policies(false),
    ipsec: { optionalPeerName: true },
    requirements: PLAIN,
    client: { computer: "host/bank.example.com" },
  }, ({ client }) => assertEquals(client.security.peer, "host/server")));

/** Policies that let the server impersonate unexpectedly, as an administrator's may. */
const surprising = (system: System) => {
  const { held, options } = policies(true)(system);
  const forget = rememberBounded([options.quickModePolicy!]);
  return { options, held: { [Symbol.dispose]: () => [forget, held.close].forEach((end) => end()) } };
};

test("a server that may impersonate a client that did not allow it gets no byte, whatever the codec guarantees", async () => {
  const careless = { integrity: false, confidentiality: false, mutualAuthentication: false };
  for (const blind of [false, true]) {
    const network = simulate({ hosts: HOSTS });
    {
      using here = network.host("client");
      using there = network.host("server");
      const [mine, theirs] = [surprising(here), surprising(there)];
      using _mine = mine.held;
      using _theirs = theirs.held;
      await using listener = await listen({
        port: 7,
        registry: createRegistry([ipsec(theirs.options)]),
        system: there,
        requirements: PLAIN,
      });
      const accepting = listener.accept();
      const provider = blind
        ? referenceProvider({ ...mine.options, allowInsecure: true }, {
          settings: (bytes) => (bytes[4] = 1, bytes),
        })
        : ipsec(mine.options);
      const error = await assertRejects(
        () =>
          connect({
            hostname: "server",
            port: 7,
            registry: createRegistry([provider]),
            system: here,
            requirements: blind ? careless : {},
          }),
        SecurityRequirementError,
        "no data was sent",
      );
      assertEquals([error.required, error.got], ["impersonation", "impersonate"]);
      await (await accepting).close();
    }
    assertEquals(network.traffic, { clear: 0, secured: 0, encrypted: 0 });
    assertEquals(await settled(), {});
  }
});

test("a policy is known not to let servers impersonate from when it is added until it is closed", () => {
  using system = simulate({ hosts: HOSTS }).host("client");
  const [bounded, acting] = [policies(false)(system), policies(true)(system)];
  const may = (key?: string) => mayAllowImpersonation(key!.toUpperCase());
  assertEquals([bounded.held.mainModePolicy, bounded.held.quickModePolicy].map(may), [false, false]);
  assertEquals([acting.held.mainModePolicy, acting.held.quickModePolicy].map(may), [false, true]);
  bounded.held.close();
  assertEquals([bounded.held.mainModePolicy, bounded.held.quickModePolicy].map(may), [true, true]);
  acting.held.close();
});

const LEVELS: [
  what: string,
  terms: { prepare?: ReturnType<typeof policies>; requirements: Requirements; hosts?: typeof HOSTS },
  client: string,
  server: string,
][] = [
  [
    "whom policies let the server act as",
    {
      hosts: HOSTS,
      prepare: policies(true),
      requirements: { impersonation: "impersonate" },
    },
    "impersonate",
    "impersonate",
  ],
  [
    "whose computers proved themselves",
    { hosts: HOSTS, prepare: policies(false), requirements: {} },
    "identify",
    "identify",
  ],
  ["whom nobody can name", { hosts: HOSTS, requirements: PLAIN }, "anonymous", "anonymous"],
  ["of whom the account may read nothing", { requirements: PLAIN }, "unknown", "unknown"],
];
for (const [who, terms, ofClient, ofServer] of LEVELS) {
  test(`of clients ${who} both ends report what the server may do, and nothing that the system did not report`, () =>
    withPair(terms, async ({ client, server }) => {
      assertEquals([client.security.impersonation, server.security.impersonation], [ofClient, ofServer]);
      assertEquals((await server.querySecurity()).impersonation, ofServer);
    }));
}

test("a server reports that it may impersonate its client although it did not require it", () =>
  withPair({
    hosts: HOSTS,
    prepare: policies(true),
    requirements: { impersonation: "impersonate" },
    serverRequirements: {},
  }, ({ server }) => assertEquals(server.security.impersonation, "impersonate")));

test("a server that must know its client accepts no other, and requires no more of one that a token names", async () => {
  const identify = { mutualAuthentication: false, impersonation: "identify" } as const;
  const terms = { requirements: PLAIN, serverRequirements: identify };
  const error = await assertRejects(
    () => withPair(terms, () => {}),
    SecurityRequirementError,
    "not known by name",
  );
  assertEquals([error.required, error.got], ["impersonation", "unknown"]);
  await withPair({ ...terms, hosts: HOSTS, prepare: policies(false) }, async ({ server, network }) => {
    assertEquals(server.security.impersonation, "identify");
    network.failNext("server", "IkeextSaGetById1", "ERROR_NOT_ENOUGH_MEMORY");
    assertEquals(
      (await server.querySecurity()).impersonation,
      "unknown",
      "the computer's token is proof enough",
    );
  });
});

test("a server that does not need to know its client accepts any client", async () => {
  for (const serverRequirements of [PLAIN, NOBODY]) {
    await withPair({ requirements: PLAIN, serverRequirements }, ({ server }) => {
      assertEquals(server.security.impersonation, "unknown");
    });
  }
});

const options: IpsecOptions = { allowInsecure: true };
const UNPROTECTED = { integrity: false, confidentiality: false } as const;

test("clear text that is allowed is not sent if anything is required, of the data or of the peer", async () => {
  for (
    const [requirements, clear] of [
      [{ ...UNPROTECTED, mutualAuthentication: false }, 1],
      [{ ...UNPROTECTED, mutualAuthentication: true }, 0],
      [{ ...UNPROTECTED, mutualAuthentication: false, impersonation: "impersonate" }, 0],
    ] as const
  ) {
    for (const provider of [ipsec(options), referenceProvider(options)]) {
      const network = simulate({ hosts: { server: { credentials: false } } });
      {
        using here = network.host("client");
        using there = network.host("server");
        const registry = createRegistry([ipsec(options)]);
        const nothing = { ...UNPROTECTED, mutualAuthentication: false };
        await using _b = await openDatagrams({ port: 9, registry, requirements: nothing, system: there });
        await using a = await openDatagrams({
          registry: createRegistry([provider]),
          requirements,
          system: here,
        });
        const sent = await a.send(Uint8Array.of(1), { hostname: "server", port: 9 }).catch((error) => error);
        assertEquals(sent instanceof SecurityRequirementError, clear === 0);
      }
      assertEquals(network.traffic, { clear, secured: 0, encrypted: 0 });
      assertEquals(await settled(), {});
    }
  }
});

test("a codec's settings that allow clear text although proof is required are refused", async () => {
  const network = simulate({ hosts: HOSTS });
  const allow = (bytes: Uint8Array) => (bytes[4] |= 2, bytes);
  {
    using system = network.host("client");
    const requirements = { ...UNPROTECTED, mutualAuthentication: true };
    const registry = createRegistry([referenceProvider(options, { settings: allow })]);
    await assertRejects(
      () => openDatagrams({ registry, requirements, system }),
      Error,
      "a value in SecurityFlags that was not granted",
    );
  }
  assertEquals(await settled(), {});
});

test("a refusal reports what happened to the data: none sent, a connection closed, or datagrams dropped", async () => {
  await assertRejects(() => withPair({}, () => {}), SecurityRequirementError, "no data was sent");
  await withPair({ hosts: HOSTS, prepare: policies(false) }, async ({ client, network }) => {
    network.failNext("client", "IkeextSaGetById1", "ERROR_NOT_ENOUGH_MEMORY");
    await assertRejects(() => client.querySecurity(), SecurityRequirementError, "and is closed");
  });
  const network = simulate();
  {
    using here = network.host("client");
    using there = network.host("server");
    const registry = createRegistry([ipsec()]);
    await using _b = await openDatagrams({ port: 9, registry, requirements: PLAIN, system: there });
    await using a = await openDatagrams({ registry, system: here });
    const error = await assertRejects(
      () => a.send(Uint8Array.of(1), { hostname: "server", port: 9 }),
      SecurityRequirementError,
      "had only the protection of the socket's settings",
    );
    assertEquals(error.message.includes("no data was sent"), false);
    assertEquals(network.traffic.encrypted, 1);
  }
  assertEquals(await settled(), {});
});
