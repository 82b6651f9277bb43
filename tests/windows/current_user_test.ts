/**
 * Negotiate as whoever runs the tests, to itself: on a Windows machine without a domain that is NTLM, by which the
 * library's Windows path is proved on real Windows too.
 */

import { assert, assertEquals, assertNotEquals, assertThrows } from "@std/assert";
import { ProtocolError, SecurityRequirementError } from "../../errors.ts";
import { liveHandles } from "../../ffi/handles.ts";
import { Sspi } from "../../ffi/security/sspi/sspi.ts";
import type { NativeSystem } from "../../ffi/system.ts";
import { negotiate } from "../../plugins/negotiate/mod.ts";
import { resolveRequirements, verifyAttributes } from "../../plugins/requirements.ts";
import { declareTests, windowsTest } from "./support/on_windows.ts";
import { authenticated, bytes, type Pair, seal, testSystem } from "./support/sspi.ts";

const requirements = { mutualAuthentication: false } as const;

async function userTest(name: string, body: (both: Pair, system: NativeSystem) => void): Promise<void> {
  await windowsTest(name, async () => {
    const system = testSystem(["sspi", "impersonation"]);
    try {
      using both = await authenticated(system, negotiate({ allowNtlm: true }), {
        requirements,
        target: "host/localhost",
      });
      body(both, system);
    } finally {
      system.close();
    }
    assertEquals(liveHandles(), {});
  }, { wineAnswers: "InitializeSecurityContextW failed with SEC_E_INVALID_TOKEN" });
}

await windowsTest("Windows lists Negotiate and Kerberos among its packages", () => {
  const system = testSystem();
  try {
    const packages = new Sspi(system).packages();
    const names = packages.map(({ name }) => name);
    for (const name of ["Negotiate", "Kerberos"]) {
      assert(names.includes(name), `${name} is not among ${names}`);
    }
    for (const { maxToken } of packages) assert(maxToken >= 0);
    assert(new Sspi(system).package("Kerberos").maxToken > 1000);
  } finally {
    system.close();
  }
});

await userTest("the current user: records of every size arrive in both directions", ({ client, server }) => {
  for (const length of [0, 1, 15, 16, 1024, 65_000]) {
    assertEquals(server.unwrap(seal(client, bytes(length))).slice(), bytes(length));
    assertEquals(client.unwrap(seal(server, bytes(length))).slice(), bytes(length));
  }
});

await userTest("the current user: a changed record and a replayed one are refused", ({ client, server }) => {
  const record = seal(client, bytes(100));
  const replayed = record.slice();
  server.unwrap(record);
  assertThrows(() => server.unwrap(replayed), ProtocolError);
  const altered = seal(server, bytes(100));
  altered[altered.length - 1] ^= 1;
  assertThrows(() => client.unwrap(altered), ProtocolError);
});

await userTest(
  "the current user: both ends have one session key, and signatures verify",
  ({ client, server }) => {
    assertEquals(client.sessionKey(), server.sessionKey());
    const signature = client.sign(bytes(100));
    server.verify(bytes(100), signature);
  },
);

await userTest(
  "the current user: the server learns the client's name",
  ({ server }) => {
    assertNotEquals(server.peerName, "");
  },
);

await userTest("the current user: NTLM never counts as mutual authentication", ({ client }) => {
  if (client.attributes.mechanism !== "ntlm") return;
  assertEquals(client.attributes.mutualAuthentication, false);
  assertThrows(
    () => verifyAttributes(client.attributes, resolveRequirements(), "client", false),
    SecurityRequirementError,
  );
});

await userTest(
  "the current user: impersonate() runs one function as the client",
  ({ server }) => {
    assertEquals(server.impersonate!(() => 42), 42);
  },
);

declareTests();
