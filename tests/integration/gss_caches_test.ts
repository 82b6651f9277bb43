/** Credential caches of every type that exists here, given by name or as the default, used across threads. */

import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { test } from "@test";
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { AuthenticationError } from "../../errors.ts";
import type { Realm } from "../rig/realm.ts";
import { findProgram, mustRun } from "../../scripts/process.ts";
import { withEnv } from "../support/env.ts";
import { acquire, inRealmWith, NAMES, PROVIDERS, seenAs } from "../support/gss.ts";
import { noKeyring, noRealm } from "../support/kerberos.ts";

const skip = noRealm;
/** Where libkrb5 looks for the server of KCM caches. */
const KCM_SOCKET = "/var/run/.heim_org.h5l.kcm-socket";

/** A name that no other run of these tests uses. */
const unique = (): string => `secure-sockets-${crypto.randomUUID()}`;

interface Kind {
  readonly skip: string | null;
  /** The name of a cache, and of a collection that it is a member of, where there is one. */
  names(realm: Realm): { readonly cache: string; readonly collection?: string };
}

const KINDS: { readonly [kind: string]: Kind } = {
  FILE: { skip, names: (realm) => ({ cache: `FILE:${join(realm.dir, "of-file")}` }) },
  DIR: {
    skip,
    names: (realm) => {
      const dir = join(realm.dir, "of-dir");
      mkdirSync(dir, { mode: 0o700 });
      return { cache: `DIR::${dir}/tkt-of-bob`, collection: `DIR:${dir}` };
    },
  },
  "KEYRING:user": {
    skip: noKeyring,
    names: () => {
      const collection = `KEYRING:user:${unique()}`;
      return { cache: `${collection}:of-bob`, collection };
    },
  },
  "KEYRING:session": {
    skip: noKeyring,
    names: () => {
      const collection = `KEYRING:session:${unique()}`;
      return { cache: `${collection}:of-bob`, collection };
    },
  },
  // Not its collection, which every process of this user shares.
  "KEYRING:persistent": {
    skip: noKeyring,
    names: () => ({ cache: `KEYRING:persistent:${process.getuid!()}:${unique()}` }),
  },
  KCM: {
    skip: skip ?? (existsSync(KCM_SOCKET) ? null : "no server for KCM caches runs here (install sssd-kcm)"),
    names: () => ({ cache: `KCM:${process.getuid!()}:${unique()}` }),
  },
  "KEYRING of the old form": { skip: noKeyring, names: () => ({ cache: `KEYRING:${unique()}` }) },
};

async function destroy(cache: string, env: Record<string, string>): Promise<void> {
  await mustRun(findProgram("kdestroy")!, ["-q", "-c", cache], { env });
}

for (const [kind, { skip, names }] of Object.entries(KINDS)) {
  for (const name of NAMES) {
    const provider = PROVIDERS[name];
    test(
      `${name}: a ${kind} cache is used by its name, as the default, and as the first of its collection`,
      () =>
        inRealmWith({}, async (realm, system) => {
          const { cache, collection } = names(realm);
          await realm.kinit("bob", { cache });
          try {
            if (collection !== undefined) {
              await mustRun(findProgram("kswitch")!, ["-c", cache], {
                env: { ...realm.env, KRB5CCNAME: collection },
              });
            }
            for (const given of collection === undefined ? [cache] : [cache, collection]) {
              assertEquals(await seenAs(system, provider, { cache: given }), "bob@MIT.TEST");
              await withEnv({ KRB5CCNAME: given }, async () => {
                assertEquals(await seenAs(system, provider), "bob@MIT.TEST");
              });
            }
            // After a turn of the event loop, calls run on other threads of the pool.
            const many = Array.from({ length: 20 }, () => seenAs(system, provider, { cache }));
            assertEquals(new Set(await Promise.all(many)), new Set(["bob@MIT.TEST"]));
          } finally {
            await destroy(cache, realm.env);
          }
        }),
      { skip },
    );

    test(
      `${name}: an empty ${kind} cache is no-credentials, and the message names it`,
      () =>
        inRealmWith({}, async (realm, system) => {
          const { cache } = names(realm);
          const error = await assertRejects(
            () => acquire(system, "client", { provider, credentials: { cache } }),
            AuthenticationError,
          );
          assertEquals(error.reason, "no-credentials", error.message);
          assertStringIncludes(error.message, `cache ${cache}, krb5.conf ${realm.env.KRB5_CONFIG}`);
          const nothing = { KRB5CCNAME: cache, KRB5_CLIENT_KTNAME: join(realm.dir, "none") };
          await withEnv(nothing, async () => {
            const error = await assertRejects(
              () => acquire(system, "client", { provider }),
              AuthenticationError,
            );
            assertEquals(error.reason, "no-credentials", error.message);
            assertStringIncludes(error.message, `cache ${cache}, client key table `);
            assert(error.message.includes(nothing.KRB5_CLIENT_KTNAME));
          });
          // An empty default cache is filled from the machine's client key table; the library cannot do this for a
          // cache of a DIR collection.
          if (kind === "DIR") return;
          await withEnv({ KRB5CCNAME: cache }, async () => {
            assertEquals(await seenAs(system, provider), "alice@MIT.TEST");
          });
        }),
      { skip },
    );
  }
}
