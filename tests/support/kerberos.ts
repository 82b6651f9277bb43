/** Helpers for tests with a real Kerberos realm. */

import { assertEquals } from "@std/assert";
import { existsSync, readFileSync } from "node:fs";
import { type Realm, type RealmOptions, realmUnavailable, startRealm } from "../rig/realm.ts";
import { openSystem, type System } from "../../mod.ts";
import { liveHandles } from "../../testing/mod.ts";

/** Why the tests of a realm cannot run here; `null` where they can. */
export const noRealm: string | null = realmUnavailable();

/** Why the tests of KEYRING caches cannot run here; `null` where they can. */
export const noKeyring: string | null = noRealm ?? whyNoKeyring();

/** A container's runtime may hide the kernel's keys and refuse their use. */
function whyNoKeyring(): string | null {
  const readable = existsSync("/proc/keys") && readFileSync("/proc/keys", "utf8") !== "";
  return readable ? null : "the kernel's key retention service is unavailable here";
}

/**
 * Runs `body` in a new realm in which alice has a ticket, and checks that no native handle stays open.
 */
export async function inRealm(
  body: (realm: Realm, system: System) => Promise<void>,
  options: RealmOptions = {},
): Promise<void> {
  await using realm = await startRealm(options);
  const restore = realm.applyEnv();
  const system = openSystem({ grants: ["sspi"] });
  try {
    await realm.kinit("alice");
    await body(realm, system);
    assertEquals(liveHandles(), system.capabilities().securityContexts.available ? { library: 1 } : {});
  } finally {
    system.close();
    restore();
  }
  assertEquals(liveHandles(), {});
}
