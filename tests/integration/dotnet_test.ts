/** Our streams with .NET's NegotiateStream at the other end: as its server, and as its client. */

import { assert, assertEquals, assertMatch, assertRejects, assertStringIncludes } from "@std/assert";
import { test } from "@test";
import { join } from "node:path";
import { AuthenticationError, type SecureConn, SecurityRequirementError } from "../../mod.ts";
import { call, codeSeen, messages, noDotnet, serve } from "../support/dotnet.ts";
import { TARGET } from "../support/gss.ts";
import { inRealm } from "../support/kerberos.ts";

const skip = noDotnet;
const SIZES = [1, 1000, 64512, 65536, 1 << 20];
const TRUST_FAILURE = 1790;

/** Sends `size` bytes and holds what comes back against them. */
async function roundTrip(conn: SecureConn, size: number): Promise<void> {
  const sent = new Uint8Array(size).map((_, index) => (index * 31 + size) & 0xff);
  const writing = conn.write(sent);
  const back = new Uint8Array(size);
  for (let at = 0; at < size;) {
    const length = await conn.read(back.subarray(at));
    assert(length !== null, `the peer ended after ${at} of ${size} bytes`);
    at += length;
  }
  await writing;
  assert(sent.every((byte, index) => byte === back[index]), `${size} bytes came back changed`);
}

test("our server and a .NET client authenticate each other, encrypt, and echo 1 byte to 1 MiB", async () => {
  await inRealm(async (realm, system) => {
    const { events, accepted, failures } = await serve(realm, system, ["--sizes", SIZES.join()]);
    const [authenticated, ...echoes] = events;
    assertEquals(authenticated.isMutuallyAuthenticated, true);
    assertEquals(authenticated.isEncrypted, true);
    assertEquals(authenticated.isSigned, true);
    assertEquals(authenticated.remoteName, TARGET);
    assertEquals(echoes, SIZES.map((size) => ({ event: "echoed", size, same: true })));
    const [{ peer, confidentiality: encrypted, mutualAuthentication: mutual, mechanism }] = accepted;
    assertEquals({ peer, encrypted, mutual }, { peer: "alice@MIT.TEST", encrypted: true, mutual: true });
    assertEquals(mechanism, "kerberos");
    assertEquals(failures, []);
  });
}, { skip });

test("our client and a .NET server authenticate each other, encrypt, and echo 1 byte to 1 MiB", async () => {
  await inRealm(async (realm, system) => {
    const events = await call(realm, system, [], {}, async (connecting) => {
      await using conn = await connecting;
      const { peer, confidentiality: encrypted, mutualAuthentication: mutual } = conn.security;
      assertEquals({ peer, encrypted, mutual }, { peer: TARGET, encrypted: true, mutual: true });
      for (const size of SIZES) await roundTrip(conn, size);
    });
    assertEquals(events[0].isMutuallyAuthenticated, true);
    assertEquals(events[0].isEncrypted, true);
    assertEquals(events[0].remoteName, "alice@MIT.TEST");
    assertEquals(events[1], { event: "end", bytes: SIZES.reduce((sum, size) => sum + size) });
  });
}, { skip });

test(
  "confidentiality: false lets our client and a .NET server echo 1 byte to 1 MiB signed but not encrypted",
  async () => {
    await inRealm(async (realm, system) => {
      const requirements = { confidentiality: false };
      const events = await call(
        realm,
        system,
        ["--protection", "Sign"],
        { requirements },
        async (connecting) => {
          await using conn = await connecting;
          assertEquals([conn.security.integrity, conn.security.confidentiality], [true, false]);
          for (const size of SIZES) await roundTrip(conn, size);
        },
      );
      assertEquals([events[0].isSigned, events[0].isEncrypted], [true, false]);
      assertEquals(events[1], { event: "end", bytes: SIZES.reduce((sum, size) => sum + size) });
    });
  },
  { skip },
);

test(
  "a .NET client that requests only signing closes the connection on GSS-API, and our server reports it",
  async () => {
    await inRealm(async (realm, system) => {
      const requirements = { confidentiality: false };
      const { events } = await serve(realm, system, ["--protection", "Sign"], { requirements });
      assertStringIncludes(messages(events[0]), "protection level is not supported");
    });
  },
  { skip },
);

test(
  "where a .NET server requires encryption, our client that does not ask for it is refused with 1790",
  async () => {
    await inRealm(async (realm, system) => {
      const requirements = { confidentiality: false };
      const events = await call(realm, system, [], { requirements }, async (connecting) => {
        const error = await assertRejects(() => connecting, AuthenticationError, String(TRUST_FAILURE));
        assertEquals(error.reason, "peer-refused");
      });
      assertMatch(messages(events[0]), /security requirement was not fulfilled/);
    });
  },
  { skip },
);

test("where our server requires more than a .NET client allows, both ends report it", async () => {
  await inRealm(async (realm, system) => {
    const requirements = { delegation: true };
    const { events, accepted, failures } = await serve(realm, system, [], { requirements });
    assertEquals(accepted, []);
    assert(failures[0] instanceof SecurityRequirementError);
    assertEquals(codeSeen(events[0]), TRUST_FAILURE);
    assertMatch(messages(events[0]), /remote side security requirement was not fulfilled/);
  });
}, { skip });

test("a target that our server does not accept is refused, and the .NET client reads 1790", async () => {
  await inRealm(async (realm, system) => {
    const options = { acceptedTargets: [TARGET] };
    const client = ["--target", "host/web.mit.test"];
    const { events, accepted, failures } = await serve(realm, system, client, options);
    assertEquals(accepted, []);
    assertEquals((failures[0] as AuthenticationError).reason, "target-not-accepted");
    assertEquals(codeSeen(events[0]), TRUST_FAILURE);
  });
}, { skip });

test(
  "an unknown target fails in our client, and the .NET server reads our HandshakeError",
  async () => {
    await inRealm(async (realm, system) => {
      const events = await call(realm, system, [], { target: "HTTP/nowhere" }, async (connecting) => {
        await assertRejects(() => connecting, AuthenticationError, "Server not found in Kerberos database");
      });
      assertMatch(messages(events[0]), /failed on the remote side/);
      // SEC_E_TARGET_UNKNOWN
      assertEquals(codeSeen(events[0]), 0x80090303);
    });
  },
  { skip },
);

test("a .NET server without the key of the target refuses, and our client reports it", async () => {
  await inRealm(async (realm, system) => {
    const keytab = join(realm.dir, "other.keytab");
    await realm.exportKeytab(keytab, ["host/web.mit.test"]);
    const env = { KRB5_KTNAME: `FILE:${keytab}` };
    const events = await call(realm, system, [], {}, async (connecting) => {
      const error = await assertRejects(() => connecting, AuthenticationError);
      assertEquals(error.reason, "peer-refused");
    }, env);
    assertEquals(events[0].event, "failed");
  });
}, { skip });

test("channelBindings of a .NET client are verified, and wrong or missing ones refused", async () => {
  await inRealm(async (realm, system) => {
    const options = { channelBindings: new TextEncoder().encode("tls-unique:0123456789") };
    const hex = Array.from(options.channelBindings, (byte) => byte.toString(16).padStart(2, "0")).join("");
    const right = await serve(realm, system, ["--bindings", hex], options);
    assertEquals(right.accepted[0].channelBindings, "verified");
    assertEquals(right.events[1], { event: "echoed", size: 1, same: true });
    for (const client of [["--bindings", hex.replace("30", "31")], []]) {
      const wrong = await serve(realm, system, client, options);
      assertEquals(wrong.accepted, []);
      assertEquals((wrong.failures[0] as AuthenticationError).reason, "channel-bindings");
      // SEC_E_BAD_BINDINGS
      assertEquals(codeSeen(wrong.events[0]), 0x80090346);
    }
  });
}, { skip });

test("a .NET client with a user's name and password is that user to our server", async () => {
  await inRealm(async (realm, system) => {
    const client = ["--user", "bob", "--password", realm.users.bob, "--domain", realm.realm];
    const { accepted } = await serve(realm, system, client);
    assertEquals(accepted[0].peer, "bob@MIT.TEST");
  });
}, { skip });
