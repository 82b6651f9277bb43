/**
 * Tickets from yesterday open nothing.
 */

import { assertEquals, assertRejects } from "@std/assert";
import { AuthenticationError } from "../../errors.ts";
import { liveHandles } from "../../ffi/handles.ts";
import { kerberos, negotiate } from "../../plugins/negotiate/mod.ts";
import { declareTests, windowsTest } from "./support/on_windows.ts";
import { noRealm, pair, testSystem } from "./support/sspi.ts";

for (const provider of [kerberos(), negotiate()]) {
  const attempt = async () => {
    const system = testSystem();
    try {
      return await assertRejects(async () => {
        using both = await pair(system, provider);
        await both.client.step(null);
      }, AuthenticationError);
    } finally {
      system.close();
      assertEquals(liveHandles(), {});
    }
  };

  await windowsTest(`${provider.name}: expired tickets are refused before any token is sent`, async () => {
    await attempt();
  }, { skip: noRealm });

  await windowsTest(`${provider.name}: expired tickets have another reason than missing ones`, async () => {
    const error = await attempt();
    if (error.reason !== "credentials-expired") throw error;
  }, { skip: noRealm, wineAnswers: provider.name === "kerberos" ? "SEC_E_INTERNAL_ERROR" : "only NTLM" });
}

declareTests();
