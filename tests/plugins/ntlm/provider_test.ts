import { assert, assertEquals, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import { test } from "@test";
import fc from "fast-check";
import { readUser, type User } from "../../../credentials.ts";
import { AuthenticationError, SecurityRequirementError } from "../../../errors.ts";
import { GUEST_SHA256, guestModule } from "../../../plugins/ntlm/guest_wasm.ts";
import { ntHash, ntlm, type NtlmAccount } from "../../../plugins/ntlm/mod.ts";
import { resolveRequirements } from "../../../plugins/requirements.ts";
import { loadBuiltIn } from "../../../plugins/sandbox/load_provider.ts";
import { names } from "../../support/names.ts";
import { accounts, client, pair, PASSWORD, server, shake, TARGET, wrap } from "./pair.ts";
import { bytes } from "./vectors.ts";

const bindings = new TextEncoder().encode("tls-server-end-point:0123456789abcdef");

for (const spnego of [false, true]) {
  const how = spnego ? "inside SPNEGO" : "as it is";

  test(`two ends authenticate and protect records both ways, NTLM ${how}`, async () => {
    using both = await pair({ client: { ntlm: { spnego } }, server: { ntlm: { spnego } } });
    const { client, server } = both;
    assertEquals([client.done, server.done], [true, true]);
    assertEquals(server.peerName, "EXAMPLE\\alice");
    assertEquals(server.requestedTarget, TARGET);
    assertEquals(client.peerName, TARGET);
    assertEquals(client.requestedTarget, undefined);
    assertEquals(client.sessionKey(), server.sessionKey());
    assertEquals(client.attributes.confidentiality, true);
    assertEquals(client.maxOverhead, 16);
    for (const size of [0, 1, 63, 64, 65, 4096, 65_536]) {
      const plain = crypto.getRandomValues(new Uint8Array(size));
      assertEquals(server.unwrap(wrap(client, plain)), plain);
      assertEquals(client.unwrap(wrap(server, plain)), plain);
      server.verify(plain, client.sign(plain));
      client.verify(plain, server.sign(plain));
    }
  });

  test(`channel bindings that match are verified by the server, NTLM ${how}`, async () => {
    const end = { ntlm: { spnego }, channelBindings: bindings };
    using both = await pair({ client: end, server: end });
    assertEquals(both.server.attributes.channelBound, true);
    assertEquals(both.client.attributes.channelBound, true);
  });

  test(`a wrong password and an unknown account are refused alike, NTLM ${how}`, async () => {
    const failures: AuthenticationError[] = [];
    const claims = [{ password: "other" }, { username: "mallory" }, { domain: "ELSEWHERE" }];
    for (const claim of claims) {
      using a = await client({ ntlm: { spnego }, ...claim }), b = await server({ ntlm: { spnego } });
      failures.push(await assertRejects(() => shake(a, b), AuthenticationError));
    }
    const told = failures.map((error) => ({ ...error, message: error.message, reason: error.reason }));
    assertEquals(told[0].reason, "bad-credentials");
    assertEquals(told[1], told[0]);
    assertEquals(told[2], told[0]);
  });

  test(`a server without the client's channel bindings, or with others, refuses, NTLM ${how}`, async () => {
    const other = new TextEncoder().encode("tls-server-end-point:another");
    for (const given of [undefined, other]) {
      using a = await client({ ntlm: { spnego }, ...(given ? { channelBindings: given } : {}) });
      using b = await server({ ntlm: { spnego }, channelBindings: bindings });
      const error = await assertRejects(() => shake(a, b), AuthenticationError);
      assertEquals(error.reason, "channel-bindings");
    }
  });
}

/** Whom a server is asked for where a client has these credentials. */
async function claimed(given: { username: string; domain?: string }): Promise<NtlmAccount> {
  const asked: NtlmAccount[] = [];
  const options = {
    system: { capabilities: () => ({}) as never },
    requirements: resolveRequirements({ mutualAuthentication: false }),
  };
  const knowing = ntlm({ accounts: (account) => (asked.push(account), ntHash(PASSWORD)) });
  using of = await knowing.acquire({
    role: "client",
    ...options,
    credentials: { ...given, password: PASSWORD },
  });
  using by = await knowing.acquire({ role: "server", ...options });
  using a = of.client({ target: TARGET });
  using b = by.server({});
  await shake(a, b);
  assertEquals(asked.length, 1);
  return asked[0];
}

test("DOMAIN\\user is that domain's user, and a UPN stays whole, with or without a domain", async () => {
  const cases: [username: string, domain: string | undefined, account: NtlmAccount][] = [
    ["EXAMPLE\\alice", undefined, { domain: "EXAMPLE", username: "alice" }],
    ["example\\alice", "EXAMPLE", { domain: "EXAMPLE", username: "alice" }],
    ["alice", undefined, { domain: "", username: "alice" }],
    ["alice@corp.example", undefined, { domain: "", username: "alice@corp.example" }],
    ["alice@corp.example", "EXAMPLE", { domain: "EXAMPLE", username: "alice@corp.example" }],
  ];
  for (const [username, domain, account] of cases) {
    assertEquals(await claimed({ username, ...(domain === undefined ? {} : { domain }) }), account);
  }
  for (
    const credentials of [{ username: "A\\b", domain: "C" }, { username: "A\\b\\c" }, { username: "@x" }]
  ) {
    await assertRejects(() => claimed(credentials), TypeError, "credentials.username");
  }
});

test("any user's name reaches the server unchanged, or is refused by name", async () => {
  let taken = 0;
  await fc.assert(
    fc.asyncProperty(names, fc.option(names, { nil: undefined }), async (username, domain) => {
      const given = { username, ...(domain === undefined ? {} : { domain }) };
      let user: User | null = null;
      try {
        user = readUser(given, "credentials");
      } catch {
        // Refused below.
      }
      if (user === null) return void await assertRejects(() => claimed(given), TypeError, "credentials.");
      const account = await claimed(given).catch((error) => {
        // A server takes no characters that nobody sees.
        if (!/not one that can be shown/.test(error.message)) throw error;
        return null;
      });
      if (account === null) return;
      taken++;
      assertEquals(account, { domain: user.domain ?? "", username: user.username });
    }),
    { numRuns: 150 },
  );
  assert(taken > 10, String(taken));
});

test("NTLM authenticates the client only: it is never mutual, which is reported before anything else", async () => {
  const { offers } = ntlm().description;
  assertEquals([offers.mutualAuthentication, offers.delegation, offers.impersonation], [
    false,
    false,
    "identify",
  ]);
  using both = await pair();
  assertEquals([both.client.attributes.mutualAuthentication, both.server.attributes.mutualAuthentication], [
    false,
    false,
  ]);
  for (const make of [client, server]) {
    const error = await assertRejects(() => make({ requirements: {} }), SecurityRequirementError);
    assertEquals(error.required, "mutualAuthentication");
  }
});

test("description is the module's description of itself", async () => {
  const loaded = await loadBuiltIn(guestModule(), {
    sha256: GUEST_SHA256,
    name: "ntlm",
    imports: { random: true, clock: true },
  });
  const { imports: own, ...rest } = ntlm().description, { imports: its, ...loadedRest } = loaded.description;
  assertEquals(rest, loadedRest);
  assertEquals([...own!].sort(), [...its!].sort());
});

test("accounts() gets the account as the client wrote it, once, and its result stays the application's", async () => {
  const asked: unknown[] = [], hash = ntHash("secret"), before = hash.slice();
  const find = (account: unknown) => {
    asked.push(account);
    return Promise.resolve(hash);
  };
  using both = await pair({
    client: { username: "Zoë@example.test", domain: "", password: "secret" },
    server: { ntlm: { accounts: find } },
  });
  assertEquals(asked, [{ domain: "", username: "Zoë@example.test" }]);
  assertEquals(both.server.peerName, "Zoë@example.test");
  assertEquals(hash, before);
});

test("a password given as UTF-8 is the same password", async () => {
  using both = await pair({ client: { password: new TextEncoder().encode(PASSWORD) } });
  assert(both.server.done);
  await assertRejects(() => client({ password: Uint8Array.of(0xff) }), TypeError, "not UTF-8");
});

test("accounts(): what it throws reaches the application, and anything but a hash is refused", async () => {
  const find = async (accounts: () => unknown) => {
    using a = await client(), b = await server({ ntlm: { accounts: accounts as () => null } });
    await shake(a, b);
  };
  const away = () => Promise.reject(new RangeError("the store is away"));
  await assertRejects(() => find(away), RangeError, "the store is away");
  for (const wrong of [undefined, "a4f49c40", new Uint8Array(15), [1]]) {
    await assertRejects(() => find(() => wrong), TypeError, "16 bytes of an NT hash");
  }
});

test("ntlm() on a server needs accounts", async () => {
  await assertRejects(
    () => server({ ntlm: { accounts: undefined } }),
    TypeError,
    "ntlm() needs accounts on a server",
  );
});

test("a client is never anonymous, and names with invisible characters are refused", async () => {
  await assertRejects(() => client({ username: "" }), TypeError, "username");
  await assertRejects(() => client({ username: "x".repeat(171) }), TypeError, "longer than 170");
  await assertRejects(() => client({ target: `host/${"x".repeat(336)}` }), TypeError, "a target than 340");
  const target = `host/${"x".repeat(253)}`;
  using both = await pair({ client: { target } });
  assertEquals(both.server.requestedTarget, target);
});

test("ntlm() refuses options that are unknown or of the wrong type", () => {
  const refused: [unknown, ErrorConstructor | RangeErrorConstructor, string][] = [
    [{ password: "x" }, TypeError, "no option password"],
    [{ spnego: "yes" }, TypeError, "spnego must be true or false"],
    [{ accounts: {} }, TypeError, "accounts must be a function"],
    [{ workstation: "" }, TypeError, "workstation must be a name"],
    [{ computerName: "x".repeat(16) }, RangeError, "15 characters"],
    [{ limits: { fuel: 0 } }, RangeError, "limits.fuel"],
    [null, TypeError, "must be an object"],
  ];
  for (const [options, type, part] of refused) assertThrows(() => ntlm(options as never), type, part);
});

test("records are only signed if the client asks for no more, and a server that must encrypt refuses that", async () => {
  const requirements = { mutualAuthentication: false, confidentiality: false };
  using both = await pair({ client: { requirements }, server: { requirements } });
  assertEquals([both.client.attributes.confidentiality, both.server.attributes.confidentiality], [
    false,
    false,
  ]);
  const plain = new TextEncoder().encode("in the clear, and signed"), record = wrap(both.client, plain);
  assertEquals(record.slice(16), plain);
  assertEquals(both.server.unwrap(record), plain);

  using a = await client({ requirements }), b = await server();
  const error = await assertRejects(() => shake(a, b), SecurityRequirementError);
  assertEquals(error.required, "confidentiality");
});

test("a client that seals is served by a server that only requires signing, and both seal", async () => {
  using both = await pair({
    server: { requirements: { mutualAuthentication: false, confidentiality: false } },
  });
  assertEquals([both.client.attributes.confidentiality, both.server.attributes.confidentiality], [
    true,
    true,
  ]);
});

test("an end inside SPNEGO does not understand one without, but a server accepts bare NTLM as Windows sends it", async () => {
  using a = await client({ ntlm: { spnego: true } }), b = await server();
  assertEquals((await assertRejects(() => shake(a, b), AuthenticationError)).reason, "bad-token");
  using both = await pair({ client: {}, server: { ntlm: { spnego: true } } });
  assertEquals(both.server.peerName, "EXAMPLE\\alice");
});

test("a SPNEGO client learns from the server's last token that it was refused", async () => {
  using a = await client({ ntlm: { spnego: true }, password: "other" });
  using b = await server({ ntlm: { spnego: true } });
  const first = await b.step((await a.step(null)).token);
  const answer = await a.step(first.token);
  const refusal = await assertRejects(() => b.step(answer.token), AuthenticationError);
  const error = await assertRejects(
    () => a.step((refusal as AuthenticationError & { token: Uint8Array }).token),
    AuthenticationError,
  );
  assertEquals(error.reason, "peer-refused");
});

test("ntHash() returns the published hash of [MS-NLMP] 4.2, and refuses values that are not passwords", () => {
  assertEquals(ntHash("Password"), bytes("a4f49c406510bdcab6824ee7c30fd852"));
  assertEquals(ntHash(""), bytes("31d6cfe0d16ae931b73c59d7e0c089c0"));
  assertThrows(() => ntHash(undefined as never), TypeError, "must be a string");
  assertThrows(() => ntHash("\ud800"), TypeError, "surrogate");
});

test("no error message contains the password or the hash", async () => {
  using a = await client({ password: "hunter2-other" }), b = await server();
  const error = await assertRejects(() => shake(a, b), AuthenticationError);
  const shown = `${error.message} ${error.stack} ${JSON.stringify(error)}`;
  for (const secret of ["hunter2", PASSWORD]) assertEquals(shown.includes(secret), false);
  assertStringIncludes(error.message, "ntlm: ");
  assertEquals(accounts({ domain: "example", username: "ALICE" })?.length, 16);
});
