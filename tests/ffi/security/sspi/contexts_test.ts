/** SSPI's credentials and contexts with a secur32.dll whose results the test sets. */

import { assert, assertEquals, assertMatch, assertRejects, assertThrows } from "@std/assert";
import { test } from "@test";
import {
  AuthenticationError,
  SecureSocketError,
  StateError,
  UnsupportedPlatformError,
} from "../../../../errors.ts";
import { ISC, SEC_I, SEC_WINNT_AUTH_IDENTITY_EXW, SECBUFFER } from "../../../../ffi/raw/secur32.ts";
import type { Requirements } from "../../../../contract.ts";
import type { CredentialsRequest } from "../../../../ffi/security/credentials_base.ts";
import { checkCredentials, type CheckedPassword } from "../../../../credentials.ts";
import { resolveRequirements } from "../../../../plugins/requirements.ts";
import { acquireSspiCredentials, type SspiCredentials } from "../../../../ffi/security/sspi/credentials.ts";
import { liveHandles } from "../../../../testing/mod.ts";
import { FakeSecur32 } from "../../../support/fake_secur32.ts";
import { shown, watchSecret } from "../../../support/secret_watch.ts";

const TARGET = "HTTP/web.example.test";
const NOTHING = { credentials: 0, contexts: 0, buffers: 0, system: 0 };
const FAILURE = 0x80090304;
const bytes = (text: string) => Uint8Array.from(text, (letter) => letter.charCodeAt(0));

/** A user's name and password, checked as a provider checks them. */
function identityOf(
  given: { username: string; domain?: string; password: string | Uint8Array },
): CheckedPassword {
  return checkCredentials(given, "credentials") as CheckedPassword;
}

/** Two steps of the client, one of the server. */
function kerberos(): FakeSecur32 {
  const fake = new FakeSecur32();
  fake.step = (role, token) => {
    if (role === "server") return { status: 0, token: bytes("answer") };
    return token === null ? { status: SEC_I.CONTINUE_NEEDED, token: bytes("ticket") } : { status: 0 };
  };
  return fake;
}

function acquire(fake: FakeSecur32, excludeNtlm = true): Promise<SspiCredentials> {
  return acquireSspiCredentials(fake.sspi, {
    package: "negotiate",
    role: "client",
    excludeNtlm,
    requirements: resolveRequirements(),
  }, null);
}

/** A whole exchange, which always closes what it opened. */
async function exchange(fake: FakeSecur32): Promise<void> {
  using credentials = await acquire(fake);
  using client = credentials.client({ target: TARGET });
  using server = credentials.server({});
  const first = await client.step(null);
  const answer = await server.step(first.token);
  await client.step(answer.token);
  assertEquals([client.attributes.mechanism, server.attributes.mutualAuthentication], ["kerberos", true]);
  assert(client.maxOverhead >= 128);
}

test("close() releases credentials with the last context made from them, each handle once", async () => {
  const fake = kerberos();
  const credentials = await acquire(fake);
  const one = credentials.client({ target: TARGET });
  const two = credentials.server({});
  await one.step(null);
  credentials.close();
  credentials.close();
  assertThrows(() => credentials.server({}), StateError, "closed");
  await two.step(bytes("ticket"));
  two.close();
  assertEquals(fake.held, { credentials: 1, contexts: 1, buffers: 0, system: 1 });
  one.close();
  one.close();
  assertEquals([fake.held, liveHandles()], [NOTHING, {}]);
});

test("client() with wrong options does not change the credentials", async () => {
  const fake = kerberos();
  const credentials = await acquire(fake);
  assertThrows(() => credentials.client({ target: "" }), TypeError, "target");
  const channelBindings = new Uint8Array();
  assertThrows(() => credentials.server({ channelBindings }), TypeError, "channelBindings");
  credentials.close();
  assertEquals([fake.held, liveHandles()], [NOTHING, {}]);
});

test("each failing native call of an exchange is a typed error, or not needed, and leaves nothing open", async () => {
  const whole = kerberos();
  await exchange(whole);
  assert(whole.calls.length >= 8, whole.calls.join());
  for (const [index, name] of whole.calls.entries()) {
    const fake = kerberos();
    fake.failAt = { index, status: FAILURE };
    const error = await exchange(fake).then(() => null, (error) => error);
    // Without the package's name it does not count as Kerberos, and the attributes report that.
    const told = error instanceof SecureSocketError || error?.name === "AssertionError";
    assert(told || name === "QueryContextAttributesW", `${name}: ${error}`);
    assertEquals([fake.held, liveHandles()], [NOTHING, {}], `${name} (${index})`);
  }
});

test("step() runs every call on another thread, including the one with Kerberos' answer", async () => {
  const fake = kerberos();
  await exchange(fake);
  assertEquals(fake.threaded, [
    "AcquireCredentialsHandleW",
    "InitializeSecurityContextW",
    "AcceptSecurityContext",
    "InitializeSecurityContextW",
  ]);
});

const FLAGS: readonly (readonly [requirements: Requirements, flags: number])[] = [
  [{ integrity: false, confidentiality: false, mutualAuthentication: false }, 0],
  [{ integrity: false, confidentiality: false }, ISC.MUTUAL_AUTH],
  [
    { confidentiality: false, mutualAuthentication: false },
    ISC.INTEGRITY | ISC.REPLAY_DETECT | ISC.SEQUENCE_DETECT,
  ],
  [
    { mutualAuthentication: false },
    ISC.INTEGRITY | ISC.REPLAY_DETECT | ISC.SEQUENCE_DETECT | ISC.CONFIDENTIALITY,
  ],
];

for (const [requirements, flags] of FLAGS) {
  test(`InitializeSecurityContextW is asked for ${JSON.stringify(requirements)} and nothing else`, async () => {
    const fake = kerberos();
    using credentials = await acquireSspiCredentials(fake.sspi, {
      package: "kerberos",
      role: "client",
      excludeNtlm: true,
      requirements: resolveRequirements(requirements),
    }, null);
    using client = credentials.client({ target: TARGET });
    await client.step(null);
    // How far the server may act is apart from what is protected.
    assertEquals(fake.asked[0].flags & ~(ISC.IDENTIFY | ISC.DELEGATE), flags | ISC.CONNECTION);
  });
}

test("each leg gives the peer's token and the channel bindings, and no buffer beside them", async () => {
  for (const channelBindings of [undefined, bytes("tls-server-end-point:x")]) {
    const fake = kerberos();
    using credentials = await acquire(fake);
    using client = credentials.client({ target: TARGET, channelBindings });
    await client.step(null);
    await client.step(bytes("answer")).catch(() => {});
    const bindings = channelBindings ? [SECBUFFER.CHANNEL_BINDINGS] : [];
    assertEquals(fake.asked.map(({ given }) => given), [bindings, [SECBUFFER.TOKEN, ...bindings]]);
  }
});

/** The identity with which the credentials of a request are acquired. */
async function acquiredAs(request: Omit<CredentialsRequest, "role">) {
  const fake = kerberos();
  const credentials = await acquireSspiCredentials(fake.sspi, { role: "client", ...request }, null);
  credentials.close();
  return fake.acquiredAs[0];
}

test("impersonate() on a system without the grant says how to open it, and calls nothing", async () => {
  const fake = kerberos();
  using credentials = await acquire(fake);
  using server = credentials.server({});
  await server.step(bytes("ticket"));
  const never = () => assert(false, "the function is called");
  const error = assertThrows(() => server.impersonate!(never), UnsupportedPlatformError, "impersonation");
  assertEquals(error.instead, 'Open it with openSystem({ grants: ["sspi", "impersonation"] })');
});

test("excludeNtlm is in the package list, for the current user and for a named one", async () => {
  const none = { User: null, Domain: null, Password: null, PackageList: "!ntlm" };
  const current = await acquiredAs({
    requirements: resolveRequirements(),
    package: "negotiate",
    excludeNtlm: true,
  });
  assertEquals(current!.texts, none);
  assertEquals([current!.UserLength, current!.PasswordLength], [0, 0]);
  const identity = identityOf({ username: "bob", domain: "EXAMPLE", password: "p\u00e4ss" });
  const named = await acquiredAs({
    requirements: resolveRequirements(),
    package: "negotiate",
    excludeNtlm: true,
    identity,
  });
  for (const { Version, Length, Flags } of [current!, named!]) {
    assertEquals([Version, Length, Flags], [0x200, SEC_WINNT_AUTH_IDENTITY_EXW.size, 2]);
  }
  assertEquals(named!.texts, { User: "bob", Domain: "EXAMPLE", Password: "p\u00e4ss", PackageList: "!ntlm" });
});

test("without excludeNtlm there is no package list, and without a user no identity structure", async () => {
  assertEquals(
    await acquiredAs({ requirements: resolveRequirements(), package: "negotiate", excludeNtlm: false }),
    null,
  );
  assertEquals(
    await acquiredAs({ requirements: resolveRequirements(), package: "kerberos", excludeNtlm: true }),
    null,
  );
  const identity = identityOf({ username: "bob", password: "" });
  const named = await acquiredAs({
    requirements: resolveRequirements(),
    package: "kerberos",
    excludeNtlm: true,
    identity,
  });
  // An empty password is still a password: its address is not 0, which would mean the user that runs the process.
  assertEquals(named!.texts, { User: "bob", Domain: null, Password: "", PackageList: null });
  assertEquals(named!.PackageListLength, 0);
});

test("DOMAIN\\user is passed as two texts and a UPN as one, as Windows takes them", async () => {
  const named = async (given: { username: string; domain?: string }) => {
    const identity = identityOf({ ...given, password: "x" });
    return (await acquiredAs({
      package: "kerberos",
      excludeNtlm: true,
      requirements: resolveRequirements(),
      identity,
    }))!.texts;
  };
  const texts = { Password: "x", PackageList: null };
  assertEquals(await named({ username: "EXAMPLE\\bob" }), { User: "bob", Domain: "EXAMPLE", ...texts });
  assertEquals(await named({ username: "bob@corp.example" }), {
    User: "bob@corp.example",
    Domain: null,
    ...texts,
  });
  assertEquals(await named({ username: "bob@corp.example", domain: "EXAMPLE" }), {
    User: "bob@corp.example",
    Domain: "EXAMPLE",
    ...texts,
  });
  assertThrows(
    () => identityOf({ username: "A\\b", domain: "C", password: "x" }),
    TypeError,
    "credentials.username",
  );
});

test("excludeKerberos is in the package list too, without a change for NTLM", async () => {
  const identity = identityOf({ username: "bob", password: "p" });
  const request = {
    package: "negotiate",
    excludeNtlm: false,
    excludeKerberos: true,
    requirements: resolveRequirements(),
  } as const;
  assertEquals((await acquiredAs(request))!.texts.PackageList, "!kerberos");
  const named = await acquiredAs({ ...request, identity });
  assertEquals([named!.texts.User, named!.texts.PackageList], ["bob", "!kerberos"]);
  assertEquals(named!.PackageListLength, 9);
});

/** The object identifiers of Kerberos in a token, RFC 4121's and Windows 2000's. */
const KERBEROS_TOKENS = [0x86, 0x82].map((arc) =>
  Uint8Array.of(0x60, 0x30, 0x06, 0x09, 0x2a, 0x86, 0x48, arc, 0xf7, 0x12, 0x01, 0x02, 0x02, 1, 0)
);

test("step() sends nothing where a package offers Kerberos against the package list", async () => {
  for (const token of KERBEROS_TOKENS) {
    const fake = kerberos();
    fake.step = () => ({ status: SEC_I.CONTINUE_NEEDED, token });
    const requirements = resolveRequirements();
    const request = { package: "negotiate", role: "client", excludeNtlm: false, requirements } as const;
    {
      using credentials = await acquireSspiCredentials(
        fake.sspi,
        { ...request, excludeKerberos: true },
        null,
      );
      using client = credentials.client({ target: TARGET });
      const error = await assertRejects(() => client.step(null), AuthenticationError, "a policy denies");
      assertEquals(error.reason, "mechanism");
      using server = credentials.server({});
      await assertRejects(() => server.step(bytes("?")), AuthenticationError, "nothing was sent");
      // Without the rule the same token is sent.
      using allowing = await acquireSspiCredentials(fake.sspi, request, null);
      using other = allowing.client({ target: TARGET });
      assertEquals((await other.step(null)).token, token);
    }
    assertEquals([fake.held, liveHandles()], [NOTHING, {}]);
  }
});

const HOUR_MS = 3_600_000;
/** A time by a clock that is so far ahead of UTC, as SSPI writes it. */
const timeStamp = (ms: number, aheadMs: number) => BigInt(ms + aheadMs) * 10_000n + 116_444_736_000_000_000n;

/** When both contexts of an exchange end. */
async function ends(fake: FakeSecur32): Promise<(number | undefined)[]> {
  using credentials = await acquire(fake);
  using client = credentials.client({ target: TARGET });
  using server = credentials.server({});
  const { token } = await server.step((await client.step(null)).token);
  await client.step(token);
  return [client.expiresAt?.getTime(), server.expiresAt?.getTime()];
}

test("expiresAt follows the system's clock, whatever the runtime's time zone", async () => {
  // The start of a second, because the system reports whole seconds only.
  const end = Math.floor(Date.now() / 1000) * 1000 + 10 * HOUR_MS;
  for (const hours of [-12, -9.5, -5, 0, 1, 5.75, 14]) {
    const fake = kerberos();
    fake.aheadMs = hours * HOUR_MS;
    fake.expiry = timeStamp(end, fake.aheadMs);
    assertEquals(await ends(fake), [end, end], `${hours} h ahead`);
  }
});

test("expiresAt uses the runtime's time zone where the system does not report its time, and is undefined without an end", async () => {
  const end = Math.floor(Date.now() / 1000) * 1000 + HOUR_MS;
  const { getTimezoneOffset } = Date.prototype;
  let fake = kerberos();
  try {
    for (const minutes of [0, 570, -345]) {
      fake = kerberos();
      fake.aheadMs = null;
      Date.prototype.getTimezoneOffset = () => minutes;
      fake.expiry = timeStamp(end, -minutes * 60_000);
      assertEquals(await ends(fake), [end, end]);
    }
  } finally {
    Date.prototype.getTimezoneOffset = getTimezoneOffset;
  }
  for (const never of [0n, 0x7fff_ffff_ffff_ffffn]) {
    fake.expiry = never;
    assertEquals(await ends(fake), [undefined, undefined]);
  }
});

test("step() refuses an excluded NTLM token with the reason, whatever status the package returns", async () => {
  for (const status of [0x80090308, 0x8009030c, FAILURE]) {
    const fake = kerberos();
    fake.step = () => ({ status });
    using credentials = await acquire(fake);
    const refused = await assertRejects(
      () => credentials.server({}).step(bytes("NTLMSSP\0\x01")),
      AuthenticationError,
    );
    assertEquals(refused.reason, "mechanism");
    assertMatch(refused.message, /excluded here on purpose.*Use Kerberos/);
    const other = await assertRejects(
      () => credentials.server({}).step(bytes("?")),
      AuthenticationError,
    );
    assert(other.reason !== "mechanism" && !/NTLM/.test(other.message), other.message);
    using allowing = await acquire(fake, false);
    const same = await assertRejects(
      () => allowing.server({}).step(bytes("NTLMSSP\0\x01")),
      AuthenticationError,
    );
    assert(!/on purpose/.test(same.message), same.message);
  }
  assertEquals(liveHandles(), {});
});

test("step() sends nothing where a package makes an NTLM token against the package list", async () => {
  const fake = kerberos();
  fake.step = () => ({ status: SEC_I.CONTINUE_NEEDED, token: bytes("NTLMSSP\0\x01") });
  {
    using credentials = await acquire(fake);
    using client = credentials.client({ target: TARGET });
    const error = await assertRejects(() => client.step(null), AuthenticationError, "only NTLM is left");
    assertEquals(error.reason, "mechanism");
    using server = credentials.server({});
    await assertRejects(() => server.step(bytes("?")), AuthenticationError);
  }
  assertEquals([fake.held, liveHandles()], [NOTHING, {}]);
});

const SECRET = "k\u00f8rrekt-horse-9C4F";
const PASSWORDS: readonly (readonly [form: string, give: () => string | Uint8Array])[] = [
  ["text", () => SECRET],
  ["UTF-8", () => new TextEncoder().encode(SECRET)],
];

for (const [form, give] of PASSWORDS) {
  for (const status of [0, FAILURE]) {
    const outcome = status === 0 ? "succeeds" : "fails";
    test(`AcquireCredentialsHandleW that ${outcome}: the password, given as ${form}, is zeroed and shown nowhere`, async () => {
      const fake = kerberos();
      // Behind the question for the package.
      if (status !== 0) fake.failAt = { index: 1, status };
      const password = give();
      const own = password instanceof Uint8Array ? password : undefined;
      let given: Uint8Array = new Uint8Array();
      let text = "";
      fake.onPassword = (bytes) => {
        given = bytes;
        text = new TextDecoder("utf-16le").decode(bytes);
      };
      const watched = await watchSecret(SECRET, async () => {
        const credentials = await acquireSspiCredentials(fake.sspi, {
          package: "negotiate",
          role: "client",
          excludeNtlm: true,
          requirements: resolveRequirements(),
          identity: identityOf({ username: "bob", domain: "EXAMPLE", password }),
        }, null).catch((error) => error);
        try {
          return shown(credentials);
        } finally {
          credentials[Symbol.dispose]?.();
        }
      }, own);
      assertEquals(fake.calls[1], "AcquireCredentialsHandleW");
      assert(!watched.result.includes(SECRET) && !watched.logged.includes(SECRET), watched.result);
      assert(watched.held >= 1, "no buffer held it: this test sees nothing");
      assertEquals(watched.left, 0);
      if (status === 0) {
        assertEquals(text, SECRET);
        assertEquals(given, new Uint8Array(2 * SECRET.length));
      }
      if (own) assertEquals(own, new TextEncoder().encode(SECRET), "the caller's own bytes are left alone");
      assertEquals([fake.held, liveHandles()], [NOTHING, {}]);
    });
  }
}
