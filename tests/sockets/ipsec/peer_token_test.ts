/** The tokens of a peer: with which access they are requested, who closes them, and what impersonation needs. */

import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { test } from "@test";
import {
  AuthenticationError,
  PermissionError,
  SecurityRequirementError,
  StateError,
} from "../../../errors.ts";
import { ipsecPolicy } from "../../../ffi/ipsec/policies.ts";
import { ADVAPI32, TOKEN } from "../../../ffi/raw/advapi32.ts";
import { KERNEL32 } from "../../../ffi/raw/kernel32.ts";
import { type HostOptions, simulate } from "../../../testing/simulator/simulate.ts";
import { ipsec } from "../../../plugins/ipsec/mod.ts";
import type { SocketProvider } from "../../../contract.ts";
import { createRegistry } from "../../../plugins/registry.ts";
import { connect } from "../../../sockets/connect.ts";
import { listen } from "../../../sockets/listen.ts";
import { PeerToken } from "../../../ffi/windows/token.ts";
import { type Pair, withPair } from "../../support/ipsec_pair.ts";
import { settled } from "../../support/socket_suite.ts";
import type { NativeSystem } from "../../../ffi/system.ts";

const HOSTS = { client: { administrator: true }, server: { administrator: true } };
const { QUERY, IMPERSONATE, DUPLICATE } = TOKEN;

function acting(system: NativeSystem) {
  const held = ipsecPolicy({
    system,
    mainMode: { authentication: ["kerberos"] },
    extendedMode: { authentication: ["kerberos"], impersonation: true },
  });
  const { mainModePolicy, quickModePolicy } = held;
  return { held, options: { mainModePolicy, quickModePolicy } };
}

const withActing = (server: HostOptions, fn: (pair: Pair) => Promise<void> | void) =>
  withPair({
    hosts: { ...HOSTS, server: { ...HOSTS.server, ...server } },
    prepare: acting,
    requirements: { impersonation: "impersonate" },
  }, fn);

/** A provider that records each access mask of a query. */
function noting(provider: SocketProvider, masks: number[]): SocketProvider {
  return {
    ...provider,
    async codec() {
      const codec = await provider.codec();
      return {
        settings: (...args) => codec.settings(...args),
        target: (...args) => codec.target(...args),
        queryTemplate: (peer, access, watched) => {
          masks.push(access);
          return codec.queryTemplate(peer, access, watched);
        },
        close: () => codec.close(),
        [Symbol.dispose]: () => codec.close(),
      };
    },
  };
}

test("tokens are requested with the access that is used only: none, to read, to impersonate", async () => {
  const network = simulate({ hosts: HOSTS });
  const requirements = { mutualAuthentication: false } as const;
  const masks: number[] = [];
  {
    using here = network.host("client");
    using there = network.host("server");
    const [a, b] = [here, there].map((system) => acting(system as NativeSystem));
    using _a = a.held;
    using _b = b.held;
    await using listener = await listen({
      port: 7,
      registry: createRegistry([noting(ipsec(b.options), masks)]),
      system: there,
      requirements,
    });
    const accepting = listener.accept();
    await using client = await connect({
      hostname: "server",
      port: 7,
      registry: createRegistry([ipsec(a.options)]),
      system: here,
      requirements: { ...requirements, impersonation: "impersonate" },
    });
    await using server = await accepting;
    await server.querySecurity();
    assertEquals(masks.splice(0), [0, 0]);
    await server.querySecurity({ tokens: true });
    assertEquals(masks.splice(0), [QUERY | DUPLICATE, 0]);
    server.impersonate(() => {});
    assertEquals(masks.splice(0), [QUERY | IMPERSONATE | DUPLICATE]);
    await client.close();
  }
  assertEquals(await settled(), {});
  assertEquals(network.held(), { handles: 0, allocations: 0 });
});

test("tokens are closed with their connection, and closing them earlier, or twice, is harmless", () =>
  withActing({}, async ({ server }) => {
    const [first, second] = [
      await server.querySecurity({ tokens: true }),
      await server.querySecurity({ tokens: true }),
    ];
    first.tokens!.user!.close();
    first.tokens!.user!.close();
    assertThrows(() => first.tokens!.user!.groups, StateError, "closed");
    assertEquals(second.tokens!.user!.account.name, "client", "another query's tokens are others");
    await server.close();
    for (const token of [second.tokens!.user!, second.tokens!.computer!, first.tokens!.computer!]) {
      assertThrows(() => token.account, StateError, "closed");
      assertThrows(() => token.isMember("S-1-5-32-544"), StateError, "closed");
    }
  }));

test("impersonate() inside impersonate() is refused, and the outer function still runs as the client", async () => {
  let system!: NativeSystem;
  await withPair({
    hosts: HOSTS,
    prepare: (each) => acting(system = each),
    requirements: { impersonation: "impersonate" },
  }, ({ server }) => {
    const advapi = system.library("impersonation", ADVAPI32).call;
    const kernel = system.library("impersonation", KERNEL32).call;
    const actsAsSomebody = (): boolean => {
      const out = new Uint8Array(8);
      const carries = advapi.OpenThreadToken(TOKEN.CURRENT_THREAD, QUERY, 1, out) !== 0;
      if (carries) kernel.CloseHandle(new DataView(out.buffer).getBigUint64(0, true));
      return carries;
    };
    const seen = server.impersonate(() => {
      assertThrows(() => server.impersonate(() => 1), StateError, "already impersonating");
      return actsAsSomebody();
    });
    assertEquals([seen, actsAsSomebody()], [true, false]);
    assertEquals(server.impersonate(actsAsSomebody), true, "one after the other is fine");
  });
});

test(
  "a primary token reports its memberships too, with a duplicate that is closed again, and can be " +
    "impersonated",
  () =>
    withActing({ peerTokens: "primary" }, async ({ server, network }) => {
      const { tokens } = await server.querySecurity({ tokens: true });
      const { handles } = network.held();
      assertEquals(tokens!.user!.isMember(tokens!.user!.account.sid), true);
      assertEquals(tokens!.user!.isMember("S-1-5-32-544"), false);
      for (const fn of ["CheckTokenMembership", "DuplicateTokenEx"]) {
        network.failNext("server", fn, "ERROR_ACCESS_DENIED");
        const error = assertThrows(() => tokens!.user!.isMember("S-1-5-32-544"), AuthenticationError, fn);
        assertEquals((error.cause as Error).name, "NativeError");
      }
      assertEquals(network.held().handles, handles);
      assertEquals(server.impersonate(() => "as the client"), "as the client");
    }),
);

test("a call about a token that the system refuses is an error of the library that names the call", () =>
  withActing({}, async ({ server, network }) => {
    const { user } = (await server.querySecurity({ tokens: true })).tokens!;
    const failing: readonly [string, () => unknown][] = [
      ["GetTokenInformation", () => user!.account],
      ["GetTokenInformation", () => user!.groups],
      ["LookupAccountNameW", () => user!.isMember("SIM\\client")],
      ["ImpersonateLoggedOnUser", () => server.impersonate(() => 1)],
      ["OpenThreadToken", () => server.impersonate(() => 1)],
    ];
    for (const [fn, attempt] of failing) {
      network.failNext("server", fn, "ERROR_ACCESS_DENIED");
      const error = assertThrows(attempt, AuthenticationError, `${fn} failed with`);
      assertEquals((error.cause as Error).name, "NativeError");
    }
    assertEquals(server.impersonate(() => "reverted each time"), "reverted each time");
  }));

test("a token notifies its owner once that it was closed", () => {
  const network = simulate();
  using system = network.host("client") as NativeSystem;
  let closed = 0;
  const token = new PeerToken(system, 1n, () => closed++);
  token.close();
  token.close();
  assertEquals(closed, 1);
});

test("a server that may only identify its client gets the level in force in the error, and nothing is run", () =>
  withActing({ mayImpersonate: false }, ({ server }) => {
    let runs = 0;
    const error = assertThrows(() => server.impersonate(() => runs++), SecurityRequirementError);
    assertEquals([error.required, error.got, runs], ["impersonation", "identify", 0]);
    assertStringIncludes(error.message, "SeImpersonatePrivilege");
  }));

test("impersonate() refuses values that are not functions, or that can be awaited; the thread is reverted", () =>
  withActing({}, ({ server }) => {
    // deno-lint-ignore no-explicit-any
    const run = server.impersonate.bind(server) as (fn: any) => unknown;
    for (const fn of [null, 1, {}, async () => {}, function* () {}, async function* () {}]) {
      assertThrows(() => run(fn), TypeError, "synchronous function");
    }
    const callable = Object.assign(() => {}, { then: () => {} });
    for (const result of [Promise.resolve(), { then: () => {} }, callable]) {
      assertThrows(() => run(() => result), TypeError, "returned a promise");
    }
    assertEquals(run(() => "reverted each time"), "reverted each time");
  }));

test("without the grant there are neither tokens nor impersonation, and no handle is left open", async () => {
  const network = simulate({ hosts: HOSTS });
  {
    using here = network.host("client");
    using there = network.host("server", ["ipsec", "ipsec.policy"]);
    const [a, b] = [here, there].map((system) => acting(system as NativeSystem));
    using _a = a.held;
    using _b = b.held;
    await using listener = await listen({
      port: 7,
      registry: createRegistry([ipsec(b.options)]),
      system: there,
    });
    const accepting = listener.accept();
    const registry = createRegistry([ipsec(a.options)]);
    await using client = await connect({
      hostname: "server",
      port: 7,
      registry,
      system: here,
      requirements: { impersonation: "impersonate" },
    });
    await using server = await accepting;
    const before = network.held().handles;
    const refused = await server.querySecurity({ tokens: true }).catch((error) => error);
    assertEquals([refused.name, refused.grant], ["PermissionError", "impersonation"]);
    assertThrows(() => server.impersonate(() => 1), PermissionError, '"impersonation"');
    assertEquals(network.held().handles, before);
    await client.write(Uint8Array.of(1));
    assertEquals(await server.read(new Uint8Array(1)), 1, "the connection goes on");
  }
  assertEquals(await settled(), {});
  assertEquals(network.held(), { handles: 0, allocations: 0 });
});
