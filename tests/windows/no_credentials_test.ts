/**
 * What becomes of a client without tickets, and of one that gives a name and a password. Runs with an empty
 * credential cache; Wine's Kerberos puts the tickets it gets for a password into that cache, so the order matters.
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { AuthenticationError } from "../../errors.ts";
import { liveHandles } from "../../ffi/handles.ts";
import { kerberos, negotiate } from "../../plugins/negotiate/mod.ts";
import type { ContextProvider } from "../../contract.ts";
import { machine } from "./support/machine.ts";
import { declareTests, windowsTest, type WindowsTestOptions } from "./support/on_windows.ts";
import { authenticated, bytes, noRealm, pair, seal, testSystem } from "./support/sspi.ts";
import type { NativeSystem } from "../../ffi/system.ts";

const REALM = machine.realm?.name ?? "";
const USERS = machine.realm?.users ?? { alice: "", bob: "" };
const skip = noRealm;

async function credentialsTest(
  name: string,
  body: (system: NativeSystem) => Promise<void>,
  options: WindowsTestOptions = {},
): Promise<void> {
  await windowsTest(name, async () => {
    const system = testSystem();
    try {
      await body(system);
    } finally {
      system.close();
    }
    assertEquals(liveHandles(), {});
  }, { skip, ...options });
}

/** The error of a client that must not get as far as a token. */
async function refusal(system: NativeSystem, provider: ContextProvider, credentials?: object) {
  return await assertRejects(async () => {
    using both = await pair(system, provider, credentials ? { credentials: credentials as never } : {});
    await both.client.step(null);
  }, AuthenticationError);
}

await credentialsTest("kerberos: a client without tickets is told so", async (system) => {
  assertEquals((await refusal(system, kerberos())).reason, "no-credentials");
});

await credentialsTest("negotiate: a client without tickets sends nothing", async (system) => {
  const { reason } = await refusal(system, negotiate());
  assert(["no-credentials", "mechanism"].includes(reason), reason);
});

await credentialsTest("kerberos: a wrong password is refused, and stands in no message", async (system) => {
  const password = "a wrong password indeed";
  const error = await refusal(system, kerberos(), { username: "bob", domain: REALM, password });
  assert(!`${error.stack}${error.cause}`.includes(password));
  if (error.reason !== "bad-credentials") throw error;
}, { wineAnswers: "AcquireCredentialsHandleW failed with 0xc0000001" });

await credentialsTest("kerberos: a user nobody knows is refused", async (system) => {
  await refusal(system, kerberos(), { username: "mallory", domain: REALM, password: "x" });
});

for (const provider of [kerberos(), negotiate()]) {
  for (const encoded of [false, true]) {
    const how = encoded ? "bytes" : "text";
    await credentialsTest(
      `${provider.name}: a name and a password as ${how} authenticate`,
      async (system) => {
        const password = encoded ? new TextEncoder().encode(USERS.bob) : USERS.bob;
        const credentials = { username: "bob", domain: REALM, password };
        using both = await authenticated(system, provider, { credentials });
        assertEquals(both.client.attributes.mutualAuthentication, true);
        assertEquals(both.server.unwrap(seal(both.client, bytes(10))).slice(), bytes(10));
        if (encoded) {
          assertEquals(password, new TextEncoder().encode(USERS.bob), "the caller's bytes are the caller's");
        }
      },
    );
  }
}

await credentialsTest("a key table has no meaning on Windows, and is refused by name", async (system) => {
  await assertRejects(
    () => pair(system, kerberos(), { credentials: { keytab: "FILE:C:\\x.keytab" } }),
    TypeError,
    "keytab",
  );
});

declareTests();
