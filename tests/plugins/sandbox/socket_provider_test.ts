/** Providers of layer `socket` from a module: loaded, pinned, guarded, and asked for bytes. */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { test } from "@test";
import { ProviderRejectedError, ProviderTrapError, StateError } from "../../../errors.ts";
import { SOCKET_SECURITY_PROTOCOL } from "../../../ffi/raw/fwpuclnt.ts";
import type { Capabilities, SocketCodec, SocketGrants, SocketProvider } from "../../../contract.ts";
import { createRegistry } from "../../../plugins/registry.ts";
import { resolveRequirements } from "../../../plugins/requirements.ts";
import { loadProvider } from "../../../plugins/sandbox/load_provider.ts";
import { GUEST_SHA256, guestModule } from "../../../plugins/sdk/template/guest_wasm.ts";
import { sha256 } from "../../support/hostile.ts";
import { targetName } from "../../support/ipsec_bytes.ts";
import { referenceSettings, referenceTemplate } from "../../support/reference_codec.ts";
import { tiny } from "../../support/tiny.ts";

const REQUIREMENTS = resolveRequirements({ mutualAuthentication: false });
const IDENTITY = { username: "alice", domain: "EXAMPLE", passwordBytes: 18 };

async function provider(
  grants: SocketGrants = {},
  change?: (text: string) => string,
): Promise<SocketProvider> {
  const bytes = await tiny("tiny_codec.wat", change);
  return await loadProvider(bytes, { sha256: await sha256(bytes), socket: grants });
}

async function codec(change?: (text: string) => string): Promise<SocketCodec> {
  return await (await provider({}, change)).codec();
}

test("loadProvider() loads a module of layer socket: a provider that reports what it is and its grants", async () => {
  const key = "01234567-89ab-cdef-0123-456789abcdef";
  const keys = [key];
  const grants = { quickModePolicies: keys, rawPeerName: true };
  const bytes = await tiny("tiny_codec.wat");
  const hash = await sha256(bytes);
  const loading = loadProvider(bytes, { sha256: hash.toUpperCase(), name: "tiny-codec", socket: grants });
  // The module's bytes and the grants are copied before anything else happens.
  bytes.fill(0);
  keys.push("fedcba98-7654-3210-fedc-ba9876543210");
  grants.rawPeerName = false;
  const loaded = await loading;
  assertEquals([loaded.layer, loaded.name], ["socket", "tiny-codec"]);
  assertEquals([loaded.quickModePolicies, loaded.rawPeerName], [[key], true]);
  assertEquals(loaded.description, {
    name: "tiny-codec",
    layer: "socket",
    isolation: "sandboxed",
    sha256: hash,
    imports: [],
    offers: {
      integrity: true,
      confidentiality: true,
      mutualAuthentication: false,
      impersonation: "identify",
      delegation: false,
    },
  });
  assertThrows(() => Object.assign(loaded, { allowInsecure: true }), TypeError);
  assertThrows(() => (loaded.quickModePolicies as string[]).push(key), TypeError);
  assertEquals(createRegistry([loaded]).providers, [loaded]);
});

test("loadProvider() requires socket grants for a module of layer socket, and refuses them for another", async () => {
  const bytes = await tiny("tiny_codec.wat");
  const pin = { sha256: await sha256(bytes) };
  const unsaid = await assertRejects(() => loadProvider(bytes, pin), ProviderRejectedError, "or {} for none");
  assertEquals(unsaid.rule, "layer");
  const module = Uint8Array.from(guestModule());
  const other = await assertRejects(
    () => loadProvider(module, { sha256: GUEST_SHA256, socket: {} }),
    ProviderRejectedError,
    "leave it out",
  );
  assertEquals(other.rule, "layer");
  // Their advice, followed.
  assertEquals((await loadProvider(bytes, { ...pin, socket: {} })).layer, "socket");
  assertEquals((await loadProvider(module, { sha256: GUEST_SHA256 })).layer, "context");
});

test("loadProvider() refuses a module of layer socket whose hash is not the pinned one", async () => {
  const bytes = await tiny("tiny_codec.wat");
  const error = await assertRejects(
    () => loadProvider(bytes, { sha256: "0".repeat(64), socket: {} }),
    ProviderRejectedError,
  );
  assertEquals(error.rule, "sha256");
});

test("loadProvider() refuses a module of layer socket that offers to delegate", async () => {
  for (
    const change of [
      (text: string) => text.replace('\\"delegation\\":false}}")', '\\"delegation\\":true }}")'),
      (text: string) =>
        text.replace('\\"impersonation\\":\\"identify\\"', '\\"impersonation\\":\\"delegate\\"'),
    ]
  ) {
    const error = await assertRejects(() => provider({}, change), ProviderRejectedError, "must not delegate");
    assertEquals(error.rule, "description");
  }
});

test("invalid grants are refused by name, before the module is parsed", async () => {
  const cases: [unknown, string][] = [
    [null, "socket must be an object"],
    [true, "socket must be an object"],
    [{ allowClear: true }, "socket.allowClear is not known"],
    [{ allowInsecure: 1 }, "socket.allowInsecure must be true or false"],
    [{ rawPeerName: "yes" }, "socket.rawPeerName must be true or false"],
    [{ mainModePolicies: [] }, "socket.mainModePolicies must be a list of policies' keys"],
    [{ mainModePolicies: "01234567-89ab-cdef-0123-456789abcdef" }, "socket.mainModePolicies must be a list"],
    [{ quickModePolicies: ["{01234567-89ab-cdef-0123-456789abcdef}"] }, "socket.quickModePolicies must be"],
    [{ quickModePolicies: [""] }, "socket.quickModePolicies must be"],
    [{ firstPacketInClear: true }, "socket.firstPacketInClear weakens the connection"],
    [{ abortOnAssociationChange: ["x"] }, "socket.abortOnAssociationChange must be a list"],
    [{ abortOnAssociationChange: ["mainModeSa"], allowInsecure: true }, "leave one of the two out"],
  ];
  for (const [socket, message] of cases) {
    await assertRejects(
      () => loadProvider(new Uint8Array(8), { sha256: "0".repeat(64), socket: socket as SocketGrants }),
      TypeError,
      message,
    );
  }
});

test("available() is true where the system secures sockets, and elsewhere says what to use instead", async () => {
  const loaded = await provider();
  const capabilities = (os: string, ipsec: unknown) => ({ os, ipsec }) as Capabilities;
  assertEquals(loaded.available(capabilities("windows", { available: true })), { available: true });
  const reason = { available: false, reason: "the service BFE does not run" } as const;
  assertEquals(loaded.available(capabilities("windows", reason)), reason);
  const elsewhere = loaded.available(capabilities("linux", { available: false, reason: "x" }));
  assert(!elsewhere.available && elsewhere.reason.includes("use simulate()"), JSON.stringify(elsewhere));
});

test("a codec writes settings, names and queries according to the layouts", async () => {
  using one = await codec();
  assertEquals(one.settings(REQUIREMENTS, IDENTITY), referenceSettings(REQUIREMENTS, IDENTITY, {}).slice());
  const peer = Uint8Array.of(2, 0, 0, 7, 10, 0, 0, 1);
  const expected = targetName(peer, "host/Jürgen-𝄞", SOCKET_SECURITY_PROTOCOL.IPSEC);
  assertEquals(one.target(peer, "host/Jürgen-𝄞"), expected);
  assertEquals(one.queryTemplate(peer, 8), referenceTemplate(peer, 8));
});

test("results are copies: a later call does not change them", async () => {
  using one = await codec();
  const first = one.queryTemplate(new Uint8Array(0), 1);
  one.queryTemplate(new Uint8Array(0), 2);
  assertEquals(first, referenceTemplate(new Uint8Array(0), 1));
});

test("a codec that cannot watch an association reports it with an error, and stays usable", async () => {
  using one = await codec();
  assertThrows(() => one.queryTemplate(new Uint8Array(), 0, ["mainModeSa"]), TypeError, "tiny-codec");
  assertEquals(one.queryTemplate(new Uint8Array(), 0), referenceTemplate(new Uint8Array(), 0));
});

test("names with half of a surrogate pair are refused by the argument's name, and the codec stays usable", async () => {
  using one = await codec();
  for (const half of ["\ud83d", "\ude00"]) {
    for (const key of ["username", "domain"]) {
      assertThrows(
        () => one.settings(REQUIREMENTS, { ...IDENTITY, [key]: half }),
        TypeError,
        `identity.${key} holds half of a surrogate pair`,
      );
    }
    assertThrows(
      () => one.target(new Uint8Array(16), half),
      TypeError,
      "target holds half of a surrogate pair",
    );
  }
  assertEquals(one.queryTemplate(new Uint8Array(), 0).length, 152);
});

test("a closed codec is an error of state", async () => {
  const one = await codec();
  one.close();
  one.close();
  assertThrows(() => one.queryTemplate(new Uint8Array(0), 1), StateError, "closed");
});

test("a provider compiles its module once, and each codec has an instance of its own", async () => {
  const { compile } = WebAssembly;
  let compiled = 0;
  WebAssembly.compile = (bytes) => {
    compiled++;
    return compile(bytes);
  };
  try {
    const loaded = await provider({}, trapsOnce);
    assertEquals(compiled, 1);
    using a = await loaded.codec();
    using b = await loaded.codec();
    assertEquals(a === b, false);
    assertThrows(() => a.queryTemplate(new Uint8Array(), 7), ProviderTrapError);
    assertEquals(b.queryTemplate(new Uint8Array(), 0).length, 152);
    assertEquals(compiled, 1);
  } finally {
    WebAssembly.compile = compile;
  }
});

/** Traps where the access mask is 7. */
const trapsOnce = (text: string) =>
  text.replace(
    "(if (i32.load offset=4 (local.get $body))",
    "(if (i32.eq (i32.load (local.get $body)) (i32.const 7)) (then (unreachable)))" +
      "(if (i32.load offset=4 (local.get $body))",
  );

test("a codec whose instance trapped continues with another: it serves a listener's other connections, too", async () => {
  using one = await codec(trapsOnce);
  assertThrows(() => one.queryTemplate(new Uint8Array(), 7), ProviderTrapError);
  assertEquals(one.queryTemplate(new Uint8Array(), 8), referenceTemplate(new Uint8Array(), 8));
});

test("a codec that allocates memory at each call serves any number of calls", async () => {
  const greedy = (text: string) =>
    text.replace(
      "(func $query (param $body i32) (result i64)\n    (local $address i32)",
      "(func $query (param $body i32) (result i64)\n    (local $address i32)" +
        "(if (i32.eq (memory.grow (i32.const 16)) (i32.const -1)) (then (unreachable)))",
    );
  using one = await codec(greedy);
  // Four calls of one instance would reach the limit of 64 pages.
  for (let call = 0; call < 40; call++) {
    assertEquals(one.queryTemplate(new Uint8Array(), call), referenceTemplate(new Uint8Array(), call));
  }
});
