/**
 * Kerberos and Negotiate of secur32.dll against a real MIT KDC: both ends, in one process.
 */

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertNotEquals,
  assertRejects,
  assertThrows,
} from "@std/assert";
import fc from "fast-check";
import { AuthenticationError, ProtocolError, SecurityRequirementError } from "../../errors.ts";
import { liveHandles } from "../../ffi/handles.ts";
import { kerberos, negotiate } from "../../plugins/negotiate/mod.ts";
import type { ContextProvider, ProviderContext } from "../../contract.ts";
import { resolveRequirements, verifyAttributes } from "../../plugins/requirements.ts";
import type { NativeSystem } from "../../ffi/system.ts";
import { machine } from "./support/machine.ts";
import { declareTests, windowsTest, type WindowsTestOptions } from "./support/on_windows.ts";
import {
  answerOf,
  authenticate,
  authenticated,
  bytes,
  noRealm,
  noting,
  pair,
  seal,
  testSystem,
} from "./support/sspi.ts";

const PROVIDERS: readonly ContextProvider[] = [kerberos(), negotiate()];
const REALM = machine.realm?.name ?? "";

/** Ten hours of the realm's tickets, and the five minutes by which clocks may differ. */
const LONGEST_MS = 10 * 3_600_000 + 5 * 60_000;

/** Wine's Kerberos is MIT's, which asks for confidentiality whatever was asked of it. */
const UNASKED = "the context came back with confidentiality, which nobody asked for";

function notConfidential(end: ProviderContext): void {
  if (end.attributes.confidentiality) throw new Error(UNASKED);
}

async function sspiTest(
  name: string,
  body: (system: NativeSystem, provider: ContextProvider) => Promise<void>,
  options: WindowsTestOptions = {},
  providers: readonly ContextProvider[] = PROVIDERS,
): Promise<void> {
  for (const provider of providers) {
    await windowsTest(`${provider.name}: ${name}`, async () => {
      const system = testSystem();
      try {
        await body(system, provider);
      } finally {
        system.close();
      }
      assertEquals(liveHandles(), {});
    }, { skip: noRealm, ...options });
  }
}

await sspiTest(
  "both ends authenticate each other and agree on what protects them",
  async (system, provider) => {
    using both = await authenticated(system, provider);
    for (const end of [both.client, both.server]) {
      const {
        mechanism,
        mutualAuthentication: mutual,
        integrity,
        confidentiality,
        replayDetection,
        sequenceDetection,
      } = end.attributes;
      assertEquals(
        { mechanism, mutual, integrity, confidentiality, replayDetection, sequenceDetection },
        {
          mechanism: "kerberos",
          mutual: true,
          integrity: true,
          confidentiality: true,
          replayDetection: true,
          sequenceDetection: true,
        },
      );
      const leftMs = end.expiresAt!.getTime() - Date.now();
      assert(leftMs > 0 && leftMs <= LONGEST_MS, `the context ends in ${leftMs} ms`);
    }
    assertEquals(both.client.peerName, "HTTP/localhost");
  },
);

await sspiTest(
  "every step waits on another thread, also the one that reads the server's token",
  async (_system, provider) => {
    const legs: string[] = [];
    const system = testSystem(["sspi"], noting(legs));
    try {
      using _both = await authenticated(system, provider);
    } finally {
      system.close();
    }
    assertEquals(legs, [
      "InitializeSecurityContextW on another thread",
      "AcceptSecurityContext on another thread",
      "InitializeSecurityContextW on another thread",
    ]);
  },
);

await sspiTest(
  "both ends have the same session key, and every context has another",
  async (system, provider) => {
    using one = await authenticated(system, provider);
    using two = await authenticated(system, provider);
    const key = one.client.sessionKey();
    assert(key.length >= 16, "the key has a real length");
    assertEquals(one.server.sessionKey(), key);
    assertEquals(two.server.sessionKey(), two.client.sessionKey());
    assert(two.client.sessionKey().some((byte, index) => byte !== key[index]), "the keys differ");
  },
);

await sspiTest(
  "records of every size arrive in both directions, and do not contain the plain text",
  async (system, provider) => {
    using both = await authenticated(system, provider);
    for (const length of [0, 1, 2, 15, 16, 17, 1024, 16_384, 65_000]) {
      for (const [from, to] of [[both.client, both.server], [both.server, both.client]]) {
        const plain = bytes(length);
        const record = seal(from, plain);
        assertEquals(plain, bytes(length), "the message is as it was");
        assert(record.length <= length + from.maxOverhead);
        if (length >= 16) {
          assertEquals(
            indexOf(record, plain.subarray(0, 16)),
            -1,
            "no plain text is in the record",
          );
        }
        assertEquals(to.unwrap(record).slice(), plain);
      }
    }
  },
);

await sspiTest(
  "records that are only signed can be read on the wire, and not changed",
  async (system, provider) => {
    using both = await authenticated(system, provider, { requirements: { confidentiality: false } });
    notConfidential(both.client);
    const record = seal(both.client, bytes(100));
    assert(indexOf(record, bytes(100)) >= 0, "the plain text is in the record");
    assertEquals(both.server.unwrap(record.slice()).slice(), bytes(100));
    const altered = seal(both.client, bytes(100));
    altered[indexOf(altered, bytes(100)) + 50] ^= 1;
    assertThrows(() => both.server.unwrap(altered), ProtocolError);
  },
  { wineAnswers: UNASKED },
);

await sspiTest(
  "a record that was changed on the wire never yields another message",
  async (system, provider) => {
    await fc.assert(
      fc.asyncProperty(fc.nat(159), fc.integer({ min: 1, max: 255 }), async (position, change) => {
        using both = await authenticated(system, provider);
        const record = seal(both.client, bytes(100));
        record[position % record.length] ^= change;
        try {
          // The rotation count of a Kerberos record may change and mean the same: RFC 4121, 4.2.5.
          assertEquals(both.server.unwrap(record).slice(), bytes(100));
          assert([6, 7].includes(position));
        } catch (error) {
          assertInstanceOf(error as Error, ProtocolError);
        }
      }),
      { numRuns: 40 },
    );
  },
);

await sspiTest("a record that arrives twice, early, or after a gap is refused", async (system, provider) => {
  const three = async () => {
    const both = await authenticated(system, provider);
    return { both, records: [1, 2, 3].map((value) => seal(both.client, bytes(value))) };
  };
  for (const order of [[0, 0], [1, 0], [0, 2], [2]]) {
    const { both, records } = await three();
    using _ = both;
    const last = order.pop()!;
    let refused = false;
    for (const index of order) {
      try {
        both.server.unwrap(records[index].slice());
      } catch {
        // What comes early is refused at once.
        refused = true;
      }
    }
    if (!refused) assertThrows(() => both.server.unwrap(records[last].slice()), ProtocolError);
  }
});

await sspiTest("bytes that are not a record are refused", async (system, provider) => {
  for (const length of [1, 2, 15, 16, 27, 28, 59, 60, 61, 1000]) {
    using both = await authenticated(system, provider);
    assertThrows(() => both.server.unwrap(bytes(length)));
    assertThrows(() => both.server.unwrap(new Uint8Array(length).fill(5)));
  }
});

await sspiTest("a signature verifies only its own message", async (system, provider) => {
  using both = await authenticated(system, provider);
  const signature = both.client.sign(bytes(500));
  both.server.verify(bytes(500), signature);
  const second = both.client.sign(bytes(500));
  assertThrows(() => both.server.verify(bytes(501), second), ProtocolError);
  const third = both.client.sign(bytes(500));
  third[third.length - 1] ^= 1;
  assertThrows(() => both.server.verify(bytes(500), third), ProtocolError);
});

await sspiTest(
  "a service that the realm does not know is refused before any token is sent",
  async (system, provider) => {
    using both = await pair(system, provider, { target: "HTTP/nobody.mit.test" });
    await assertRejects(() => both.client.step(null), AuthenticationError, "nobody.mit.test");
  },
);

for (const provider of PROVIDERS) {
  await sspiTest(
    "a service that the realm does not know has its own reason",
    async (system) => {
      using both = await pair(system, provider, { target: "HTTP/nobody.mit.test" });
      const error = await both.client.step(null).then(() => null, (error) => error);
      if (error?.reason !== "unknown-target") throw error;
      // Wine's Negotiate knows no package lists and falls back to NTLM; the library holds that token back.
    },
    { wineAnswers: provider.name === "kerberos" ? "SEC_E_INTERNAL_ERROR" : "only NTLM is left" },
    [provider],
  );
}

await sspiTest("a server without the service's key refuses", async (system, provider) => {
  using both = await pair(system, provider, { target: "cifs/keyless.mit.test" });
  const { token } = await both.client.step(null);
  await assertRejects(() => both.server.step(token), AuthenticationError);
});

await sspiTest("invalid tokens are refused on either end", async (system, provider) => {
  for (const token of [bytes(1), bytes(300), new Uint8Array(60_000).fill(0x60)]) {
    using both = await pair(system, provider);
    await assertRejects(() => both.server.step(token), AuthenticationError);
    await both.client.step(null);
    await assertRejects(() => both.client.step(token), AuthenticationError);
  }
});

await sspiTest("a token of another context is refused", async (system, provider) => {
  using one = await pair(system, provider);
  using two = await pair(system, provider);
  await two.client.step(null);
  const { token } = await one.client.step(null);
  const answer = await one.server.step(token);
  await assertRejects(() => two.client.step(answer.token), AuthenticationError);
});

await sspiTest(
  "a server that requires encryption refuses a client that offers none",
  async (system, provider) => {
    using both = await authenticated(system, provider, { client: { confidentiality: false } });
    notConfidential(both.server);
    const refusal = () => verifyAttributes(both.server.attributes, resolveRequirements(), "server", false);
    assertEquals(assertThrows(refusal, SecurityRequirementError).required, "confidentiality");
  },
  { wineAnswers: UNASKED },
);

await sspiTest("a client that asks for no integrity is recognised", async (system, provider) => {
  const weak = { integrity: false, confidentiality: false };
  using both = await authenticated(system, provider, { client: weak, server: weak });
  const refusal = () => verifyAttributes(both.server.attributes, resolveRequirements(), "server", false);
  assertInstanceOf(assertThrows(refusal), SecurityRequirementError);
});

await sspiTest(
  "a client may delegate its credentials, where the realm allows it",
  async (system, provider) => {
    using both = await authenticated(system, provider, { requirements: { delegation: true } });
    assertEquals([both.client.attributes.delegation, both.server.attributes.delegation], [true, true]);
    assertEquals(both.server.attributes.impersonation, "delegate");
  },
);

await sspiTest("the server learns who its client is", async (system, provider) => {
  using both = await authenticated(system, provider);
  const { peerName } = both.server;
  if (peerName === "") throw new Error(answerOf("NAMES"));
  assertEquals(peerName, `alice@${REALM}`);
}, { wineAnswers: "SECPKG_ATTR_NAMES" });

await sspiTest("the server learns which of its names the client asked for", async (system, provider) => {
  using both = await authenticated(system, provider);
  const { requestedTarget } = both.server;
  if (requestedTarget === undefined) throw new Error(answerOf("CLIENT_SPECIFIED_TARGET"));
  assertEquals(requestedTarget, "HTTP/localhost");
}, { wineAnswers: "SECPKG_ATTR_CLIENT_SPECIFIED_TARGET" });

await sspiTest("a context reports its NATIVE_NAMES", async (system, provider) => {
  using both = await authenticated(system, provider);
  assertNotEquals(both.client.peerName, "");
  const answer = answerOf("NATIVE_NAMES");
  if (!answer.endsWith("SEC_E_OK")) throw new Error(answer);
}, { wineAnswers: "SEC_E_UNSUPPORTED_FUNCTION" });

await sspiTest("ends with different channel bindings refuse each other", async (system, provider) => {
  const bindings = { client: bytes(40), server: bytes(41) };
  using both = await pair(system, provider, { bindings });
  const failure = await authenticate(both).then(() => null, (error) => error);
  if (failure === null) throw new Error("AcceptSecurityContext took other channel bindings than its own");
  assertInstanceOf(failure, AuthenticationError);
}, { wineAnswers: "AcceptSecurityContext took other channel bindings" });

await sspiTest("ends with the same channel bindings accept each other", async (system, provider) => {
  using both = await authenticated(system, provider, { bindings: { client: bytes(40), server: bytes(40) } });
  assertEquals([both.client.attributes.channelBound, both.server.attributes.channelBound], [true, true]);
});

for (const provider of PROVIDERS) {
  await windowsTest(
    `${provider.name}: impersonate() runs one function as the client`,
    async () => {
      const system = testSystem(["sspi", "impersonation"]);
      try {
        using both = await authenticated(system, provider, {
          requirements: { impersonation: "impersonate" },
        });
        assertEquals(both.server.impersonate!(() => 42), 42);
        assertThrows(() =>
          both.server.impersonate!(() => {
            throw new RangeError("of the function itself");
          }), RangeError);
      } finally {
        system.close();
      }
      assertEquals(liveHandles(), {});
    },
    { skip: noRealm, wineAnswers: "ImpersonateSecurityContext failed with SEC_E_UNSUPPORTED_FUNCTION" },
  );
}

declareTests();

function indexOf(text: Uint8Array, part: Uint8Array): number {
  for (let at = 0; at + part.length <= text.length; at++) {
    if (part.every((byte, index) => text[at + index] === byte)) return at;
  }
  return -1;
}
