/** What libkrb5 works with, read in a realm, and with every call of it failing once. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { test } from "@test";
import { inspectKerberos } from "../../ffi/security/gss/inspect.ts";
import { NativeSystem } from "../../ffi/system.ts";
import { liveHandles } from "../../testing/mod.ts";
import { startRealm } from "../rig/realm.ts";
import { Faults } from "../support/faults.ts";
import { noRealm } from "../support/kerberos.ts";

test("inspectKerberos reads configuration, tickets and key tables, and their changes", async () => {
  await using realm = await startRealm();
  const restore = realm.applyEnv();
  const system = new NativeSystem({ grants: ["sspi"] });
  try {
    const facts = inspectKerberos(system);
    assertEquals([facts.realm, facts.configuration.found], ["MIT.TEST", [realm.env.KRB5_CONFIG]]);
    assertEquals(facts.setting(["realms", "MIT.TEST", "kdc"]), [`127.0.0.1:${realm.port}`]);
    assertEquals(facts.setting(["libdefaults", "none"]), []);
    assertStringIncludes(facts.cache.problem!, "No credentials cache found");
    assertEquals([facts.cache.tickets, facts.keytab.name], [[], realm.env.KRB5_KTNAME]);
    assertEquals(facts.keytab.keys.length, 9);
    assertEquals(facts.keytab.keys[0], { principal: "HTTP/localhost@MIT.TEST", kvno: 2, enctype: 18 });
    assertEquals(
      new Set(facts.clientKeytab.keys.map(({ principal }) => principal)),
      new Set(["alice@MIT.TEST"]),
    );
    await realm.kinit("bob", { forwardable: false });
    const { owner, tickets, problem } = facts.readCache();
    assertEquals([owner, problem, tickets.length], ["bob@MIT.TEST", undefined, 1]);
    const [{ server, enctype, forwardable, validFrom, expiresAt, renewableUntil }] = tickets;
    assertEquals([server, enctype, forwardable], ["krbtgt/MIT.TEST@MIT.TEST", 18, false]);
    assertEquals([+expiresAt - +validFrom, renewableUntil], [36_000_000, undefined]);
  } finally {
    system.close();
    restore();
  }
  assertEquals(liveHandles(), {});
}, { skip: noRealm });

/** It keeps the configuration, and is released with the system. */
const CONTEXT = "krb5 context";

test("inspectKerberos releases everything, whichever call fails", async () => {
  await using realm = await startRealm();
  await realm.kinit("alice");
  const restore = realm.applyEnv();
  const faults = new Faults();
  const system = new NativeSystem({ grants: ["sspi"] }, { backend: faults.backend() });
  const inspect = (): unknown => {
    try {
      return inspectKerberos(system).setting(["realms", "MIT.TEST", "kdc"]);
    } catch (error) {
      return error;
    }
  };
  try {
    faults.reset();
    inspect();
    assertEquals(faults.left, [CONTEXT]);
    const calls = faults.called.length;
    assert(calls > 50, String(calls));
    for (let at = 0; at < calls; at++) {
      faults.reset(at);
      const result = inspect();
      assert(
        !(result instanceof Error) || result.name === "AuthenticationError",
        `${faults.failed}: ${result}`,
      );
      assert(faults.left.every((kind) => kind === CONTEXT), `${faults.failed} leaves ${faults.left}`);
    }
  } finally {
    system.close();
    restore();
  }
}, { skip: noRealm });
