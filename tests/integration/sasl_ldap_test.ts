/** SASL against OpenLDAP's slapd, with npm's ldapts unchanged over the security layer. */

import { assertEquals } from "@std/assert";
import { test } from "@test";
import { once } from "node:events";
import { connect } from "node:net";
import { ldapClient, saslBind } from "../../examples/ldap_sasl.ts";
import { saslClient } from "../../sasl/mod.ts";
import type { SaslMechanism, SecurityLayer } from "../../sasl/mod.ts";
import { LDAP_BASE, slapdUnavailable, startSlapd } from "../rig/slapd.ts";
import { inRealm, noRealm } from "../support/kerberos.ts";

const skip = noRealm ?? slapdUnavailable();
const WHO_AM_I = "1.3.6.1.4.1.4203.1.11.3";
const LAYERS: SecurityLayer[] = ["none", "integrity", "confidentiality"];

for (const mechanism of ["GSSAPI", "GSS-SPNEGO"] as SaslMechanism[]) {
  test(
    `saslClient(): slapd and ldapts speak ${mechanism} with each layer`,
    () =>
      inRealm(async (realm, system) => {
        await realm.addPrincipal("ldap/localhost");
        await using slapd = await startSlapd(realm);
        for (const layer of LAYERS) {
          using sasl = await saslClient({ mechanism, target: "ldap/localhost", layers: [layer], system });
          const socket = connect(slapd.port, "127.0.0.1");
          await once(socket, "connect");
          const stream = await saslBind(socket, sasl);
          assertEquals([sasl.layer, stream === socket], [layer, layer === "none"]);
          const client = ldapClient(stream, "localhost");
          const { value } = await client.exop(WHO_AM_I);
          assertEquals(value, `dn:uid=alice,ou=people,${LDAP_BASE}`);
          const { searchEntries } = await client.search(LDAP_BASE, { scope: "sub", filter: "(uid=alice)" });
          assertEquals(searchEntries.length, 1);
          await client.unbind();
          socket.destroy();
        }
      }),
    { skip },
  );
}
