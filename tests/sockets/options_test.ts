import { assert, assertEquals, assertRejects } from "@std/assert";
import { test } from "@test";
import { createRegistry } from "../../plugins/registry.ts";
import { connect } from "../../sockets/connect.ts";
import { listen } from "../../sockets/listen.ts";
import type { ConnectOptions, ListenOptions, SecureOptions } from "../../sockets/options.ts";
import { readConnectOptions } from "../../sockets/read_options.ts";
import { secure } from "../../sockets/secure.ts";
import { acceptsTarget } from "../../contexts/verify.ts";
import { MemoryTransport } from "../support/memory_transport.ts";
import { toyProvider, toySystem } from "../support/toy_provider.ts";

const provider = toyProvider();
const common = { registry: createRegistry([provider]), system: toySystem() };

type Wrong = [options: Record<string, unknown>, error: "TypeError" | "RangeError", part: string];

/** Half of a surrogate pair, and text that must not be in an error because it is a secret. */
const HALF = "zq\ud83d";

const COMMON: Wrong[] = [
  [{ credential: {} }, "TypeError", "options.credential is not known"],
  [{ channelBindings: "tls-unique:" }, "TypeError", "channelBindings must be a Uint8Array"],
  [
    { channelBindings: new Uint8Array() },
    "TypeError",
    "channelBindings must be a Uint8Array that is not empty",
  ],
  [{ requirements: { encrypt: true } }, "TypeError", "requirements.encrypt is not known"],
  [{ requirements: { integrity: false } }, "TypeError", "contradict each other"],
  [{ requirements: { delegation: true, impersonation: "identify" } }, "TypeError", "contradict each other"],
  [{ requirements: { confidentiality: "yes" } }, "TypeError", "must be true or false"],
  [{ registry: {} }, "TypeError", "options.registry must have the method select()"],
  [{ system: 5 }, "TypeError", "options.system must have the method capabilities()"],
  [{ signal: {} }, "TypeError", "options.signal must be an AbortSignal"],
  [{ credentials: {} }, "TypeError", "must have a username and a password, or a keytab, or a cache"],
  [{ credentials: null }, "TypeError", "must have a username"],
  [{ credentials: { username: "alice" } }, "TypeError", "credentials.password must be given"],
  [
    { credentials: { username: "A\\b", domain: "C", password: "x" } },
    "TypeError",
    "options.credentials.username has one domain",
  ],
  [
    { credentials: { username: "", password: "x" } },
    "TypeError",
    "credentials.username must be a non-empty string",
  ],
  [{ credentials: { username: "a", password: 5 } }, "TypeError", "credentials.password must be a string"],
  [{ credentials: { keytab: "k", cache: "c" } }, "TypeError", "options.credentials.cache is not known"],
  [{ credentials: { keytab: 5 } }, "TypeError", "credentials.keytab must be a non-empty string"],
  ...([
    ["username", { password: "x" }],
    ["domain", { username: "a", password: "x" }],
    ["password", { username: "a" }],
    ["keytab", {}],
    ["principal", { keytab: "k" }],
    ["cache", {}],
  ] as const).map(([key, others]): Wrong => [
    { credentials: { ...others, [key]: HALF } },
    "TypeError",
    `options.credentials.${key} contains a lone surrogate`,
  ]),
];
const CLIENT: Wrong[] = [
  [{ target: "" }, "TypeError", "options.target must be a service principal name"],
  [{ target: "server.test" }, "TypeError", "options.target must be a service principal name"],
  [{ target: "host/a b@" }, "TypeError", "options.target must be a service principal name"],
  [{ target: "host/server.test." }, "TypeError", "instanceName must not end with a dot"],
  [{ target: 5 }, "TypeError", "options.target must be a service principal name"],
  [{ target: `host/${HALF}` }, "TypeError", "instanceName contains a lone surrogate"],
  [{ computer: "" }, "TypeError", "options.computer must be"],
  [{ computer: `host/${HALF}` }, "TypeError", "options.computer contains a lone surrogate"],
  [{ timeoutMs: "5" }, "TypeError", "options.timeoutMs must be a number"],
  [{ timeoutMs: 0 }, "RangeError", "options.timeoutMs must be a whole number from 1"],
  [{ timeoutMs: 2 ** 31 }, "RangeError", "options.timeoutMs must be"],
  [{ timeoutMs: Infinity }, "RangeError", "options.timeoutMs must be"],
  [{ acceptedTargets: ["host/x"] }, "TypeError", "options.acceptedTargets is not known"],
];
const SERVER: Wrong[] = [
  [{ acceptedTargets: [] }, "TypeError", "acceptedTargets must be a list of at least one"],
  [{ acceptedTargets: "host/x" }, "TypeError", "acceptedTargets must be a list"],
  [{ acceptedTargets: ["host/x", "x"] }, "TypeError", "options.acceptedTargets[1] must be"],
  [{ acceptedTargets: ["host/x."] }, "TypeError", "options.acceptedTargets[0] must be"],
  [{ acceptedTargets: ["host/x", "host/*"] }, "TypeError", 'options.acceptedTargets[1] contains "*"'],
  [{ acceptedTargets: ["host/x", `${HALF}/x`] }, "TypeError", "serviceClass contains a lone surrogate"],
  [{ handshakeTimeoutMs: 0.5 }, "RangeError", "options.handshakeTimeoutMs must be"],
  [{ target: "host/x" }, "TypeError", "options.target is not known"],
  [{ timeoutMs: 5 }, "TypeError", "options.timeoutMs is not known"],
];

/** Each invalid option must be refused, with valid ones beside it. */
async function assertRefused(call: (options: Record<string, unknown>) => Promise<unknown>, wrongs: Wrong[]) {
  for (const [options, name, part] of wrongs) {
    const error = await assertRejects(() => call(options), Error, part);
    assertEquals(error.name, name, JSON.stringify(options));
    if (options.credentials !== undefined) assert(!error.message.includes("zq"), error.message);
  }
  assertEquals([provider.ledger.credentials, provider.ledger.contexts], [0, 0]);
}

for (const role of ["client", "server"] as const) {
  test(`secure() as a ${role} refuses invalid options before it uses the transport`, async () => {
    const [a] = MemoryTransport.pair();
    const own = role === "client" ? { role, target: "host/x" } : { role };
    await assertRefused(
      (options) => secure(a, { ...own, ...common, ...options } as unknown as SecureOptions),
      [...COMMON, ...role === "client" ? CLIENT : SERVER],
    );
    for (const wrong of [undefined, null, {}, { role: "peer" }]) {
      await assertRejects(
        () => secure(a, wrong as unknown as SecureOptions),
        TypeError,
        "options.role must be",
      );
    }
    assertEquals([a.reads, a.writes, a.closes], [0, 0, 0]);
  });
}

test("connect(): the dot at the end of an absolute hostname is for the resolver, and not part of the target", () => {
  const given = { port: 1, ...common } as unknown as ConnectOptions;
  for (const hostname of ["Server.Test", "Server.Test."]) {
    const read = readConnectOptions({ ...given, hostname });
    assertEquals(read.hostname, hostname);
    assertEquals(read.side.role === "client" && read.side.target, "host/Server.Test");
  }
});

test("secure() as a client needs a target", async () => {
  const [a] = MemoryTransport.pair();
  const options = { role: "client", ...common } as unknown as SecureOptions;
  await assertRejects(() => secure(a, options), TypeError, "options.target must be");
  assertEquals(a.closes, 0);
});

test("connect() refuses invalid options before it opens anything", async () => {
  const call = (options: Record<string, unknown>) =>
    connect({ hostname: "localhost", port: 1, ...common, ...options } as unknown as ConnectOptions);
  await assertRefused(call, [
    ...COMMON,
    ...CLIENT,
    [{ hostname: undefined }, "TypeError", "options.hostname must be a string"],
    [{ hostname: "" }, "TypeError", "options.hostname must be a host's name"],
    [{ hostname: "a b" }, "TypeError", "options.hostname must be a host's name"],
    [{ hostname: "http://x/" }, "TypeError", "options.hostname must be a host's name"],
    [{ hostname: "." }, "TypeError", "options.hostname must be a host's name"],
    [{ hostname: "a.." }, "TypeError", "options.hostname must be a host's name"],
    [{ hostname: "[::1]" }, "TypeError", "without brackets"],
    [{ hostname: HALF }, "TypeError", "options.hostname contains a lone surrogate"],
    [{ port: undefined }, "TypeError", "options.port must be a number"],
    [{ port: 0 }, "RangeError", "options.port must be a whole number from 1 to 65535"],
    [{ port: 65536 }, "RangeError", "options.port must be"],
    [{ port: 80.5 }, "RangeError", "options.port must be"],
    [{ role: "client" }, "TypeError", "options.role is not known"],
  ]);
  await assertRejects(
    () => connect(undefined as unknown as ConnectOptions),
    TypeError,
    "options must be an object",
  );
});

test("connect() to an IP address, in any spelling, needs a target and says how to write one", async () => {
  for (const hostname of ["127.0.0.1", "::1", "2130706433", "127.1", "0x7f.1", "10.0.0.1.", "fe80::1%eth0"]) {
    const error = await assertRejects(
      () => connect({ hostname, port: 1, ...common }),
      TypeError,
      "options.target",
    );
    assert(error.message.includes('"host/server.example.test"'), error.message);
  }
});

test("connect() to an IP address with only a computer names no server for providers of the context layer", async () => {
  const options = { hostname: "10.0.0.1", computer: "host/server.test", port: 1, ...common };
  await assertRejects(() => connect(options), TypeError, "an IP address, which does not name the server");
  await assertRejects(() => connect({ ...options, computer: "" }), TypeError, "options.computer");
});

test("listen() refuses invalid options before it opens anything", async () => {
  const call = (options: Record<string, unknown>) =>
    listen({ hostname: "127.0.0.1", port: 0, ...common, ...options } as unknown as ListenOptions);
  await assertRefused(call, [
    ...COMMON,
    ...SERVER,
    [{ hostname: 5 }, "TypeError", "options.hostname must be a string"],
    [{ hostname: HALF }, "TypeError", "options.hostname contains a lone surrogate"],
    [{ port: -1 }, "RangeError", "options.port must be a whole number from 0 to 65535"],
    [{ port: "80" }, "TypeError", "options.port must be a number"],
    [{ maxHandshakes: 0 }, "RangeError", "options.maxHandshakes must be a whole number from 1"],
    [{ maxHandshakes: Infinity }, "RangeError", "options.maxHandshakes must be"],
    [{ onHandshakeError: "log" }, "TypeError", "options.onHandshakeError must be a function"],
  ]);
});

test("a password is never in an error about its credentials", async () => {
  const secret = "hunter2!";
  const wrongs = [
    { username: 5, password: secret },
    { username: "a", password: secret, extra: 1 },
    { password: secret },
    { username: "", password: secret },
    { keytab: secret, username: "a" },
    secret,
  ];
  for (const credentials of wrongs) {
    const options = { hostname: "localhost", port: 1, ...common, credentials } as unknown as ConnectOptions;
    const error = await assertRejects(() => connect(options), TypeError);
    assert(!error.message.includes(secret), error.message);
  }
});

test("acceptedTargets compare without regard to case, and with a realm only if one was accepted", () => {
  assert(acceptsTarget(["x/y", "host/X"], "HOST/x@REALM"));
  assert(acceptsTarget(["host/x@realm"], "host/x@REALM"));
  assert(!acceptsTarget(["host/x@REALM"], "host/x"));
  assert(!acceptsTarget(["host/x@REALM"], "host/x@OTHER"));
  assert(!acceptsTarget(["host/x"], "host/x/y"));
  assert(!acceptsTarget(["host/x"], "host/x:80"));
  assert(!acceptsTarget(["host/x"], "no name at all"));
});
