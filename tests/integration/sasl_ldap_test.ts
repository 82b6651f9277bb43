/** SASL against OpenLDAP's slapd, with npm's ldapts unchanged over the security layer. */

import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { test } from "@test";
import type { Buffer } from "node:buffer";
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { ldapClient, saslBind } from "../../examples/ldap_sasl.ts";
import type { System } from "../../mod.ts";
import {
  saslClient,
  type SaslClientOptions,
  type SaslMechanism,
  type SecurityLayer,
} from "../../sasl/mod.ts";
import type { Daemon } from "../rig/daemon.ts";
import { LDAP_BASE, slapdUnavailable, startSlapd } from "../rig/slapd.ts";
import { noExamples, runExample } from "../support/example.ts";
import { inRealm, noRealm } from "../support/kerberos.ts";

const skip = noRealm ?? slapdUnavailable();
const WHO_AM_I = "1.3.6.1.4.1.4203.1.11.3";
const TARGET = "ldap/localhost";
const LAYERS: SecurityLayer[] = ["none", "integrity", "confidentiality"];
const MECHANISMS: SaslMechanism[] = ["GSSAPI", "GSS-SPNEGO"];
/** An entry of 2 MB. */
const LARGE = `dn: cn=large,${LDAP_BASE}
objectClass: applicationProcess
cn: large
${Array.from({ length: 40 }, (_, index) => `description: ${index} ${"x".repeat(50_000)}\n`).join("")}
`;

const withSlapd = (body: (slapd: Daemon, system: System) => Promise<void>) => () =>
  inRealm(async (realm, system) => {
    await realm.addPrincipal(TARGET);
    await using slapd = await startSlapd(realm, LARGE);
    assertEquals(system.capabilities().securityContexts.available, true);
    await body(slapd, system);
  });

async function open(port: number): Promise<Socket> {
  const socket = connect(port, "127.0.0.1");
  await once(socket, "connect");
  return socket;
}

const combinations = MECHANISMS.flatMap((mechanism) => LAYERS.map((layer) => ({ mechanism, layer })));

test(
  "saslClient(): ldapts searches slapd through GSSAPI and GSS-SPNEGO with each layer, 2 MB too",
  withSlapd(async (slapd, system) => {
    for (const { mechanism, layer } of combinations) {
      using sasl = await saslClient({ mechanism, target: TARGET, layers: [layer], system });
      const socket = await open(slapd.port);
      const stream = await saslBind(socket, sasl);
      assertEquals([sasl.layer, stream === socket], [layer, layer === "none"]);
      const client = ldapClient(stream, "localhost");
      const { value } = await client.exop(WHO_AM_I);
      assertEquals(value, `dn:uid=alice,ou=people,${LDAP_BASE}`);
      const { searchEntries: [alice] } = await client.search(LDAP_BASE, { filter: "(uid=alice)" });
      assertEquals(alice.cn, "Alice");
      const { searchEntries: [large] } = await client.search(LDAP_BASE, { filter: "(cn=large)" });
      const lengths = (large.description as string[]).map((value) => value.length);
      assert(lengths.length === 40 && lengths.every((length) => length > 50_000), `${mechanism} ${layer}`);
      await client.unbind();
      socket.destroy();
    }
  }),
  { skip },
);

test(
  "saslClient(): one bit flipped in a result of slapd ends the connection, and ldapts gives none of it",
  withSlapd(async (slapd, system) => {
    for (const { mechanism, layer } of combinations.filter(({ layer }) => layer !== "none")) {
      let flipping = false;
      const middle = createServer((inner) => {
        const outer = connect(slapd.port, "127.0.0.1");
        inner.pipe(outer);
        outer.on("data", (chunk: Buffer) => {
          // Behind the length and the header of a record.
          if (flipping) chunk[40] ^= 1;
          inner.write(chunk);
        });
        for (const [one, other] of [[inner, outer], [outer, inner]]) {
          one.on("error", () => {});
          one.once("close", () => other.destroy());
        }
      });
      await once(middle.listen(0, "127.0.0.1"), "listening");
      using sasl = await saslClient({ mechanism, target: TARGET, layers: [layer], system });
      const socket = await open((middle.address() as { port: number }).port);
      const stream = await saslBind(socket, sasl);
      const client = ldapClient(stream, "localhost");
      await client.exop(WHO_AM_I);
      // Not before: ldapts removes the listeners of a stream that it is given.
      const error = new Promise<Error>((resolve) => stream.once("error", resolve));
      flipping = true;
      await assertRejects(() => client.search(LDAP_BASE, { filter: "(uid=alice)" }), Error);
      assertEquals([(await error).name, socket.destroyed], ["ProtocolError", true]);
      await assertRejects(() => client.exop(WHO_AM_I), Error, "bind anew");
      await new Promise((resolve) => middle.close(resolve));
    }
  }),
  { skip },
);

test(
  "saslClient(): slapd is asked to act as somebody else, and refuses alice that",
  withSlapd(async (slapd, system) => {
    const bind = async (options: Partial<SaslClientOptions>) => {
      using sasl = await saslClient({ mechanism: "GSSAPI", target: TARGET, system, ...options });
      const socket = await open(slapd.port);
      try {
        return await saslBind(socket, sasl);
      } finally {
        socket.destroy();
      }
    };
    await bind({ authorizationId: `dn:uid=alice,ou=people,${LDAP_BASE}` });
    await assertRejects(
      () => bind({ authorizationId: `dn:uid=bob,ou=people,${LDAP_BASE}` }),
      Error,
      "refuses",
    );
  }),
  { skip },
);

test(
  "examples/ldap_sasl.ts binds to slapd and prints what it finds",
  withSlapd(async (slapd) => {
    const args = ["localhost", `${slapd.port}`, LDAP_BASE, "(uid=alice)"];
    const { code, stdout, stderr } = await runExample("ldap_sasl", args);
    assertEquals([code, stderr], [0, ""]);
    assertStringIncludes(stdout, "layer confidentiality");
    assertStringIncludes(stdout, `uid=alice,ou=people,${LDAP_BASE}`);
  }),
  { skip: skip ?? noExamples },
);
