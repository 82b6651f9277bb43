/** peerIdentity with GSS-API without a PAC: Kerberos of an MIT realm, and NTLM. */

import { assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import { test } from "@test";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { AuthenticationError, StateError } from "../../errors.ts";
import type { NativeSystem } from "../../ffi/system.ts";
import { isMember, negotiate, type PeerIdentity } from "../../mod.ts";
import type { Realm } from "../rig/realm.ts";
import { withEnv } from "../support/env.ts";
import { type EndsOptions, exchange, inRealmWith, makeEnds, NAMES, PROVIDERS } from "../support/gss.ts";
import { noRealm } from "../support/kerberos.ts";

const skip = noRealm;
const places = ["x86_64", "aarch64"].map((arch) => `/usr/lib/${arch}-linux-gnu/gssntlmssp/gssntlmssp.so`);
const noNtlm = noRealm ?? (places.some((path) => existsSync(path)) ? null : "install gss-ntlmssp");

/** The peerIdentity of both ends. */
interface Both {
  readonly client: PeerIdentity | undefined;
  readonly server: PeerIdentity | undefined;
}

async function identities(system: NativeSystem, options: EndsOptions = {}): Promise<Both> {
  using ends = await makeEnds(system, options);
  await exchange(ends);
  return { client: ends.server.peerIdentity, server: ends.client.peerIdentity };
}

const ALICE = { name: "alice@MIT.TEST", user: "alice", realm: "MIT.TEST", kind: "unknown" } as const;

for (const name of NAMES) {
  test(
    `${name}: peerIdentity.groups is undefined, not empty, for a ticket without groups`,
    () =>
      inRealmWith({}, async (realm, system) => {
        await realm.kinit("alice");
        const { client, server } = await identities(system, { provider: PROVIDERS[name] });
        assertEquals(client, { ...ALICE, localName: "alice" });
        assertEquals("groups" in client! || "sid" in client!, false);
        assertEquals(server, {
          name: "HTTP/localhost@MIT.TEST",
          user: "HTTP/localhost",
          realm: "MIT.TEST",
          kind: "service",
        });
        const error = assertThrows(() => isMember(client, "S-1-5-32-544"), AuthenticationError, "(no PAC)");
        assertEquals(error.message.includes("alice@MIT.TEST"), true);
      }),
    { skip },
  );

  test(
    `${name}: peerIdentity is undefined for a server that did not prove its identity`,
    () =>
      inRealmWith({}, async (realm, system) => {
        await realm.kinit("alice");
        const requirements = { mutualAuthentication: false };
        const { client, server } = await identities(system, { provider: PROVIDERS[name], requirements });
        assertEquals([client?.name, server], ["alice@MIT.TEST", undefined]);
      }),
    { skip },
  );
}

test(
  "peerIdentity is read once, after the exchange, and not from a closed context",
  () =>
    inRealmWith({}, async (realm, system) => {
      await realm.kinit("alice");
      using ends = await makeEnds(system);
      assertThrows(() => ends.server.peerIdentity, StateError, "step()");
      await exchange(ends);
      assertStrictEquals(ends.server.peerIdentity, ends.server.peerIdentity!);
      assertEquals(Object.isFrozen(ends.server.peerIdentity), true);
      ends.server.close();
      assertThrows(() => ends.server.peerIdentity, StateError, "closed");
    }),
  { skip },
);

async function asUser(realm: Realm, system: NativeSystem, name: string): Promise<PeerIdentity | undefined> {
  await realm.kadmin([`addprinc -pw secret "${name}"`]);
  await realm.kinit(name, { password: "secret" });
  return (await identities(system)).client;
}

test(
  "peerIdentity splits a name where its realm begins, and keeps its escapes",
  () =>
    inRealmWith({}, async (realm, system) => {
      const names: readonly (readonly [string, string | undefined])[] = [
        ["alice/admin", undefined],
        // The rules map the text of the user's part, which is not a name of the other realm.
        ["eve\\@OTHER.TEST", "eve@OTHER.TEST"],
        ["Ångström", "Ångström"],
      ];
      for (const [name, localName] of names) {
        const identity = await asUser(realm, system, name);
        assertEquals(identity, {
          name: `${name}@MIT.TEST`,
          user: name,
          realm: "MIT.TEST",
          kind: "unknown",
          ...(localName === undefined ? {} : { localName }),
        });
      }
    }),
  { skip },
);

test(
  "peerIdentity.localName is from the configuration: none for another realm than the default one",
  () =>
    inRealmWith({}, async (realm, system) => {
      await realm.kinit("alice");
      const KRB5_CONFIG = realm.writeConfig({ libdefaults: { default_realm: "OTHER.TEST" } });
      await withEnv({ KRB5_CONFIG }, async () => {
        const { client } = await identities(system, { target: "HTTP/localhost@MIT.TEST" });
        assertEquals(client, ALICE);
      });
    }),
  { skip },
);

test(
  "peerIdentity with NTLM has the account and its domain; on the client it is undefined",
  () =>
    inRealmWith({}, (realm, system) => {
      const users = join(realm.dir, "ntlm-users");
      writeFileSync(users, "MIT:alice:Alice1234!\n");
      const env = { NTLM_USER_FILE: users, KRB5_CLIENT_KTNAME: join(realm.dir, "none") };
      return withEnv(env, async () => {
        const both = await identities(system, {
          provider: negotiate({ allowNtlm: true }),
          requirements: { mutualAuthentication: false },
        });
        assertEquals(both, {
          client: { name: "MIT\\alice", user: "alice", realm: "MIT", kind: "unknown" },
          server: undefined,
        });
      });
    }),
  { skip: noNtlm },
);
