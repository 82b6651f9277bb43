/**
 * Providers of layer `socket` that are loaded as WebAssembly: a correct one, and hostile ones, on a simulated
 * network.
 */

import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { test } from "@test";
import { ProviderTrapError, SecurityRequirementError } from "../../../errors.ts";
import { GUEST_SHA256, guestModule } from "../../../examples/department/guest_wasm.ts";
import { ipsecPolicy } from "../../../ffi/ipsec/policies.ts";
import { simulate } from "../../../testing/simulator/simulate.ts";
import type { System } from "../../../ffi/system.ts";
import { ipsec } from "../../../plugins/ipsec/mod.ts";
import type { Requirements, SecurityInfo, SocketGrants, SocketProvider } from "../../../contract.ts";
import { createRegistry } from "../../../plugins/registry.ts";
import { loadProvider } from "../../../plugins/sandbox/load_provider.ts";
import { testProvider } from "../../../testing/mod.ts";
import { buildPlugin } from "../../../scripts/plugin_build.ts";
import { connect } from "../../../sockets/connect.ts";
import { listen } from "../../../sockets/listen.ts";
import { openDatagrams } from "../../../sockets/ipsec/open_datagrams.ts";
import type { ConnectOptions } from "../../../sockets/options.ts";
import { sha256 } from "../../support/hostile.ts";
import { ROOT } from "../../support/root.ts";
import { settled } from "../../support/socket_suite.ts";
import { tiny } from "../../support/tiny.ts";

const HOSTS = { client: { administrator: true }, server: { administrator: true } };
const PLAIN = { mutualAuthentication: false, confidentiality: false } as const;

/** The keys of the policies that an administrator would have added to a host. */
function policiesOf(system: System) {
  const identity = ipsecPolicy({ system, mainMode: { authentication: ["kerberos"] } });
  const internal = ipsecPolicy({ system, quickMode: { ciphers: [] } });
  const restricted = ipsecPolicy({ system, quickMode: { ciphers: ["aes-256-gcm"] } });
  return {
    identity: identity.mainModePolicy!,
    internal: internal.quickModePolicy!,
    restricted: restricted.quickModePolicy!,
    [Symbol.dispose]() {
      for (const policy of [identity, internal, restricted]) policy.close();
    },
  };
}
type Policies = ReturnType<typeof policiesOf>;

/** Connects once with a provider made for the client's policies; the server has the same policy with `ipsec()`. */
async function attempt(
  make: (policies: Policies) => Promise<SocketProvider>,
  requirements: Requirements,
  wanted: "internal" | "restricted" | "system",
  options: Partial<ConnectOptions> = {},
): Promise<SecurityInfo> {
  const network = simulate({ hosts: HOSTS });
  let failed = true;
  try {
    using here = network.host("client");
    using there = network.host("server");
    using mine = policiesOf(here);
    using theirs = policiesOf(there);
    const own = wanted === "system"
      ? {}
      : { mainModePolicy: theirs.identity, quickModePolicy: theirs[wanted] };
    await using listener = await listen({
      port: 7,
      registry: createRegistry([ipsec(own)]),
      system: there,
      requirements: { ...requirements, confidentiality: false },
      onHandshakeError: (error) => refuse(error),
    });
    let refuse!: (error: unknown) => void;
    const refused = new Promise<never>((_, reject) => refuse = reject);
    const accepting = Promise.race([listener.accept(), refused]);
    accepting.catch(() => {});
    const registry = createRegistry([await make(mine)]);
    const to = { hostname: "server", port: 7, registry, system: here, requirements, ...options };
    await using client = await connect(to).catch(async (error) => {
      await listener.close();
      // A server may have accepted a connection that its client then refused.
      await accepting.then((conn) => conn.close(), () => {});
      throw error;
    });
    await using _server = await accepting;
    await client.write(Uint8Array.of(1));
    failed = false;
    return await client.querySecurity();
  } finally {
    if (failed) assertEquals(network.traffic, { clear: 0, secured: 0, encrypted: 0 });
    assertEquals(await settled(), {});
    assertEquals(network.held(), { handles: 0, allocations: 0 });
  }
}

function department(
  classification: "internal" | "restricted",
  grants: (policies: Policies) => SocketGrants = ({ identity, internal, restricted }) => ({
    mainModePolicies: [identity],
    quickModePolicies: [internal, restricted],
  }),
) {
  return (policies: Policies) =>
    loadProvider(guestModule(), {
      sha256: GUEST_SHA256,
      options: {
        classification,
        identityPolicy: policies.identity,
        internalPolicy: policies.internal,
        restrictedPolicy: policies.restricted,
      },
      socket: grants(policies),
    });
}

test("an organisation's provider maps requirements to its own policies, which the connection uses", async () => {
  for (
    const [classification, requirements, policy, encrypted] of [
      ["restricted", {}, "restricted", true],
      ["restricted", { confidentiality: false }, "restricted", true],
      ["internal", {}, "restricted", true],
      ["internal", { confidentiality: false }, "internal", false],
      ["internal", PLAIN, "internal", false],
    ] as const
  ) {
    const info = await attempt(department(classification), requirements, policy);
    assertEquals([info.provider, info.integrity, info.confidentiality], ["department", true, encrypted]);
    assertEquals(info.mutualAuthentication, true);
    assertEquals(info.simulated, true);
    assertStringIncludes(JSON.stringify(info.details.association), encrypted ? "aes-256-gcm" : "esp-auth");
  }
});

test("an organisation's provider refuses what its own rules forbid, before anything is sent", async () => {
  const error = await assertRejects(
    () => attempt(department("restricted"), PLAIN, "restricted"),
    SecurityRequirementError,
    "leave mutualAuthentication at its default",
  );
  assertEquals(error.required, "mutualAuthentication");
  // Its advice, followed.
  assertEquals((await attempt(department("restricted"), {}, "restricted")).confidentiality, true);
});

test("a policy that the application did not grant is refused, whatever the module's options say", async () => {
  const grants: [(policies: Policies) => SocketGrants, string][] = [
    [() => ({}), "AuthipMMPolicyKey"],
    [({ identity }) => ({ mainModePolicies: [identity] }), "AuthipQMPolicyKey"],
    [
      ({ identity, internal }) => ({ mainModePolicies: [identity], quickModePolicies: [internal] }),
      "AuthipQMPolicyKey",
    ],
    [
      ({ restricted, identity }) => ({ mainModePolicies: [restricted], quickModePolicies: [identity] }),
      "MMPolicy",
    ],
  ];
  for (const [granted, field] of grants) {
    const error = await assertRejects(
      () => attempt(department("restricted", granted), {}, "restricted"),
      ProviderTrapError,
    );
    assertStringIncludes(error.message, field);
  }
});

test("the example's module is what its sources compile to, and conforms", async () => {
  const { sha256: built } = await buildPlugin(ROOT, "examples/department");
  assertEquals(built, GUEST_SHA256, "the sources changed: deno task plugin:build examples/department");
  const key = crypto.randomUUID();
  const { outcomes } = await testProvider(guestModule(), {
    options: {
      client: { classification: "internal", identityPolicy: key, internalPolicy: key, restrictedPolicy: key },
      server: { classification: "restricted", identityPolicy: key },
    },
    socket: { mainModePolicies: [key], quickModePolicies: [key] },
  });
  assertEquals(outcomes.filter(({ result }) => result !== "ok"), []);
});

/** The hand-written codec, which writes no flag and no policy, with a change. */
async function changed(
  change: ((text: string) => string) | undefined,
  grants: SocketGrants = {},
): Promise<SocketProvider> {
  const bytes = await tiny("tiny_codec.wat", change);
  return await loadProvider(bytes, { sha256: await sha256(bytes), socket: grants });
}

/** Stores at an offset of the settings, right before they are returned. */
const store = (at: number, value: number) => (text: string) =>
  text.replace(
    "(call $ok (local.get $length)))",
    `(i32.store offset=${at} (global.get $OUT) (i32.const ${value})) (call $ok (local.get $length)))`,
  ).replace(
    "(then (return (call $ok (i32.const 88))))",
    `(then (i32.store offset=${at} (global.get $OUT) (i32.const ${value})) (return (call $ok (i32.const 88))))`,
  );

test("a hand-written module of another author works", async () => {
  const info = await attempt(() => changed(undefined), { mutualAuthentication: false }, "system");
  assertEquals([info.provider, info.integrity, info.confidentiality], ["tiny-codec", true, true]);
  const secret = { username: "alice", domain: "SIM", password: "pässword" };
  const named = await attempt(() => changed(undefined), PLAIN, "system", { credentials: secret });
  assertEquals([named.integrity, named.confidentiality], [true, false]);
});

const HOSTILE: readonly (readonly [string, (text: string) => string, SocketGrants?])[] = [
  ["allows clear text", store(4, 3)],
  ["allows clear text that the application would allow, and the requirements do not", store(4, 3), {
    allowInsecure: true,
  }],
  ["forgets to guarantee encryption", store(4, 0)],
  ["makes no filters", store(8, 1)],
  ["accepts any computer", store(8, 2)],
  ["takes a first packet in clear", store(8, 4)],
  ["reads the peer's name otherwise", store(8, 8)],
  ["leaves out the policy it was granted", (text) => text.concat("\n"), {
    mainModePolicies: ["01234567-89ab-cdef-0123-456789abcdef"],
  }],
  ["names a policy of its own", store(12, 1)],
  ["uses what is reserved", store(44, 1)],
  ["names another part of the strings as the user", store(72, 4)],
  ["says that the password is a part of the domain", store(76, 16)],
  ["says that there is no password", store(80, 0)],
  [
    "has the password stand where the flags are",
    (text) => text.replace("(call $ok (local.get $length)))", "(call $ok (i32.const 8)))"),
  ],
  ["has the password stand behind more", (text) =>
    text.replace(
      "(call $ok (local.get $length)))",
      "(call $ok (i32.add (local.get $length) (i32.const 2))))",
    )],
  ["names another computer", (text) =>
    text.replace(
      "(local.set $end (i32.sub (local.get $end) (global.get $OUT)))",
      "(local.set $end (i32.sub (local.get $end) (global.get $OUT))) (i32.store8 offset=140 (global.get $OUT) (i32.const 120))",
    )],
  ["asks for tokens", (text) =>
    text.replace(
      "(i32.store offset=136 (global.get $OUT) (i32.load (local.get $body)))",
      "(i32.store offset=136 (global.get $OUT) (i32.const 8))",
    )],
  ["answers nothing", (text) => text.replace("(call $ok (local.get $length)))", "(call $ok (i32.const 0)))")],
];

for (const [what, change, grants] of HOSTILE) {
  test(`a module that ${what} is refused before a byte is sent`, async () => {
    const credentials = { username: "u", password: "hunter2" };
    const error = await assertRejects(
      () =>
        attempt(() => changed(change, grants), { mutualAuthentication: false }, "system", { credentials }),
      ProviderTrapError,
    );
    assert(!error.message.includes("hunter2"), error.message);
  });
}

test("no password enters a module: neither as such, nor as a part of a name", async () => {
  const { Instance } = WebAssembly;
  const memories: WebAssembly.Memory[] = [];
  const seen: string[] = [];
  // Reads the module's memory when it is called, which is when the request is in it.
  WebAssembly.Instance = function (module: WebAssembly.Module, imports: WebAssembly.Imports) {
    const { exports } = new Instance(module, imports);
    const { memory, call } = exports as {
      memory: WebAssembly.Memory;
      call: (p: number, n: number) => bigint;
    };
    memories.push(memory);
    return {
      exports: {
        ...exports,
        call(pointer: number, length: number) {
          seen.push(String.fromCharCode(...new Uint8Array(memory.buffer, pointer, length)));
          const result = call(pointer, length);
          const whole = new TextDecoder("latin1").decode(new Uint8Array(memory.buffer));
          for (const form of ["kørrekt", "k\0ø\0r\0r\0", "k\u00c3\u00b8rrekt"]) {
            assert(!whole.includes(form), "the memory holds the password");
          }
          return result;
        },
      },
    };
  } as unknown as typeof WebAssembly.Instance;
  try {
    const credentials = { username: "alice", domain: "SIM", password: "kørrekt-horse-99441" };
    await attempt(() => changed(undefined), PLAIN, "system", { credentials });
  } finally {
    WebAssembly.Instance = Instance;
  }
  assert(memories.length > 0 && seen.some((request) => request.includes("alice")), "the module was watched");
  assertEquals(seen.filter((request) => request.includes("99441") || request.includes("9\x009\x004\0")), []);
});

test("connect(), listen() and openDatagrams() refuse to delegate on this layer, whatever a provider offers", async () => {
  const network = simulate({ hosts: HOSTS });
  using system = network.host("client");
  const honest = await changed(undefined);
  const boastful: SocketProvider = {
    ...honest,
    description: {
      ...honest.description,
      offers: { ...honest.description.offers, impersonation: "delegate", delegation: true },
    },
  };
  const registry = createRegistry([boastful]);
  const requirements = { mutualAuthentication: false, delegation: true };
  const refused: (() => Promise<unknown>)[] = [
    () => connect({ hostname: "server", port: 7, registry, system, requirements }),
    () => listen({ port: 7, registry, system, requirements }),
    () => openDatagrams({ registry, system, requirements }),
  ];
  for (const open of refused) {
    const error = await assertRejects(open, SecurityRequirementError, "or use negotiate()");
    assertEquals([error.required, error.got], ["delegation", "not offered"]);
  }
  assertEquals(network.held(), { handles: 0, allocations: 0 });
});
