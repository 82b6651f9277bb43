/** Helpers for tests with a real Active Directory domain. */

import { assertEquals } from "@std/assert";
import type { SystemSeams } from "../../ffi/system.ts";
import { NativeSystem } from "../../ffi/system.ts";
import { liveHandles } from "../../testing/mod.ts";
import { type AdDc, type AdDcOptions, adDcUnavailable, startAdDc } from "../rig/ad_dc.ts";
import { noRealm } from "./kerberos.ts";

/** Why the tests of a domain cannot run here; `null` where they can. */
export const noAdDc: string | null = noRealm ?? await adDcUnavailable();

/** Runs `body` in a new domain without tickets, and checks that no native handle stays open. */
export async function inDomain(
  body: (dc: AdDc, system: NativeSystem) => Promise<void>,
  seams: SystemSeams = {},
  options: AdDcOptions = {},
): Promise<void> {
  await using dc = await startAdDc(options);
  const restore = dc.applyEnv();
  const system = new NativeSystem({ grants: ["sspi"] }, seams);
  try {
    await body(dc, system);
  } finally {
    system.close();
    restore();
  }
  assertEquals(liveHandles(), {});
}
