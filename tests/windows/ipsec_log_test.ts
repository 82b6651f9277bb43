/**
 * What the library passes to the six functions, read by a C program and compared field by field with what the
 * library was told. The C program is the test double of `fixtures/fwpuclnt.c`.
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { SecurityRequirementError } from "../../errors.ts";
import {
  connect,
  createRegistry,
  ipsec,
  type IpsecOptions,
  listen,
  openSystem,
  type Requirements,
  type System,
} from "../../mod.ts";
import { liveHandles } from "../../testing.ts";
import { type Call, clearLog, readLog, utf16Hex } from "./support/call_log.ts";
import { machine } from "./support/machine.ts";
import { declareTests, windowsTest } from "./support/on_windows.ts";
import { Winsock } from "./support/winsock.ts";

const skip = machine.run === null ? "the fixture is only built by deno task test:windows on Linux" : null;
const WITHOUT_MUTUAL: Requirements = { mutualAuthentication: false };
const ZERO = "00000000-0000-0000-0000-000000000000";
const COMPUTER = "host/server.example.test";

interface Terms {
  requirements?: Requirements;
  options?: IpsecOptions;
  credentials?: { username: string; domain?: string; password: string };
}

async function withSystem(body: (system: System) => Promise<void>): Promise<void> {
  const control = new Winsock();
  const system = openSystem({ grants: ["ipsec"] });
  try {
    control.control("reset");
    clearLog();
    await body(system);
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
  "both ends set security first, before anything else is asked of the socket",
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
  "both ends are asked about before the first byte, and no tokens are asked for",
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
  "an association is watched only where that is asked for, after it was asked about",
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

declareTests();
