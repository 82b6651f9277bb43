/** How connections are bound and protected: TLS and its certificates, channel bindings, passwords, refusals. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { test } from "@test";
import { Buffer } from "node:buffer";
import type { DirectoryOptions } from "../../directory/mod.ts";
import { openDirectory } from "../../directory/mod.ts";
import { AuthenticationError, DirectoryError, ProtocolError, TransportError } from "../../errors.ts";
import type { System } from "../../mod.ts";
import { certificatesUnavailable, makeCertificate } from "../rig/certificates.ts";
import { inDomain, noAdDc } from "../support/ad.ts";
import { directoryOf } from "../support/directory.ts";
import {
  done,
  type FakeDirectory,
  type FakeOptions,
  message,
  startFakeDirectory,
} from "../support/fake_ldap_server.ts";
import { inRealm, noRealm } from "../support/kerberos.ts";

const noDomain = noAdDc ?? certificatesUnavailable();
const skip = noRealm ?? certificatesUnavailable();
const TARGET = "host/localhost";

function serversOf({ port }: FakeDirectory): DirectoryOptions["servers"] {
  return [{ hostname: "localhost", port, address: "127.0.0.1" }];
}

test(
  "openDirectory() binds over LDAPS and StartTLS, by Negotiate and by password, to a controller",
  async () => {
    const certificate = await makeCertificate("rsa", "dc1.example.test");
    await inDomain(
      async (dc, system) => {
        await dc.kinit("alice");
        const { system: _, ...rest } = directoryOf(dc, system);
        const simple = { name: "alice@example.test", password: new TextEncoder().encode(dc.users.alice) };
        for (const security of ["ldaps", "starttls"] as const) {
          const options = { ...rest, security, ca: certificate.cert };
          for (const how of [{ system }, { simple }]) {
            await using directory = await openDirectory({ ...options, ...how });
            assertEquals(directory.server.port, security === "ldaps" ? 636 : 389);
            assertEquals(directory.security.context?.channelBindings, "simple" in how ? undefined : "sent");
            const alice = await directory.read(`CN=alice,CN=Users,${dc.base}`, {
              attributes: ["displayName"],
            });
            assertEquals(alice?.text("displayname"), "Alice Example");
          }
          await assertRejects(
            () => openDirectory({ ...rest, system, security }),
            TransportError,
            "give the authority's in options.ca",
          );
          const other = [{ hostname: "dc2.example.test", address: dc.address }];
          await assertRejects(
            () => openDirectory({ ...options, system, servers: other }),
            TransportError,
            "must be dc2.example.test's",
          );
          const wrong = { ...options, simple: { ...simple, password: "no" } };
          const error = await assertRejects(() => openDirectory(wrong), AuthenticationError);
          assertEquals(error.reason, "bad-credentials");
          await using catalog = await openDirectory({ ...options, system, globalCatalog: true });
          assertEquals(catalog.server.port, security === "ldaps" ? 3269 : 3268);
        }
      },
      {},
      { certificate, strongAuthentication: "allow_sasl_over_tls" },
    );
  },
  { skip: noDomain },
);

/** Opens over TLS, bound by Negotiate, to a server that demands channel bindings of `bound`'s certificate. */
async function openBound(
  system: System,
  options: FakeOptions & { readonly bound?: Uint8Array },
  more: Partial<DirectoryOptions> = {},
): Promise<void> {
  const { bound, ...fake } = options;
  const bindings = bound === undefined ? {} : {
    channelBindings: { type: "tls-server-end-point", certificate: bound },
    channelBindingPolicy: "always",
  } as const;
  const sasl = {
    mechanism: "GSS-SPNEGO",
    acceptedTargets: [TARGET],
    layers: ["none"],
    system,
    ...bindings,
  } as const;
  await using server = await startFakeDirectory({ sasl, ...fake });
  const { cert } = options.certificate!;
  const open = { servers: serversOf(server), target: TARGET, system, ca: cert, ...more };
  await using directory = await openDirectory({ security: "ldaps", ...open });
  assertEquals(directory.security.context?.channelBindings, "sent");
}

function derOf(pem: string): Uint8Array {
  return new Uint8Array(Buffer.from(pem.replace(/-----[^-]+-----|\s/g, ""), "base64"));
}

test("a bind over TLS is bound to the server's certificate, as a server that demands it sees", async () => {
  const [certificate, other] = await Promise.all([makeCertificate(), makeCertificate()]);
  await inRealm(async (_, system) => {
    await openBound(system, { certificate, bound: derOf(certificate.cert) });
    await openBound(system, { certificate, bound: derOf(certificate.cert), startTls: {} }, {
      security: "starttls",
    });
    // Somebody between, whose certificate is trusted, too: the server's is another one.
    await assertRejects(
      () => openBound(system, { certificate, bound: derOf(other.cert) }),
      TransportError,
      "closed",
    );
  });
}, { skip });

test(
  "StartTLS that is refused, or followed by bytes in clear text, ends the connection before the bind",
  async () => {
    const certificate = await makeCertificate();
    await inRealm(async (_, system) => {
      const tls = { security: "starttls" } as const;
      const refused = { certificate, startTls: { code: 2 } };
      const error = await assertRejects(
        () => openBound(system, refused, tls),
        DirectoryError,
        "Cannot start TLS",
      );
      assertEquals(error.resultName, "protocolError");
      const injected = { certificate, startTls: { then: message(9, done()) } };
      await assertRejects(() => openBound(system, injected, tls), ProtocolError);
    });
  },
  { skip },
);

test("a refused password says why, is in no message, and is shown to no other server", async () => {
  const certificate = await makeCertificate();
  const reasons = {
    "52e": "bad-credentials",
    "532": "password-expired",
    "701": "account-expired",
    "775": "account-locked",
  };
  for (const [data, reason] of Object.entries(reasons)) {
    const words =
      `80090308: LdapErr: DSID-0C090439, comment: AcceptSecurityContext error, data ${data}, v4563`;
    const fake = { certificate, simple: { code: 49, words } };
    await using first = await startFakeDirectory(fake);
    await using second = await startFakeDirectory(fake);
    const servers = [...serversOf(first)!, ...serversOf(second)!];
    const simple = { name: "CN=a", password: "Secret1234!" };
    const error = await assertRejects(
      () => openDirectory({ servers, security: "ldaps", ca: certificate.cert, simple }),
      AuthenticationError,
    );
    assertEquals(error.reason, reason);
    assert(!`${error.message}${error.cause}`.includes("Secret"), error.message);
    assertEquals([first.binds, second.binds], [["CN=a Secret1234!"], []]);
  }
}, { skip });

test("a password goes only to names of the domain, whatever DNS says", async () => {
  const records = () => Promise.resolve([{ hostname: "dc.evil.test", port: 389, priority: 0, weight: 0 }]);
  const simple = { name: "a", password: "b" };
  await assertRejects(
    () => openDirectory({ domain: "example.test", security: "ldaps", simple, resolver: { records } }),
    TransportError,
    "are not names of the domain",
  );
}, { skip });

test(
  "openDirectory() reports an expired and a wrong password, and does not try the next server with it",
  () =>
    inDomain(async (dc, system) => {
      await dc.tool(["user", "create", "eve", "Eve1234!", "--must-change-at-next-login"]);
      const { servers: [server] = [], ...rest } = directoryOf(dc, system);
      // The second would be refused as unreachable: it is not reached.
      const servers = [server, { hostname: "dead.example.test", address: "127.0.0.2", port: 1 }];
      for (
        const [password, reasons] of [["Eve1234!", ["password-expired"]], ["no", [
          "bad-credentials",
          "preauthentication",
        ]]] as const
      ) {
        const credentials = { username: "eve", domain: dc.realm, password };
        const error = await assertRejects(
          () => openDirectory({ ...rest, servers, credentials }),
          AuthenticationError,
        );
        assert((reasons as readonly string[]).includes(error.reason), error.reason);
      }
      const stranger = { ...rest, servers: [{ ...server as object, hostname: "web9.example.test" }] };
      await dc.kinit("alice");
      const error = await assertRejects(
        () => openDirectory(stranger as DirectoryOptions),
        AuthenticationError,
      );
      assertEquals(error.reason, "unknown-target");
    }),
  { skip: noAdDc },
);
