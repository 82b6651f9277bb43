/** connect() and listen() with a provider of the socket layer, on a simulated network. */

import { assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { test } from "@test";
import {
  ProviderNotFoundError,
  ProviderTrapError,
  SecurityRequirementError,
  TransportError,
} from "../../../errors.ts";
import { type HostOptions, simulate, type SimulatedNetwork } from "../../../testing/simulator/simulate.ts";
import type { Requirements } from "../../../contract.ts";
import { createRegistry } from "../../../plugins/registry.ts";
import { connect } from "../../../sockets/connect.ts";
import { listen } from "../../../sockets/listen.ts";
import type { ConnectOptions, ListenOptions } from "../../../sockets/options.ts";
import { secure } from "../../../sockets/secure.ts";
import { MemoryTransport } from "../../support/memory_transport.ts";
import { type CodecFaults, type ReferenceOptions, referenceProvider } from "../../support/reference_codec.ts";
import { settled } from "../../support/socket_suite.ts";

const encode = (text: string) => new TextEncoder().encode(text);
const WITHOUT_MUTUAL = { mutualAuthentication: false } as const;
const NOTHING = { integrity: false, confidentiality: false, mutualAuthentication: false } as const;

interface Case {
  readonly hosts?: { readonly [name: string]: HostOptions };
  readonly requirements?: Requirements;
  readonly serverRequirements?: Requirements;
  readonly options?: ReferenceOptions;
  readonly serverOptions?: ReferenceOptions;
  readonly faults?: CodecFaults;
  readonly serverFaults?: CodecFaults;
  readonly client?: Partial<ConnectOptions>;
  readonly server?: Partial<ListenOptions>;
}

interface Result {
  /** What both ends report about the connection, after an echo over it. */
  readonly flags?: readonly [secured: boolean, encrypted: boolean];
  readonly error?: Error;
  readonly serverError?: Error;
  readonly network: SimulatedNetwork;
}

/** Connects once, echoes if there is a connection, and checks that nothing is left open. */
async function attempt(given: Case): Promise<Result> {
  const network = simulate({ hosts: given.hosts });
  const [clientSystem, serverSystem] = [network.host("client"), network.host("server")];
  const client = referenceProvider(given.options, given.faults);
  const server = referenceProvider(given.serverOptions ?? given.options, given.serverFaults);
  let serverError: Error | undefined;
  let result: { flags?: readonly [boolean, boolean]; error?: Error };
  {
    await using listener = await listen({
      port: 7,
      registry: createRegistry([server]),
      system: serverSystem,
      requirements: given.serverRequirements ?? given.requirements,
      onHandshakeError: (error) => void (serverError = error as Error),
      ...given.server,
    });
    const serving = listener.accept().then(async (conn) => {
      const p = new Uint8Array(64);
      for (let read = await conn.read(p); read !== null; read = await conn.read(p)) {
        await conn.write(p.subarray(0, read));
      }
      const told = conn.security;
      await conn.close();
      return told;
    });
    serving.catch(() => {});
    try {
      const conn = await connect({
        hostname: "server",
        port: 7,
        registry: createRegistry([client]),
        system: clientSystem,
        requirements: given.requirements,
        ...given.client,
      });
      await conn.write(encode("echo"));
      const p = new Uint8Array(64);
      assertEquals(await conn.read(p), 4);
      assertEquals(p.subarray(0, 4), encode("echo"));
      assertEquals(await conn.querySecurity(), conn.security);
      await conn.closeWrite();
      assertEquals(await conn.read(p), null);
      await conn.close();
      const { integrity: secured, confidentiality: encrypted, simulated } = conn.security;
      assertEquals(simulated, true);
      assertEquals([(await serving).integrity, (await serving).confidentiality], [secured, encrypted]);
      result = { flags: [secured, encrypted] };
    } catch (error) {
      result = { error: error as Error };
    }
  }
  clientSystem.close();
  serverSystem.close();
  assertEquals(await settled(), {});
  assertEquals(network.held(), { handles: 0, allocations: 0 });
  assertEquals([client.open.count, server.open.count], [0, 0], "every codec is closed");
  return { ...result, ...(serverError ? { serverError } : {}), network };
}

const CASES: readonly (readonly [string, Case, readonly [boolean, boolean] | string])[] = [
  ["encryption is the default", { requirements: WITHOUT_MUTUAL }, [true, true]],
  ["integrity alone is served as such", {
    requirements: { confidentiality: false, ...WITHOUT_MUTUAL },
  }, [true, false]],
  ["one end's encryption is both ends'", {
    requirements: { confidentiality: false, ...WITHOUT_MUTUAL },
    serverRequirements: WITHOUT_MUTUAL,
  }, [true, true]],
  ["requiring nothing is still secured", { requirements: NOTHING }, [true, false]],
  ["mutual authentication cannot be told, so it is refused", {}, "mutualAuthentication"],
  ["no credentials: nothing is connected", {
    requirements: WITHOUT_MUTUAL,
    hosts: { server: { credentials: false } },
  }, "TransportError"],
  ["encryption unavailable: nothing is connected", {
    requirements: WITHOUT_MUTUAL,
    hosts: { client: { encryption: false } },
  }, "TransportError"],
  ["requiring nothing without allowInsecure never falls back to clear", {
    requirements: NOTHING,
    hosts: { server: { credentials: false } },
  }, "TransportError"],
  ["allowInsecure with integrity required never falls back to clear", {
    requirements: { confidentiality: false, ...WITHOUT_MUTUAL },
    options: { allowInsecure: true },
    hosts: { server: { credentials: false } },
  }, "TransportError"],
  ["allowInsecure and nothing required falls back to clear, and says so", {
    requirements: NOTHING,
    options: { allowInsecure: true },
    hosts: { server: { credentials: false } },
  }, [false, false]],
  ["allowInsecure is secured where it can be", {
    requirements: NOTHING,
    options: { allowInsecure: true },
  }, [true, false]],
  ["the peer's computer has another name: nothing is connected", {
    requirements: WITHOUT_MUTUAL,
    client: { computer: "host/somebody-else" },
  }, "TransportError"],
  ["the peer's computer has that name", {
    requirements: WITHOUT_MUTUAL,
    hosts: { server: { computer: "SERVER$@SIM.TEST" } },
    client: { computer: "server$@sim.test" },
  }, [true, true]],
  ["explicit credentials go along", {
    requirements: WITHOUT_MUTUAL,
    client: { credentials: { username: "u", domain: "D", password: "pässword" } },
  }, [true, true]],
];

for (const [name, given, expected] of CASES) {
  test(`socket layer: ${name}`, async () => {
    const { flags, error, network } = await attempt(given);
    if (typeof expected === "string") {
      assertEquals(flags, undefined);
      assertEquals((error as { required?: string }).required ?? error?.name, expected, error?.message);
    } else {
      if (error) throw error;
      assertEquals(flags, expected);
    }
    const clear = Array.isArray(expected) && !expected[0];
    assertEquals(network.traffic.clear > 0, clear, "clear text moves only where it was allowed");
  });
}

test("a server whose requirements cannot be verified returns no connection, and reports why", async () => {
  const { error, serverError } = await attempt({
    requirements: WITHOUT_MUTUAL,
    serverRequirements: {},
  });
  assertEquals((serverError as SecurityRequirementError).required, "mutualAuthentication");
  assertEquals(error instanceof Error, true);
});

test("a codec cannot change the system's answer: only the system's own flags count", async () => {
  const claims = Object.assign(Object.create(referenceProvider({ allowInsecure: true })), {
    codec: async () => ({
      ...await referenceProvider({ allowInsecure: true }).codec(),
      queryAnswer: () => ({ secured: true, encrypted: true, mutual: true }),
    }),
  });
  const { flags } = await attempt({
    requirements: NOTHING,
    options: { allowInsecure: true },
    hosts: { server: { credentials: false } },
    client: { registry: createRegistry([claims]) },
  });
  assertEquals(flags, [false, false]);
});

const INTEGRITY = { confidentiality: false, ...WITHOUT_MUTUAL } as const;
const FIRST_PACKET = (bytes: Uint8Array) => (bytes[8] |= 4, bytes);
const ALLOW_INSECURE = (bytes: Uint8Array) => (bytes[4] |= 2, bytes);
const setByte = (at: number, value: number) => (bytes: Uint8Array) => (bytes[at] = value, bytes);

for (
  const [name, settings, requirements, options] of [
    ["lets the peer prove no name", setByte(8, 2), NOTHING],
    ["lets the peer prove no name in another form", setByte(8, 10), WITHOUT_MUTUAL, {
      optionalPeerName: true,
    }],
    ["makes no filters", setByte(8, 1), WITHOUT_MUTUAL],
    ["leaves out a flag of the application's", setByte(8, 0), WITHOUT_MUTUAL, { optionalPeerName: true }],
    ["is of a protocol without IPsec's fields", setByte(0, 0), WITHOUT_MUTUAL],
    ["names a main-mode policy", setByte(12, 1), WITHOUT_MUTUAL],
    ["names a quick-mode policy", setByte(28, 1), WITHOUT_MUTUAL],
    ["uses what is reserved", setByte(44, 1), WITHOUT_MUTUAL],
    ["names a user", setByte(72, 2), WITHOUT_MUTUAL],
    ["uses a flag that nobody knows", setByte(7, 0x80), NOTHING],
    ["allows clear text that the option allows and the requirements do not", ALLOW_INSECURE, INTEGRITY, {
      allowInsecure: true,
    }],
    ["allows a first packet in clear, likewise", FIRST_PACKET, INTEGRITY, { allowInsecure: true }],
    ["allows a first packet in clear that both options allow", FIRST_PACKET, INTEGRITY, {
      allowInsecure: true,
      firstPacketInClear: true,
    }],
    ["allows a first packet in clear", FIRST_PACKET, NOTHING],
    ["allows clear text", (bytes: Uint8Array) => (bytes[4] |= 2, bytes), WITHOUT_MUTUAL],
    ["forgets to guarantee encryption", (bytes: Uint8Array) => (bytes[4] = 0, bytes), WITHOUT_MUTUAL],
    ["gives nothing", () => new Uint8Array(), NOTHING],
    ["gives too much", () => new Uint8Array(100_000), NOTHING],
  ] as const
) {
  test(`a codec whose settings are not the requested ones is refused: it ${name}`, async () => {
    const { error, network } = await attempt({ requirements, options, faults: { settings } });
    assertEquals(error instanceof ProviderTrapError, true, error?.message);
    assertEquals(network.traffic, { clear: 0, secured: 0, encrypted: 0 });
  });
}

for (
  const [name, settings] of [
    ["makes the password a part of the user's name", (bytes: Uint8Array) => {
      const view = new DataView(bytes.buffer, bytes.byteOffset);
      view.setUint32(72, view.getUint32(72, true) + view.getUint32(80, true), true);
      view.setUint32(80, 0, true);
      return bytes;
    }],
    ["has the password stand where the flags are", () => new Uint8Array(8)],
    ["has the password stand behind other bytes", (bytes: Uint8Array) => Uint8Array.of(...bytes, 65, 0)],
    ["has another user", (bytes: Uint8Array) => (bytes[84] ^= 1, bytes)],
  ] as const
) {
  test(`a codec that moves the password or its owner's name is refused: it ${name}`, async () => {
    const { error, network } = await attempt({
      requirements: { ...WITHOUT_MUTUAL, confidentiality: false },
      client: { credentials: { username: "u", password: "hunter2" } },
      faults: { settings },
    });
    assertEquals(error instanceof ProviderTrapError, true, error?.message);
    assertEquals(network.traffic, { clear: 0, secured: 0, encrypted: 0 });
  });
}

test("a codec may guarantee encryption without a request, and leave clear text out", async () => {
  const { flags, error } = await attempt({
    requirements: NOTHING,
    options: { allowInsecure: true },
    faults: { settings: setByte(4, 1) },
  });
  assertEquals(flags, [true, true], error?.message);
});

test("a codec has one form for the settings: the short one is refused, whatever it contains", async () => {
  for (const protocol of [0, 1]) {
    const faults = { settings: () => Uint8Array.of(protocol, 0, 0, 0, 1, 0, 0, 0) };
    const { error } = await attempt({ requirements: WITHOUT_MUTUAL, faults });
    assertEquals(error instanceof ProviderTrapError, true, error?.message);
  }
});

/** A template's bytes with one word replaced. */
const word = (at: number, value: number) => (bytes: Uint8Array) => {
  new DataView(bytes.buffer, bytes.byteOffset).setUint32(at, value, true);
  return bytes;
};
const MAIN = ["mainModeSa"] as const;

for (
  const [name, faults, options] of [
    ["asks for tokens nobody wanted", { template: word(136, 8) }, {}],
    ["asks about another peer", { template: word(8, 2) }, {}],
    ["asks by an unknown protocol", { template: word(0, 3) }, {}],
    ["asks at a length that is not its protocol's", { template: word(0, 1) }, {}],
    ["asks nothing", { template: () => new Uint8Array() }, {}],
    ["has the system watch the connection unasked", { template: word(140, 1) }, {}],
    ["leaves the association unwatched", {
      template: (bytes) => word(140, 0)(bytes),
    }, { abortOnAssociationChange: MAIN }],
    ["watches another part of the association", {
      template: (bytes) => bytes[140] === 1 ? word(144, 2)(bytes) : bytes,
    }, { abortOnAssociationChange: MAIN }],
    ["names another computer", { target: (bytes) => (bytes[140] ^= 1, bytes) }, {}],
    ["names more than the computer", { target: (bytes) => Uint8Array.of(...bytes, 65, 0) }, {}],
    ["names a part of the computer", { target: word(136, 4) }, {}],
    ["names the computer at another address", { target: word(8, 2) }, {}],
    ["names the computer by an unknown protocol", { target: word(0, 3) }, {}],
    ["names nobody", { target: () => new Uint8Array() }, {}],
    ["counts the computer's name in characters", { target: word(136, 11) }, {}],
    ["names the computer for another protocol", { target: word(0, 0) }, {}],
    ["asks by a protocol without associations", {
      template: (bytes) => word(0, 1)(bytes).slice(0, 144),
    }, {}],
    ["asks about associations it leaves out", { template: word(144, 1) }, {}],
    ["uses what is between the fields", { template: word(4, 1) }, {}],
    ["uses what is between the fields of a name", { target: word(4, 1) }, {}],
  ] as readonly (readonly [string, CodecFaults, ReferenceOptions])[]
) {
  test(`a codec whose names and queries are not the requested ones is refused: it ${name}`, async () => {
    const { error, network } = await attempt({ requirements: WITHOUT_MUTUAL, faults, options });
    assertEquals(error instanceof ProviderTrapError, true, error?.message);
    assertEquals(network.traffic, { clear: 0, secured: 0, encrypted: 0 });
  });
}

test("channel bindings and accepted targets are refused: the layer supports neither", async () => {
  const network = simulate();
  using system = network.host("client");
  const registry = createRegistry([referenceProvider()]);
  const bindings = { channelBindings: Uint8Array.of(1), registry, system, port: 7, hostname: "server" };
  await assertRejects(() => connect(bindings), SecurityRequirementError, "channelBindings");
  const targets = { acceptedTargets: ["host/server"], registry, system, port: 7 };
  await assertRejects(() => listen(targets), SecurityRequirementError, "acceptedTargets");
});

test("an IP address does not name a computer", async () => {
  const network = simulate();
  using system = network.host("client");
  const registry = createRegistry([referenceProvider()]);
  const options = { hostname: "10.0.0.9", target: "host/x", port: 7, registry, system };
  await assertRejects(() => connect(options), TypeError, "options.computer");
});

test("secure(): this layer cannot secure an existing transport, and the error says what can", async () => {
  const network = simulate();
  using system = network.host("client");
  const [mine] = MemoryTransport.pair();
  const registry = createRegistry([referenceProvider()]);
  await assertRejects(
    () => secure(mine, { role: "client", target: "host/server", registry, system }),
    ProviderNotFoundError,
    "use connect() or listen()",
  );
});

test("a system without the grant names the grant", async () => {
  const network = simulate();
  using system = network.host("client", ["sockets"]);
  const registry = createRegistry([referenceProvider()]);
  const error = await connect({ hostname: "server", port: 7, registry, system }).catch((error) => error);
  assertEquals([error.name, error.grant], ["PermissionError", "ipsec"]);
});

test("connect() ends with the signal's own reason, and after its time-out", async () => {
  const network = simulate();
  using system = network.host("client");
  using other = network.host("server");
  const registry = createRegistry([referenceProvider()]);
  const reason = new Error("enough");
  const options = { hostname: "server", port: 7, registry, system, requirements: WITHOUT_MUTUAL };
  const signal = AbortSignal.abort(reason);
  assertStrictEquals(await connect({ ...options, signal }).catch((error) => error), reason);
  await assertRejects(() => connect(options), TransportError);
  assertEquals(other.capabilities().simulated, true);
});
