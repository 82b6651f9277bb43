/**
 * What the library passes to the six functions, read by a C program and compared field by field with what the
 * library was told. The C program is the test double of `fixtures/fwpuclnt.c`.
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { SecurityRequirementError } from "../../errors.ts";
import type { Grant } from "../../ffi/permissions.ts";
import {
  connect,
  createRegistry,
  ipsec,
  type IpsecOptions,
  ipsecPolicy,
  listen,
  openDatagrams,
  openSystem,
  type Requirements,
  type System,
} from "../../mod.ts";
import { liveHandles } from "../../testing/mod.ts";
import { type Call, clearLog, readLog, utf16Hex } from "./support/call_log.ts";
import { machine } from "./support/machine.ts";
import { declareTests, windowsTest } from "./support/on_windows.ts";
import { Winsock } from "./support/winsock.ts";

const skip = machine.run === null ? "the fixture is only built by deno task test:windows on Linux" : null;
const WITHOUT_MUTUAL: Requirements = { mutualAuthentication: false };
const ZERO = "00000000-0000-0000-0000-000000000000";
const COMPUTER = "host/server.example.test";
const NOBODY = { family: 0, port: 0, host: "" };

interface Terms {
  requirements?: Requirements;
  options?: IpsecOptions;
  credentials?: { username: string; domain?: string; password: string };
}

async function withSystem(
  body: (system: System, control: Winsock) => Promise<void>,
  grants: readonly Grant[] = ["ipsec"],
): Promise<void> {
  const control = new Winsock();
  const system = openSystem({ grants });
  try {
    control.control("reset");
    clearLog();
    await body(system, control);
  } finally {
    system.close();
    control[Symbol.dispose]();
  }
  for (let turn = 0; turn < 200 && Object.keys(liveHandles()).length > 0; turn++) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  assertEquals(liveHandles(), {});
}

/** Connects two ends over loopback, moves a byte each way, and closes; the calls the fixture saw. */
async function conversation(
  system: System,
  { requirements, options, credentials }: Terms = {},
): Promise<Call[]> {
  const common = {
    system,
    requirements: { ...WITHOUT_MUTUAL, ...requirements },
    registry: createRegistry([ipsec(options)]),
  };
  const listener = await listen({ ...common, hostname: "127.0.0.1", port: 0 });
  const accepting = listener.accept();
  accepting.catch(() => {});
  try {
    const client = await connect({
      ...common,
      hostname: "127.0.0.1",
      port: listener.addr.port,
      target: "HTTP/server.example.test",
      computer: COMPUTER,
      ...(credentials ? { credentials } : {}),
    });
    const server = await accepting;
    await client.write(Uint8Array.of(1));
    assertEquals(await server.read(new Uint8Array(8)), 1);
    await Promise.all([client.close(), server.close()]);
  } finally {
    await listener.close();
  }
  return readLog();
}

const named = (calls: readonly Call[], fn: string) => calls.filter((call) => call.fn === fn);

await windowsTest(
  "both ends set security before any other call on the socket",
  () =>
    withSystem(async (system) => {
      const calls = await conversation(system);
      const first = new Map<unknown, string>();
      for (const { fn, Socket } of calls) if (!first.has(Socket)) first.set(Socket, fn);
      const [listener, client] = named(calls, "WSASetSocketSecurity");
      assert(listener && client && listener.Socket !== client.Socket);
      for (const call of [listener, client]) {
        assertEquals([call.result, first.get(call.Socket)], [0, "WSASetSocketSecurity"]);
        assertEquals([call.Overlapped, call.CompletionRoutine], ["0", "0"]);
      }
      // Without room for its answer the one fails, and the fixture has no associations for the other.
      const failing = ["WSAQuerySocketSecurity", "IkeextSaGetById1"];
      assert(calls.every((call) => call.error === 0 || failing.includes(call.fn)));
    }),
  { skip },
);

await windowsTest("requirements become the documented flags", () =>
  withSystem(async (system) => {
    const cases: [Terms, string][] = [
      [{}, "1"],
      [{ requirements: { confidentiality: false } }, "0"],
      [{ requirements: { confidentiality: false, integrity: false }, options: { allowInsecure: true } }, "2"],
    ];
    for (const [terms, flags] of cases) {
      clearLog();
      for (const call of named(await conversation(system, terms), "WSASetSocketSecurity")) {
        assertEquals(call.SecurityFlags, flags, JSON.stringify(terms));
      }
    }
  }), { skip });

await windowsTest(
  "the peer's computer is named in UTF-16, its length in bytes, before the connection",
  () =>
    withSystem(async (system) => {
      const calls = await conversation(system);
      const [target, ...more] = named(calls, "WSASetSocketPeerTargetName");
      assertEquals(more, []);
      assertEquals([target.SecurityProtocol, target.PeerAddress], ["1", NOBODY]);
      assertEquals(target.PeerTargetNameStringLen, String(2 * COMPUTER.length));
      assertEquals((target.AllStrings as string).slice(0, 4 * COMPUTER.length), utf16Hex(COMPUTER));
      assertEquals(target.result, 0);
      const order = calls.filter((call) => call.Socket === target.Socket).map((call) => call.fn);
      assertEquals(order.slice(0, 2), ["WSASetSocketSecurity", "WSASetSocketPeerTargetName"]);
    }),
  { skip },
);

await windowsTest(
  "explicit credentials and IPsec options arrive in their fields, and nothing in the reserved ones",
  () =>
    withSystem(async (system) => {
      const credentials = { username: "alice", domain: "EXAMPLE", password: "p\u00e4ssword \u{1f511}" };
      const options = { optionalPeerName: true, rawPeerName: true, skipFilters: true };
      const calls = await conversation(system, { credentials, options });
      const settings = named(calls, "WSASetSocketSecurity").find((call) => call.UserName !== "")!;
      assertEquals([settings.SecurityProtocol, settings.SecurityFlags, settings.IpsecFlags], [
        "1",
        "1",
        "11",
      ]);
      assertEquals([settings.UserName, settings.DomainName, settings.Password], [
        utf16Hex("alice"),
        utf16Hex("EXAMPLE"),
        utf16Hex("p\u00e4ssword \u{1f511}"),
      ]);
      assertEquals([settings.AuthipMMPolicyKey, settings.AuthipQMPolicyKey, settings.Reserved], [
        ZERO,
        ZERO,
        ZERO,
      ]);
      assertEquals(settings.Reserved2, "0");
    }),
  { skip },
);

await windowsTest(
  "both ends are queried before the first byte, and no tokens are requested",
  () =>
    withSystem(async (system) => {
      const calls = await conversation(system);
      const queries = named(calls, "WSAQuerySocketSecurity").filter((call) => call.result === 0);
      assertEquals(new Set(queries.map((call) => call.Socket)).size, 2);
      for (const query of queries) {
        assertEquals(query.PeerTokenAccessMask ?? "0", "0");
        assertEquals([query.PeerApplicationAccessTokenHandle, query.PeerMachineAccessTokenHandle], [
          "0",
          "0",
        ]);
      }
    }),
  { skip },
);

await windowsTest(
  "an association is watched only on request, after it was queried",
  () =>
    withSystem(async (system) => {
      const flags = async (options: IpsecOptions) => {
        clearLog();
        const calls = named(await conversation(system, { options }), "WSAQuerySocketSecurity")
          .filter((call) => call.result === 0);
        const [{ Socket }] = calls;
        return calls.filter((call) => call.Socket === Socket).map((call) => [call.Flags, call.FieldMask]);
      };
      assertEquals(await flags({}), [["0", "3"]]);
      assertEquals(await flags({ abortOnAssociationChange: ["mainModeSa"] }), [["0", "3"], ["1", "1"]]);
      assertEquals(await flags({ abortOnAssociationChange: ["quickModeSa"] }), [["0", "3"], ["1", "2"]]);
      assertEquals(await flags({ abortOnAssociationChange: ["quickModeSa", "mainModeSa"] }), [
        ["0", "3"],
        ["1", "3"],
      ]);
    }),
  { skip },
);

await windowsTest(
  "a connection the system calls insecure, or not encrypted, is refused on either size-probe code",
  async () => {
    for (const probe of [10014, 10040]) {
      for (const [flags, required] of [[0n, "integrity"], [1n, "confidentiality"]] as const) {
        const control = new Winsock();
        try {
          await withSystem(async (system) => {
            control.control("size_probe", probe);
            control.control("query_flags", flags);
            const error = await assertRejects(() => conversation(system), SecurityRequirementError);
            assert([required, "integrity", "confidentiality"].includes(error.required), error.required);
            assertEquals(named(readLog(), "WSAQuerySocketSecurity").length > 0, true);
            control.control("reset");
          });
        } finally {
          control[Symbol.dispose]();
        }
      }
    }
  },
  { skip },
);

/** What a line says besides these; the six functions and the filtering engine's log all that they read. */
function without(call: Call, ...names: string[]): { [argument: string]: unknown } {
  return Object.fromEntries(Object.entries(call).filter(([name]) => !names.includes(name)));
}

await windowsTest(
  "ipsecPolicy() writes each policy as requested, and its key in its own field",
  () =>
    withSystem(async (system) => {
      using policy = ipsecPolicy({
        system,
        mainMode: { authentication: ["kerberos", "anonymous"], lifetimeSeconds: 1200 },
        quickMode: {
          ciphers: ["aes-128-gcm", "aes-256-gcm"],
          lifetimeSeconds: 900,
          lifetimeKilobytes: 50_000,
        },
        extendedMode: { authentication: ["ntlm", "kerberos"], impersonation: true },
      });
      const { mainModePolicy, quickModePolicy } = policy;
      const common = { fn: "FwpmProviderContextAdd1", result: 0, error: 0, sd: "0", flags: "0" };
      const name = utf16Hex("secure-sockets");
      const lifetime = (index: number) => ({
        [`ipsecProposals[${index}].lifetimeSeconds`]: "900",
        [`ipsecProposals[${index}].lifetimeKilobytes`]: "50000",
        [`ipsecProposals[${index}].lifetimePackets`]: String(0x7fff_ffff),
        [`ipsecProposals[${index}].numSaTransforms`]: "1",
        [`ipsecProposals[${index}].pfsGroup`]: "0",
        [`ipsecProposals[${index}].saTransforms[0].ipsecTransformType`]: "4",
      });
      const suite = (index: number, type: string, auth: string, cipher: string) => ({
        ...lifetime(index),
        [`ipsecProposals[${index}].saTransforms[0].authType`]: type,
        [`ipsecProposals[${index}].saTransforms[0].authConfig`]: auth,
        [`ipsecProposals[${index}].saTransforms[0].cipherType`]: type,
        [`ipsecProposals[${index}].saTransforms[0].cipherConfig`]: cipher,
      });
      const ike = (index: number, cipher: string, integrity: string, group: string) => ({
        [`ikeProposals[${index}].cipherAlgorithm`]: cipher,
        [`ikeProposals[${index}].integrityAlgorithm`]: integrity,
        [`ikeProposals[${index}].maxLifetimeSeconds`]: "1200",
        [`ikeProposals[${index}].dhGroup`]: group,
        [`ikeProposals[${index}].quickModeLimit`]: "0",
      });
      const added = named(readLog(), "FwpmProviderContextAdd1");
      assertEquals(added.map((call) => without(call)), [
        {
          ...common,
          name,
          type: "6",
          providerContextKey: mainModePolicy,
          softExpirationTime: "0",
          numAuthenticationMethods: "2",
          "authenticationMethods[0].authenticationMethodType": "2",
          "authenticationMethods[1].authenticationMethodType": "3",
          initiatorImpersonationType: "0",
          numIkeProposals: "2",
          ...ike(0, "4", "3", "5"),
          ...ike(1, "2", "2", "4"),
          "policy flags": "0",
          maxDynamicFilters: "8",
        },
        {
          ...common,
          name,
          type: "3",
          providerContextKey: quickModePolicy,
          numIpsecProposals: "2",
          ...suite(0, "3", "3", "6"),
          ...suite(1, "5", "5", "8"),
          "policy flags": "0",
          ndAllowClearTimeoutSeconds: "0",
          idleTimeoutSeconds: "300",
          idleTimeoutSecondsFailOver: "60",
          emPolicy: "1",
          "emPolicy.numAuthenticationMethods": "2",
          "emPolicy.authenticationMethods[0].authenticationMethodType": "5",
          "emPolicy.authenticationMethods[1].authenticationMethodType": "2",
          "emPolicy.initiatorImpersonationType": "1",
        },
      ]);
      const listener = await listen({
        system,
        requirements: WITHOUT_MUTUAL,
        registry: createRegistry([ipsec({ mainModePolicy, quickModePolicy })]),
        hostname: "127.0.0.1",
        port: 0,
      });
      await listener.close();
      const [set] = named(readLog(), "WSASetSocketSecurity");
      assertEquals([set.AuthipMMPolicyKey, set.AuthipQMPolicyKey], [mainModePolicy, quickModePolicy]);
    }, ["ipsec", "ipsec.policy"]),
  { skip },
);

await windowsTest(
  "the peer of a datagram is named, queried and deleted by its own address",
  () =>
    withSystem(async (system) => {
      const options = { system, requirements: WITHOUT_MUTUAL, registry: createRegistry([ipsec()]) };
      await using here = await openDatagrams({ ...options, hostname: "127.0.0.1" });
      await using there = await openDatagrams({ ...options, hostname: "127.0.0.1" });
      const { port } = there.addr;
      const peer = { hostname: "127.0.0.1", port, computer: COMPUTER };
      await here.send(Uint8Array.of(1), peer);
      await there.receive(new Uint8Array(8));
      await here.deletePeerTarget(peer);
      const address = { family: 2, port, host: "127.0.0.1" };
      const calls = readLog();
      const [target] = named(calls, "WSASetSocketPeerTargetName");
      const [removed] = named(calls, "WSADeleteSocketPeerTargetName");
      assertEquals([target.SecurityProtocol, target.PeerAddress, target.result], ["1", address, 0]);
      assertEquals([removed.Socket, removed.PeerAddr, removed.result], [target.Socket, address, 0]);
      const asked = named(calls, "WSAQuerySocketSecurity");
      const of = (mine: boolean) => asked.filter((call) => (call.Socket === target.Socket) === mine);
      assert(of(true).length > 0 && of(false).length > 0);
      for (const call of of(true)) assertEquals(call.PeerAddress, address);
      for (const call of of(false)) assertEquals(call.PeerAddress, { ...address, port: here.addr.port });
    }),
  { skip },
);

await windowsTest(
  "tokens are requested with only the access that is used",
  () =>
    withSystem(async (system, control) => {
      const asked = async (body: () => Promise<unknown>) => {
        clearLog();
        await body();
        const masks = named(readLog(), "WSAQuerySocketSecurity").map((call) => call.PeerTokenAccessMask);
        return [...new Set(masks)].sort();
      };
      const options = { system, registry: createRegistry([ipsec()]) };
      const requirements = { ...WITHOUT_MUTUAL, impersonation: "impersonate" } as const;
      control.control("user_token", 1);
      await using listener = await listen({
        ...options,
        requirements: WITHOUT_MUTUAL,
        hostname: "127.0.0.1",
        port: 0,
      });
      const accepting = listener.accept();
      await using client = await connect({
        ...options,
        requirements,
        hostname: "localhost",
        port: listener.addr.port,
      });
      await using server = await accepting;
      // TOKEN_QUERY, and TOKEN_DUPLICATE to ask about groups; TOKEN_IMPERSONATE to act.
      assertEquals(await asked(() => server.querySecurity()), ["0"]);
      assertEquals(await asked(() => server.querySecurity({ tokens: true })), ["0", "10"]);
      // deno-lint-ignore require-await -- it is counted as the others are
      assertEquals(await asked(async () => server.impersonate(() => 1)), ["14"]);
      assertEquals(client.security.simulated, false);
    }, ["ipsec", "impersonation"]),
  { skip },
);

declareTests();
