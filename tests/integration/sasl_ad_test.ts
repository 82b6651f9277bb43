/** SASL against an Active Directory domain controller (Samba) that demands strong authentication, with npm's ldapts. */

import { assert, assertRejects } from "@std/assert";
import { test } from "@test";
import { once } from "node:events";
import { connect } from "node:net";
import type { Client } from "ldapts";
import { ldapClient, saslBind } from "../../examples/ldap_sasl.ts";
import type { System } from "../../mod.ts";
import { saslClient, type SaslMechanism, type SecurityLayer } from "../../sasl/mod.ts";
import type { AdDc } from "../rig/ad_dc.ts";
import { inDomain, noAdDc } from "../support/ad.ts";

const skip = noAdDc;
/** Samba without a DNS server registers no name of class ldap. */
const TARGET = "host/dc1.example.test";
const MECHANISMS: SaslMechanism[] = ["GSSAPI", "GSS-SPNEGO"];
const LAYERS: SecurityLayer[] = ["none", "integrity", "confidentiality"];

/** Runs `body` with a client that is bound by a mechanism with a layer. */
async function bound(
  dc: AdDc,
  system: System,
  mechanism: SaslMechanism,
  layer: SecurityLayer,
  body: (client: Client) => Promise<void>,
): Promise<void> {
  using sasl = await saslClient({ mechanism, target: TARGET, layers: [layer], system });
  const socket = connect(389, dc.address);
  await once(socket, "connect");
  try {
    const client = ldapClient(await saslBind(socket, sasl), dc.address);
    await body(client);
    await client.unbind();
  } finally {
    socket.destroy();
  }
}

for (const strongAuthentication of [true, false]) {
  const demand = strongAuthentication ? "that demands strong authentication" : "that demands none";
  test(
    `saslClient(): ldapts searches a domain controller ${demand} through each mechanism and layer`,
    () =>
      inDomain(
        async (dc, system) => {
          await dc.kinit("alice");
          for (const mechanism of MECHANISMS) {
            for (const layer of LAYERS) {
              const search = bound(dc, system, mechanism, layer, async (client) => {
                // The SIDs of whoever is bound: alice is in 61 groups.
                const { searchEntries: [root] } = await client.search("", {
                  scope: "base",
                  attributes: ["tokenGroups"],
                  explicitBufferAttributes: ["tokenGroups"],
                });
                assert((root.tokenGroups as unknown[]).length > 60, `${root.tokenGroups}`);
                const { searchEntries } = await client.search(dc.base, { filter: "(sAMAccountName=alice)" });
                const groups = searchEntries[0].memberOf as string[];
                assert(groups.length > 50, `${groups.length}`);
                // Some hundred entries, more than one record holds.
                const { searchEntries: all } = await client.search(dc.base, { filter: "(objectClass=*)" });
                assert(all.length > 200, `${all.length}`);
              });
              if (layer !== "none" || !strongAuthentication) await search;
              else await assertRejects(() => search, Error, "refuses the bind (8)");
            }
          }
        },
        {},
        { strongAuthentication },
      ),
    { skip },
  );
}
