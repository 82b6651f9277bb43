/**
 * The Kerberos part of the demo: both ends prove themselves, against a realm of the demo's own.
 *
 * @module
 */

import { createRegistry, ipsec, kerberos, negotiate, ntlm, openSystem } from "../../mod.ts";
import type { Realm } from "../../tests/rig/realm.ts";
import { converse } from "./conversation.ts";
import { showHttp } from "./http.ts";
import { showChoice, showProviders } from "./provider_table.ts";
import { ntlmOffered, tamperedRecords, wrongTargets } from "./refusals.ts";
import { say, section, show } from "./screen.ts";
import { openStage } from "./stage.ts";

const TARGET = "HTTP/localhost";

/**
 * Shows it.
 *
 * @param madeMs how long the realm took, in milliseconds.
 */
export async function showKerberos(realm: Realm, madeMs: number): Promise<void> {
  section("A realm of its own");
  const made = (madeMs / 1000).toFixed(2);
  show(`${realm.realm}, its KDC on 127.0.0.1:${realm.port}, made in ${made} s; alice has a ticket`);

  section("Which provider serves");
  using system = openSystem({ grants: ["sspi"] });
  const registry = createRegistry([ipsec(), ntlm(), negotiate(), kerberos()]);
  showProviders(registry.providers);
  const selection = registry.select(undefined, system.capabilities());
  say("required", "integrity, encryption, mutual authentication (the default)");
  showChoice(registry.providers, selection);

  await using stage = await openStage({ target: TARGET, both: { registry, system } });
  await converse(stage, {
    what: "Each end knows who the other is, by proof",
    holds: (client, server) =>
      client.mutualAuthentication === true && server.mutualAuthentication === true &&
      client.peer === TARGET && server.peer === "alice@MIT.TEST",
    remark: "checked before the first byte of the application, and with each record",
  });

  section("What is refused");
  await wrongTargets(stage);
  await ntlmOffered(stage);
  await tamperedRecords(stage);
  await showHttp(system);
}
