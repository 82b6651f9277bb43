/** A server of this library's SASL, and `ldapsearch` of OpenLDAP, whose SASL is Cyrus', as its client. */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { test } from "@test";
import { findProgram, run } from "../../scripts/process.ts";
import type { SaslServerOptions, SecurityLayer } from "../../sasl/mod.ts";
import { slapdUnavailable } from "../rig/slapd.ts";
import { inRealm, noRealm } from "../support/kerberos.ts";
import { startLdapServer } from "../support/ldap_server.ts";

const skip = noRealm ?? slapdUnavailable();
const LAYERS: SecurityLayer[] = ["none", "integrity", "confidentiality"];
/** Cyrus' strength factors, of which the layers are made. */
const STRENGTH = { none: "maxssf=0", integrity: "minssf=1,maxssf=1", confidentiality: "minssf=56" } as const;

function ldapsearch(mechanism: string, port: number, properties: string) {
  return run(findProgram("ldapsearch")!, [
    ...["-Q", "-LLL", "-N", "-Y", mechanism, "-O", properties, "-H", `ldap://localhost:${port}`],
    ...["-s", "base", "-b", "cn=peer"],
  ], { timeoutMs: 20_000 });
}

function options(mechanism: SaslServerOptions["mechanism"], layers: SecurityLayer[]) {
  return { mechanism, acceptedTargets: ["ldap/localhost"], layers };
}

for (const mechanism of ["GSSAPI", "GSS-SPNEGO"] as const) {
  test(
    `saslServer(): ldapsearch binds by ${mechanism} with each layer that both accept`,
    () =>
      inRealm(async (realm, system) => {
        await realm.addPrincipal("ldap/localhost");
        await using server = await startLdapServer({ ...options(mechanism, LAYERS), system });
        for (const layer of LAYERS) {
          const { code, stdout, stderr } = await ldapsearch(mechanism, server.port, STRENGTH[layer]);
          assertEquals([code, stderr, server.errors], [0, "", []], layer);
          assertStringIncludes(stdout, `description: alice@${realm.realm}`);
        }
        // Where Cyrus' GSS-SPNEGO is to use any layer, it asks for encryption.
        const used = (layer: SecurityLayer) =>
          mechanism === "GSS-SPNEGO" && layer === "integrity" ? "confidentiality" : layer;
        assertEquals(server.binds, LAYERS.map((layer) => `alice@${realm.realm} ${used(layer)}`));
      }),
    { skip },
  );

  test(
    `saslServer(): ldapsearch cannot have a weaker layer by ${mechanism} than the server accepts`,
    () =>
      inRealm(async (realm, system) => {
        await realm.addPrincipal("ldap/localhost");
        await using server = await startLdapServer({ ...options(mechanism, ["confidentiality"]), system });
        const { code } = await ldapsearch(mechanism, server.port, STRENGTH.none);
        assertEquals([code === 0, server.binds], [false, []]);
      }),
    { skip },
  );
}
