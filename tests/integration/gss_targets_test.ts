/** The requestedTarget that a Kerberos server reports, and acceptedTargets, where several names share one key. */

import { assertEquals, assertRejects } from "@std/assert";
import { test } from "@test";
import { copyFileSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { AuthenticationError } from "../../errors.ts";
import { GSS_C } from "../../ffi/raw/gssapi.ts";
import type { NativeSystem } from "../../ffi/system.ts";
import type { ContextProvider, ProviderContext, ProviderSystem } from "../../contract.ts";
import { createRegistry } from "../../plugins/registry.ts";
import { run } from "../../scripts/process.ts";
import type { Realm } from "../rig/realm.ts";
import { secure } from "../../sockets/mod.ts";
import { withEnv } from "../support/env.ts";
import { acquire, exchange, inRealmWith, makeEnds, NAMES, PROVIDERS } from "../support/gss.ts";
import { noRealm } from "../support/kerberos.ts";
import {
  authorizationData,
  der,
  kerberosToken,
  negTokenInit,
  negTokenResp,
  OID,
  utf16,
} from "../support/kerberos_tokens.ts";
import { MemoryTransport } from "../support/memory_transport.ts";
import { RawClient } from "../support/raw_gss.ts";
import { compile, noKerberosHeaders } from "../support/native.ts";

const skip = noRealm;
const [WEB, DATABASE] = ["HTTP/one.mit.test", "MSSQLSvc/one.mit.test:1433"];
/** As long as {@linkcode WEB}, so that one can be written over the other. */
const MAIL = "IMAP/one.mit.test";
const IN = "@MIT.TEST";

/** A realm with an account with several names and one key, like an account of Active Directory. */
function inSharedRealm(
  body: (realm: Realm, system: NativeSystem, keytab: string) => Promise<void>,
): Promise<void> {
  return inRealmWith({}, async (realm, system) => {
    const keytab = join(realm.dir, "shared.keytab");
    const names = [WEB, DATABASE, MAIL];
    // The salt "onlyrealm" makes equal passwords equal keys.
    await realm.kadmin(
      names.map((name) => `addprinc -pw Shared1! -e aes256-cts-hmac-sha1-96:onlyrealm ${name}`),
    );
    await realm.exportKeytab(keytab, names);
    await realm.kinit("alice");
    await body(realm, system, keytab);
  });
}

/** The target that a server reports for a client that requests `target`. */
async function reported(
  system: ProviderSystem,
  provider: ContextProvider,
  target: string,
  credentials: { keytab: string; principal?: string },
  alter?: (token: Uint8Array) => Uint8Array,
): Promise<string | undefined> {
  using ends = await makeEnds(system, { provider, target, server: { credentials } });
  await exchange(ends, (token, step) => step === 0 && alter ? alter(token) : token);
  return ends.server.requestedTarget;
}

/** Returns a function that replaces one name in a token with another of the same length. */
function rename(from: string, to: string): (token: Uint8Array) => Uint8Array {
  return (token) => {
    const text = Array.from(token, (byte) => String.fromCharCode(byte)).join("");
    return Uint8Array.from(text.replace(from, to), (character) => character.charCodeAt(0));
  };
}

for (const name of NAMES) {
  const provider = PROVIDERS[name];

  test(
    `${name}: requestedTarget is the client's target, whichever entry of the key table decrypts the ticket`,
    () =>
      inSharedRealm(async (_, system, keytab) => {
        for (const target of [WEB, DATABASE, MAIL]) {
          for (const principal of [undefined, WEB, DATABASE]) {
            const credentials = { keytab, ...(principal === undefined ? {} : { principal }) };
            assertEquals(await reported(system, provider, target, credentials), target + IN);
          }
        }
      }),
    { skip },
  );

  test(
    `${name}: acceptedTargets accepts a client that requested a name on the list, and refuses another`,
    () =>
      inSharedRealm(async (_, system, keytab) => {
        const common = { system, registry: createRegistry([provider]) };
        const meet = async (target: string, accepted: string): Promise<string | undefined> => {
          const [a, b] = MemoryTransport.pair();
          const server = secure(b, {
            ...common,
            role: "server",
            credentials: { keytab },
            acceptedTargets: [accepted],
          });
          const client = secure(a, { ...common, role: "client", target });
          const [atServer, atClient] = await Promise.allSettled([server, client]);
          for (const end of [atServer, atClient]) if (end.status === "fulfilled") await end.value.close();
          return atServer.status === "fulfilled"
            ? undefined
            : (atServer.reason as AuthenticationError).reason;
        };
        for (const target of [WEB, DATABASE, MAIL]) {
          for (const accepted of [WEB, DATABASE.toUpperCase(), `${MAIL}${IN}`]) {
            const same = accepted.toUpperCase().replace(IN, "") === target.toUpperCase();
            assertEquals(await meet(target, accepted), same ? undefined : "target-not-accepted");
          }
        }
      }),
    { skip },
  );

  test(
    `${name}: requestedTarget reports a replaced name in the ticket only where it has the same key`,
    () =>
      inSharedRealm(async (realm, system, keytab) => {
        const alter = rename("HTTP", "IMAP");
        // The limitation that the guide states: names with one key cannot be distinguished.
        assertEquals(await reported(system, provider, WEB, { keytab }, alter), MAIL + IN);
        // Like the account's table, but without an entry for the name, in any spelling.
        const one = join(realm.dir, "one.keytab");
        await realm.exportKeytab(one, [WEB, DATABASE]);
        assertEquals(await reported(system, provider, WEB, { keytab: one }, alter), MAIL + IN);
        // Another account, in the same table.
        const two = join(realm.dir, "two.keytab");
        await realm.kadmin([`cpw -randkey ${MAIL}`]);
        await realm.exportKeytab(two, [WEB, MAIL]);
        for (const spelling of ["IMAP", "imap", "LDAP"]) {
          const written = rename("HTTP", spelling);
          assertEquals(await reported(system, provider, WEB, { keytab: two }, written), undefined, spelling);
        }
        // Its old key was the other's, which does not count once it has a new one.
        await realm.exportKeytab(keytab, [MAIL]);
        await realm.kadmin([`cpw -randkey ${WEB}`]);
        await realm.exportKeytab(keytab, [WEB]);
        await realm.kinit("alice");
        assertEquals(await reported(system, provider, WEB, { keytab }, alter), undefined);
        assertEquals(await reported(system, provider, WEB, { keytab }), WEB + IN);
        assertEquals(await reported(system, provider, MAIL, { keytab }), MAIL + IN);
        // A separate key table, or a given principal, refuses the ticket itself.
        const own = join(realm.dir, "mail.keytab");
        await realm.exportKeytab(own, [MAIL]);
        for (const credentials of [{ keytab: own }, { keytab: two, principal: MAIL }]) {
          const error = await assertRejects(
            () => reported(system, provider, WEB, credentials, alter),
            AuthenticationError,
          );
          assertEquals(error.reason, "wrong-target");
        }
      }),
    { skip },
  );

  test(
    `${name}: requestedTarget with spaces in the service class is unchanged`,
    () =>
      inRealmWith({}, async (realm, system) => {
        const target = "Microsoft Virtual Console Service/hv1.mit.test";
        await realm.addPrincipal(target);
        await realm.kinit("alice");
        using ends = await makeEnds(system, { provider, target });
        await exchange(ends);
        assertEquals([ends.client.peerName, ends.server.requestedTarget], [target, target + IN]);
      }),
    { skip },
  );

  test(
    `${name}: requestedTarget is found by its keys where the key table has another account too`,
    () =>
      inSharedRealm(async (realm, system) => {
        const other = "HTTP/other.mit.test";
        await realm.kadmin([`addprinc -randkey ${other}`]);
        const keytab = join(realm.dir, "mixed.keytab");
        await realm.exportKeytab(keytab, [WEB, MAIL, other]);
        assertEquals(await reported(system, provider, MAIL, { keytab }), MAIL + IN);
        // In another case than in the table.
        const lower = rename("HTTP", "imap");
        assertEquals(
          await reported(system, provider, WEB, { keytab }, lower),
          MAIL.replace("IMAP", "imap") + IN,
        );
        // A name without an entry in the table is accepted only where one principal's keys are used.
        assertEquals(await reported(system, provider, DATABASE, { keytab }), undefined);
        assertEquals(await reported(system, provider, DATABASE, { keytab, principal: WEB }), DATABASE + IN);
      }),
    { skip },
  );

  test(
    `${name}: requestedTarget ignores keys of another encryption type than the ticket's`,
    () =>
      inRealmWith({}, async (realm, system) => {
        const [one, two] = ["aes256-cts-hmac-sha1-96:onlyrealm", "aes128-cts-hmac-sha1-96:onlyrealm"];
        await realm.kadmin([
          `addprinc -pw Shared1! -e ${one},${two} ${WEB}`,
          `addprinc -pw Shared1! -e ${one} ${MAIL}`,
        ]);
        const keytab = join(realm.dir, "types.keytab");
        await realm.exportKeytab(keytab, [WEB, MAIL]);
        await realm.kinit("alice");
        assertEquals(await reported(system, provider, MAIL, { keytab }), MAIL + IN);
      }),
    { skip },
  );

  test(
    `${name}: requestedTarget is undefined where the key table has changed since and the name does not have the key`,
    () =>
      inSharedRealm(async (realm, system, keytab) => {
        const without = join(realm.dir, "without.keytab");
        await realm.exportKeytab(without, [DATABASE]);
        for (const change of [() => rmSync(keytab), () => copyFileSync(without, keytab)]) {
          await realm.exportKeytab(keytab, [WEB, DATABASE]);
          using ends = await makeEnds(system, {
            provider,
            target: DATABASE,
            server: { credentials: { keytab } },
          });
          await exchange(ends);
          change();
          assertEquals(ends.server.requestedTarget, undefined);
        }
      }),
    { skip },
  );

  test(
    `${name}: requestedTarget is found in the default key table where no keytab is given`,
    () =>
      inSharedRealm((_, system, keytab) =>
        withEnv({ KRB5_KTNAME: `FILE:${keytab}` }, async () => {
          using ends = await makeEnds(system, { provider, target: DATABASE });
          await exchange(ends);
          assertEquals(ends.server.requestedTarget, DATABASE + IN);
        })
      ),
    { skip },
  );
}

/** A server's context that gets tokens one by one. */
async function serving(
  system: ProviderSystem,
  provider: ContextProvider,
  keytab: string,
  body: (context: ProviderContext) => Promise<void>,
): Promise<string | undefined> {
  using credentials = await acquire(system, "server", { provider, credentials: { keytab } });
  const context = credentials.server({});
  try {
    await body(context);
    assertEquals(context.done, true);
    return context.requestedTarget;
  } finally {
    context.close();
  }
}

/** Runs `body` with a client of Kerberos alone and its AP-REQ. */
async function withRequest<T>(
  system: ProviderSystem,
  target: string,
  body: (request: Uint8Array, client: ProviderContext) => Promise<T>,
): Promise<T> {
  using credentials = await acquire(system, "client", { provider: PROVIDERS.kerberos });
  const client = credentials.client({ target });
  try {
    const { token } = await client.step(null);
    return await body(token!.subarray(token!.indexOf(0x6e, 15)), client);
  } finally {
    client.close();
  }
}

test(
  "requestedTarget is read from every form of AP-REQ that libgssapi accepts in one step",
  () =>
    inSharedRealm(async (_, system, keytab) => {
      const { kerberos, negotiate } = PROVIDERS;
      const forms: [string, ContextProvider, (request: Uint8Array) => Uint8Array[]][] = [
        ["RFC 4121", kerberos, (one) => [kerberosToken(one)]],
        ["RFC 4178", negotiate, (one) => [negTokenInit([OID.kerberos], kerberosToken(one))]],
        ["Windows", negotiate, (one) => [
          negTokenInit([OID.microsoft, OID.kerberos, OID.ntlm], kerberosToken(one)),
        ]],
        ["a list of mechanisms first", negotiate, (one) => [
          negTokenInit([OID.kerberos]),
          negTokenResp(kerberosToken(one)),
        ]],
      ];
      for (const [form, provider, tokens] of forms) {
        await withRequest(system, DATABASE, async (one) => {
          const target = await serving(system, provider, keytab, async (context) => {
            for (const token of tokens(one)) await context.step(token);
          });
          assertEquals(target, DATABASE + IN, form);
        });
      }
    }),
  { skip },
);

for (
  const [what, first, expected] of [
    ["NTLM's, which is not supported here", new TextEncoder().encode("NTLMSSP\0 and so on"), DATABASE + IN],
    ["another name's, which the library ignores", null, undefined],
  ] as const
) {
  test(
    `requestedTarget is ${expected} where SPNEGO falls back to Kerberos in its second step, after a first token of ${what}`,
    () =>
      inSharedRealm((_, system, keytab) =>
        withRequest(system, WEB, (other) =>
          withRequest(system, DATABASE, async (one, client) => {
            const mechanisms = [OID.ntlm, OID.kerberos];
            const target = await serving(system, PROVIDERS.negotiate, keytab, async (server) => {
              await server.step(negTokenInit(mechanisms, first ?? kerberosToken(other)));
              const { token } = await server.step(negTokenResp(kerberosToken(one)));
              await client.step(framedIn(token!));
              // RFC 4178, 5: the list is signed where its first mechanism was not the one.
              await server.step(negTokenResp(undefined, client.sign(der(0x30, ...mechanisms))));
            });
            assertEquals(target, expected);
          }))
      ),
    { skip },
  );
}

/** The Kerberos token inside a server's answer. */
function framedIn(answer: Uint8Array): Uint8Array {
  const at = answer.indexOf(0x60);
  const short = answer[at + 1] < 0x80;
  return answer.subarray(at, short ? at + 2 + answer[at + 1] : at + 3 + answer[at + 2]);
}

test(
  "requestedTarget with escaped characters has a unique text",
  () =>
    inRealmWith({}, async (realm, system) => {
      await realm.kinit("alice");
      const keytab = join(realm.dir, "odd.keytab");
      const flags = GSS_C.MUTUAL_FLAG | GSS_C.INTEG_FLAG | GSS_C.REPLAY_FLAG | GSS_C.SEQUENCE_FLAG;
      for (const target of ["HTTP\\/x/one", "HTTP/x\\@one", "HTTP/x\\\\one", "HTTP", "a/b/c/d"]) {
        await realm.kadmin([`addprinc -randkey "${target}"`]);
        await realm.exportKeytab(keytab, [target]);
        for (
          const [provider, mechanism] of [[PROVIDERS.kerberos, "kerberos"], [
            PROVIDERS.negotiate,
            "spnego",
          ]] as const
        ) {
          using client = new RawClient(system, { mechanism, target, flags });
          const reported = await serving(system, provider, keytab, async (server) => {
            await exchange({ client, server });
          });
          assertEquals(reported, target + IN);
        }
      }
    }),
  { skip },
);

const hex = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

test(
  "requestedTarget needs the target in the authenticator, which Windows repeats there, to equal that of the ticket",
  () =>
    inSharedRealm(async (realm, system, keytab) => {
      const source = readFileSync(new URL("fixtures/krb5_authdata_client.c", import.meta.url), "utf8");
      using program = await compile(source, ["-Wall", "-Werror", "-lkrb5", "-lk5crypto"]);
      const repeated = async (data: Uint8Array | null): Promise<string | undefined> => {
        const args = [WEB, ...(data === null ? [] : [hex(data)])];
        const { code, stdout, stderr } = await run(program.path, args, { env: realm.env });
        assertEquals([code, stderr], [0, ""]);
        const apReq = Uint8Array.from(stdout.trim().match(/../g)!, (byte) => parseInt(byte, 16));
        return await serving(system, PROVIDERS.kerberos, keytab, async (context) => {
          await context.step(kerberosToken(apReq));
        });
      };
      const target = (text: string) => [144, utf16(text)] as const;
      assertEquals(await repeated(null), WEB + IN);
      assertEquals(await repeated(authorizationData([141, [0, 1]])), WEB + IN);
      assertEquals(await repeated(authorizationData([141, [0, 1]], target(WEB + IN))), WEB + IN);
      assertEquals(await repeated(authorizationData(target(WEB.toLowerCase()))), WEB + IN);
      for (const other of [DATABASE, `${WEB}@OTHER.TEST`, "", "one", `${WEB}\0`]) {
        assertEquals(await repeated(authorizationData(target(other))), undefined, other);
      }
      assertEquals(await repeated(authorizationData(target(WEB), target(DATABASE))), undefined);
      // Invalid data: a target with an odd number of bytes.
      assertEquals(await repeated(authorizationData([144, [0x48, 0, 0x54]])), undefined);
    }),
  { skip: skip ?? noKerberosHeaders() },
);
