import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { test } from "@test";
import { Buffer } from "node:buffer";
import {
  AuthenticationError,
  type AuthenticationReason,
  ProtocolError,
  SecurityRequirementError,
} from "../../errors.ts";
import type { ContextAttributes, Requirements } from "../../contract.ts";
import { createRegistry } from "../../plugins/registry.ts";
import { secure } from "../../sockets/secure.ts";
import { MemoryTransport } from "../support/memory_transport.ts";
import { spellRecords } from "../support/raw_peer.ts";
import { type Attempt, attempt, type PairOptions, secured } from "../support/secured.ts";
import { toyProvider, toySystem } from "../support/toy_provider.ts";

/** After a handshake that failed: everything closed once, nothing left, nothing sent but handshake records. */
async function assertClean(started: Attempt): Promise<void> {
  await Promise.allSettled([started.client, started.server]);
  for (const transport of [started.a, started.b]) assertEquals(transport.closes, 1);
  for (const { ledger } of [started.clientProvider, started.serverProvider]) {
    assertEquals(ledger.live, 0);
    assert(ledger.contextCloses.every((closes) => closes === 1), String(ledger.contextCloses));
  }
}

const EXCHANGES: Record<number, { client: string[]; server: string[] }> = {
  1: { client: ["done"], server: ["done:empty"] },
  2: { client: ["in-progress"], server: ["done"] },
  3: { client: ["in-progress", "done"], server: ["in-progress", "done:empty"] },
  4: { client: ["in-progress", "in-progress"], server: ["in-progress", "done"] },
  5: { client: ["in-progress", "in-progress", "done"], server: ["in-progress", "in-progress", "done:empty"] },
};

for (const [tokens, expected] of Object.entries(EXCHANGES)) {
  test(`an exchange of ${tokens} tokens has the records of .NET, and the server always sends done`, async () => {
    const { a, b, client, close } = await secured({ faults: { tokens: Number(tokens) } });
    assertEquals(spellRecords(a.sent), expected.client);
    assertEquals(spellRecords(b.sent), expected.server);
    assertEquals(client.security.peer, "server@TOY");
    await close();
  });
}

test("a handshake works over transports that move one byte at a time", async () => {
  const { client, server, close } = await secured({ memory: { readLimit: 1, writeLimit: 1 } });
  assertEquals([client.security.peer, server.security.peer], ["server@TOY", "client@TOY"]);
  await close();
});

test("an exchange in which each end takes sixteen steps is the longest that is taken to its end", async () => {
  const { close } = await secured({ faults: { tokens: 31 } });
  await close();
  const longer = attempt({ faults: { tokens: 32 } });
  const error = await assertRejects(() => longer.client, ProtocolError, "not complete after 16 tokens");
  assertEquals(error.reason, "unexpected-message");
  // The server was done with the token that was too many.
  await (await longer.server).close();
  await assertClean(longer);
});

test("an endless exchange ends after a bounded number of tokens", async () => {
  const started = attempt({ faults: { tokens: 1000 } });
  const errors = await Promise.all(
    [started.client, started.server].map((end) => end.catch((error) => error)),
  );
  assert(errors.some((error) => error instanceof ProtocolError && error.reason === "unexpected-message"));
  assert(started.a.sent.length + started.b.sent.length < 32 * 300);
  await assertClean(started);
});

const WEAK: Requirements = { integrity: false, confidentiality: false, mutualAuthentication: false };
const SHORTFALLS: [string, Partial<ContextAttributes>][] = [
  ["mutualAuthentication", { mutualAuthentication: false }],
  ["mutualAuthentication", { mechanism: "ntlm" }],
  ["integrity", { integrity: false }],
  ["sequenceDetection", { replayDetection: false }],
  ["sequenceDetection", { sequenceDetection: false }],
  ["confidentiality", { confidentiality: false }],
];

for (const [required, attributes] of SHORTFALLS) {
  const what = JSON.stringify(attributes);
  test(`a server whose context has ${what} refuses before it sends done, and the client receives the code`, async () => {
    const started = attempt({ serverFaults: { attributes } });
    const error = await assertRejects(() => started.server, SecurityRequirementError);
    assertEquals(error.required, required);
    assertEquals(spellRecords(started.b.sent), ["error:8"]);
    const refused = await assertRejects(() => started.client, AuthenticationError, "1790");
    assertEquals(refused.reason, "peer-refused");
    await assertClean(started);
  });

  test(`a client whose context has ${what} refuses before any data, and reports it`, async () => {
    const started = attempt({ clientFaults: { attributes } });
    const error = await assertRejects(() => started.client, SecurityRequirementError);
    assertEquals(error.required, required);
    assertEquals(spellRecords(started.a.sent), ["in-progress", "error:8"]);
    // The server was done: what arrives is a truncated record to it.
    const server = await started.server;
    const cut = await assertRejects(() => server.read(new Uint8Array(9)), ProtocolError);
    assertEquals(cut.reason, "truncated");
    await assertClean(started);
  });
}

const GIVEN_UP: [AuthenticationReason, code: string][] = [
  ["unknown-target", "0x80090303 (SEC_E_TARGET_UNKNOWN: it could not find the target name)"],
  ["clock-skew", "0x80090324 (SEC_E_TIME_SKEW"],
  ["authority-unreachable", "0x8009030c (SEC_E_LOGON_DENIED: it could not continue)"],
];

for (const [reason, code] of GIVEN_UP) {
  test(`a client that fails with ${reason} sends the server its code, and a server does not`, async () => {
    const failure = new AuthenticationError(reason, "It cannot go on");
    const onStep = () => {
      throw failure;
    };
    const asClient = attempt({ clientFaults: { onStep } });
    assertEquals(await asClient.client.catch((error) => error), failure);
    await assertRejects(() => asClient.server, AuthenticationError, code);
    await assertClean(asClient);
    const asServer = attempt({ serverFaults: { onStep } });
    const told = await assertRejects(() => asServer.client, AuthenticationError, "SEC_E_LOGON_DENIED");
    assertStringIncludes(told.message, "The server's log has the reason");
    await assertClean(asServer);
  });
}

/** The code that a client is sent for each failure of its server, and with which a client gives up. */
const CODES: readonly (readonly [failure: unknown, toClient: string, toServer: string])[] = [
  [
    new AuthenticationError("channel-bindings", "They differ"),
    "0x80090346 (SEC_E_BAD_BINDINGS",
    "0x80090346 (",
  ],
  [new AuthenticationError("bad-token", "No token"), "0x80090308 (SEC_E_INVALID_TOKEN", "0x80090308 ("],
  [new ProtocolError("malformed", "No token"), "0x80090308 (SEC_E_INVALID_TOKEN", "0x80090308 ("],
  [
    new AuthenticationError("mechanism", "A policy denies it"),
    "0x80090302 (SEC_E_UNSUPPORTED_FUNCTION",
    "0x80090302 (",
  ],
  [new AuthenticationError("target-not-accepted", "Another target"), "with 1790 (", "with 1790 ("],
  [new SecurityRequirementError("integrity", "none", "None"), "with 1790 (", "with 1790 ("],
  [new AuthenticationError("bad-credentials", "Wrong"), "0x8009030c (SEC_E_LOGON_DENIED", "0x8009030c ("],
  [new Error("something else"), "0x80090304 (SEC_E_INTERNAL_ERROR", "0x80090304 ("],
  [null, "0x80090304 (SEC_E_INTERNAL_ERROR", "0x80090304 ("],
];

for (const [failure, toClient, toServer] of CODES) {
  const { reason, name = "null" } = (failure ?? {}) as { reason?: string; name?: string };
  test(`a handshake that fails with ${reason ?? name} sends the peer ${toClient.split(" (")[0]}`, async () => {
    const onStep = () => {
      throw failure;
    };
    const asServer = attempt({ serverFaults: { onStep } });
    assertEquals(await asServer.server.catch((error) => error), failure);
    const refused = await assertRejects(() => asServer.client, AuthenticationError, toClient);
    assertEquals(refused.reason, "peer-refused");
    await assertClean(asServer);
    const asClient = attempt({ clientFaults: { onStep } });
    assertEquals(await asClient.client.catch((error) => error), failure);
    await assertRejects(() => asClient.server, AuthenticationError, toServer);
    await assertClean(asClient);
  });
}

for (const sent of [0, 1, 4]) {
  test(`a peer that ends the stream after ${sent} bytes of a handshake is sent nothing`, async () => {
    const [a, b] = MemoryTransport.pair();
    const server = secure(b, {
      role: "server",
      system: toySystem(),
      registry: createRegistry([toyProvider()]),
    });
    a.inject(new Uint8Array([0x16, 1, 0, 0, 9]).subarray(0, sent));
    await a.closeWrite();
    const error = await assertRejects(() => server, AuthenticationError);
    assertEquals([error.reason, b.writes, b.sent], ["peer-closed", 0, []]);
  });
}

/**
 * Both ends with a provider that lists the mechanism it negotiates, one of them with a registry whose policy denies
 * it.
 */
function denying(role: "client" | "server", mechanism: string, deny: readonly string[]): Attempt {
  const toy = toyProvider({ attributes: { mechanism } });
  const description = { ...toy.description, mechanisms: ["kerberos", "ntlm", "toy"] };
  const registry = createRegistry([{ ...toy, description }], { version: 1, deny });
  return attempt({ [role]: { registry } });
}

for (
  const [mechanism, deny, why] of [
    ["kerberos", ["kerberos"], "a policy denies kerberos"],
    ["krb5", ["kerberos"], "a policy denies kerberos"],
    ["ntlm", ["ntlm"], "a policy denies ntlm"],
    ["unknown", ["ntlm"], "toy does not list it among the mechanisms it negotiates"],
    ["oid-2b060105", ["kerberos"], "toy does not list it among the mechanisms it negotiates"],
  ] as const
) {
  test(
    `a server whose context has the mechanism ${mechanism} where ${deny} is denied refuses before it ` +
      "sends done",
    async () => {
      const started = denying("server", mechanism, deny);
      const error = await assertRejects(() => started.server, AuthenticationError, why);
      assertEquals(error.reason, "mechanism");
      assertEquals(spellRecords(started.b.sent).map((record) => record.split(":")[0]), ["error"]);
      await assertRejects(() => started.client, AuthenticationError);
      for (const transport of [started.a, started.b]) assertEquals(transport.closes, 1);
    },
  );

  test(`a client whose context has the mechanism ${mechanism} where ${deny} is denied refuses before any data`, async () => {
    const started = denying("client", mechanism, deny);
    const error = await assertRejects(() => started.client, AuthenticationError, why);
    assertEquals(error.reason, "mechanism");
    assertEquals(spellRecords(started.a.sent).map((record) => record.split(":")[0]), [
      "in-progress",
      "error",
    ]);
    (await started.server).close();
  });
}

test("querySecurity() does not report a denied mechanism, whatever the context reports later", async () => {
  const attributes = { mechanism: "kerberos" };
  const toy = toyProvider({ attributes });
  const registry = createRegistry([toy], { version: 1, deny: ["ntlm"] });
  const started = attempt({ client: { registry } });
  const [client, server] = await Promise.all([started.client, started.server]);
  assertEquals((await client.querySecurity()).mechanism, "kerberos");
  attributes.mechanism = "ntlm-2";
  await assertRejects(() => client.querySecurity(), AuthenticationError, "a policy denies ntlm");
  await Promise.allSettled([client.close(), server.close()]);
});

test("a denied mechanism does not affect other mechanisms", async () => {
  for (const [mechanism, deny] of [["kerberos", ["ntlm", "ipsec"]], ["unknown", []]] as const) {
    const started = denying("server", mechanism, deny);
    const [client, server] = await Promise.all([started.client, started.server]);
    assertEquals(server.security.mechanism, mechanism);
    await Promise.all([client.close(), server.close()]);
  }
});

test("a client without encryption is refused by a server that requires it, which sends 1790", async () => {
  const started = attempt({ client: { requirements: { confidentiality: false } } });
  assertEquals(
    (await assertRejects(() => started.server, SecurityRequirementError)).required,
    "confidentiality",
  );
  await assertRejects(() => started.client, AuthenticationError, "1790");
  await assertClean(started);
});

test("a client that requires anonymity stops where the server would learn its identity", async () => {
  const started = attempt({
    client: { requirements: { impersonation: "anonymous" } },
    clientFaults: { attributes: { impersonation: "identify" } },
  });
  assertEquals(
    (await assertRejects(() => started.client, SecurityRequirementError)).required,
    "impersonation",
  );
  (await started.server).close();
  await assertClean(started);
});

test("a server that requires a higher impersonation level than the client allows refuses", async () => {
  const started = attempt({
    server: { requirements: { impersonation: "impersonate" } },
    serverFaults: { attributes: { impersonation: "identify" } },
  });
  assertEquals(
    (await assertRejects(() => started.server, SecurityRequirementError)).required,
    "impersonation",
  );
  await assertClean(started);
});

const BINDINGS: [string, Uint8Array | undefined, Uint8Array | undefined][] = [
  ["differ", Uint8Array.of(1), Uint8Array.of(2)],
  ["are missing on the client", undefined, Uint8Array.of(2)],
  ["are missing on the server", Uint8Array.of(1), undefined],
];
for (const [how, client, server] of BINDINGS) {
  test(`channel bindings that ${how} end the handshake on the side that gave them`, async () => {
    const started = attempt({
      client: client ? { channelBindings: client } : {},
      server: server ? { channelBindings: server } : {},
    });
    const end = server ? started.server : started.client;
    assertEquals((await assertRejects(() => end, SecurityRequirementError)).required, "channelBindings");
    await started.server.then((conn) => conn.close(), () => {});
    await assertClean(started);
  });
}

for (const kind of [Uint8Array, Buffer]) {
  test(`channel bindings that match are verified, and a later change of the caller's ${kind.name} has no effect`, async () => {
    const bindings = kind.from([1, 2, 3]);
    const started = attempt({
      client: { channelBindings: bindings },
      server: { channelBindings: Uint8Array.of(1, 2, 3) },
    });
    bindings.fill(0);
    const [client, server] = await Promise.all([started.client, started.server]);
    assertEquals(client.security.channelBindings, "sent");
    await Promise.all([client.close(), server.close()]);
  });
}

const TARGETS: [string, PairOptions, boolean][] = [
  ["the name itself", { server: { acceptedTargets: ["host/server.test"] } }, true],
  ["the name in capitals", { server: { acceptedTargets: ["x/y", "HOST/Server.Test"] } }, true],
  ["the name in any realm", {
    client: { target: "host/server.test@TOY" },
    server: { acceptedTargets: ["host/server.test"] },
  }, true],
  ["another class", { server: { acceptedTargets: ["http/server.test"] } }, false],
  ["a name with the asked one as its start", { server: { acceptedTargets: ["host/server.test:80"] } }, false],
  ["the name in another realm", { server: { acceptedTargets: ["host/server.test@OTHER"] } }, false],
];
for (const [what, options, accepted] of TARGETS) {
  test(
    `acceptedTargets: a server that accepts ${what} ${accepted ? "serves" : "refuses"} a client of ` +
      "host/server.test",
    async () => {
      const started = attempt(options);
      if (accepted) {
        const [client, server] = await Promise.all([started.client, started.server]);
        await Promise.all([client.close(), server.close()]);
      } else {
        const error = await assertRejects(() => started.server, AuthenticationError, "host/server.test");
        assertEquals(error.reason, "target-not-accepted");
        assertEquals(spellRecords(started.b.sent), ["error:8"]);
        await assertRejects(() => started.client, AuthenticationError, "1790");
      }
      await assertClean(started);
    },
  );
}

test("acceptedTargets: a server refuses if the mechanism does not report the name", async () => {
  const started = attempt({
    server: { acceptedTargets: ["host/server.test"] },
    serverFaults: { tellsTarget: false },
  });
  const error = await assertRejects(() => started.server, AuthenticationError, "does not report which name");
  assertEquals(error.reason, "target-not-accepted");
  await assertClean(started);
});

test("different keys end the handshake with the reason on the side that noticed and a code on the other", async () => {
  const started = attempt({ clientFaults: { key: "one" }, serverFaults: { key: "two" } });
  assertEquals((await assertRejects(() => started.server, AuthenticationError)).reason, "bad-token");
  const refused = await assertRejects(() => started.client, AuthenticationError, "0x80090308");
  assertEquals(refused.reason, "peer-refused");
  await assertClean(started);
});

for (const role of ["client", "server"] as const) {
  for (const leg of [0, 1]) {
    test(`a provider that fails at the ${role}'s step ${leg} ends both sides, and nothing is left open`, async () => {
      const failure = new Error("made to fail");
      const onStep = (at: string, index: number) => {
        if (at === role && index === leg) throw failure;
      };
      const started = attempt({ faults: { tokens: 4, onStep } });
      const [own, other] = role === "client"
        ? [started.client, started.server]
        : [started.server, started.client];
      assertEquals(await own.catch((error) => error), failure);
      const told = await assertRejects(() => other, AuthenticationError, "0x80090304");
      assertStringIncludes(told.message, "SEC_E_INTERNAL_ERROR");
      await assertClean(started);
    });
  }
}

test("a provider's token that does not fit in a record, or is missing, is a ProtocolError", async () => {
  const broken: [string, Uint8Array | null][] = [["oversized", new Uint8Array(0x10000)], ["empty", null], [
    "empty",
    new Uint8Array(),
  ]];
  for (const [reason, token] of broken) {
    const started = attempt({ clientFaults: { changeStep: () => ({ token, done: false }) } });
    assertEquals((await assertRejects(() => started.client, ProtocolError)).reason, reason);
    await assertRejects(() => started.server, AuthenticationError);
    await assertClean(started);
  }
});

test("bytes pass unchanged if nothing protects records and that was allowed, as in .NET", async () => {
  const { client, server, a, close } = await secured({
    requirements: WEAK,
    faults: { attributes: { integrity: false, confidentiality: false } },
  });
  const before = a.sent.length;
  await client.write(Uint8Array.of(1, 2, 3));
  const p = new Uint8Array(9);
  assertEquals(await server.read(p), 3);
  assertEquals(a.sent.slice(before), [1, 2, 3]);
  assertEquals([server.security.integrity, server.security.confidentiality], [false, false]);
  await close();
});

test("an unavailable provider closes the transport, and no byte is sent", async () => {
  const [a] = MemoryTransport.pair();
  const registry = createRegistry([toyProvider({ offers: { mutualAuthentication: false } })]);
  await assertRejects(() => secure(a, { role: "client", target: "host/x", registry, system: toySystem() }));
  assertEquals([a.closes, a.sent.length], [1, 0]);
});
