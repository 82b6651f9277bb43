/** Credentials of a process: its default cache, a key table, a password or a given cache. */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { test } from "@test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { AuthenticationError, StateError } from "../../errors.ts";
import type { Backend, Library, LibrarySpec } from "../../ffi/abi.ts";
import type { GSSAPI } from "../../ffi/raw/gssapi.ts";
import { NativeSystem } from "../../ffi/system.ts";
import type { Credentials } from "../../contract.ts";
import { liveHandles } from "../../testing/mod.ts";
import {
  acquire,
  bytes,
  exchange,
  includes,
  inRealmWith,
  makeEnds,
  NAMES,
  nobody,
  PROVIDERS,
  seenAs,
  TARGET,
  unwrap,
  withContexts,
  wrap,
} from "../support/gss.ts";
import { withEnv } from "../support/env.ts";
import { noRealm } from "../support/kerberos.ts";
import { runtimeBackend } from "../support/native.ts";
import { shown, watchSecret } from "../support/secret_watch.ts";

const skip = noRealm;

for (const name of NAMES) {
  const provider = PROVIDERS[name];

  test(
    `${name}: without credentials the client is the owner of the default cache, or else of the client key table`,
    () =>
      inRealmWith({}, async (realm, system) => {
        assertEquals(await seenAs(system, provider), "alice@MIT.TEST");
        await realm.kinit("bob");
        assertEquals(await seenAs(system, provider), "bob@MIT.TEST");
      }),
    { skip },
  );

  test(
    `${name}: keytab makes the client its first or the given principal, and changes no cache`,
    () =>
      inRealmWith({}, async (realm, system) => {
        const keytab = join(realm.dir, "two.keytab");
        await realm.exportKeytab(keytab, ["bob", "alice"]);
        await withEnv(nobody(realm), async () => {
          assertEquals(await seenAs(system, provider, { keytab: `FILE:${keytab}` }), "bob@MIT.TEST");
          assertEquals(await seenAs(system, provider, { keytab, principal: "alice" }), "alice@MIT.TEST");
          assertEquals(existsSync(join(realm.dir, "no-cache")), false);
        });
      }),
    { skip },
  );

  test(
    `${name}: cache makes the client the cache's owner, independent of the default cache`,
    () =>
      inRealmWith({}, async (realm, system) => {
        await realm.kinit("alice");
        const cache = await realm.kinit("bob", { cache: `FILE:${join(realm.dir, "bobs")}` });
        assertEquals(await seenAs(system, provider, { cache }), "bob@MIT.TEST");
      }),
    { skip },
  );

  test(
    `${name}: cache that does not exist is not filled from the machine's client key table`,
    () =>
      inRealmWith({}, async (realm, system) => {
        const path = join(realm.dir, "not-there");
        const credentials = { cache: `FILE:${path}` };
        const error = await assertRejects(
          () => acquire(system, "client", { provider, credentials }),
          AuthenticationError,
          "kinit",
        );
        assertEquals([error.reason, existsSync(path)], ["no-credentials", false]);
      }),
    { skip },
  );

  test(
    `${name}: password makes the client its user, as text or as bytes, with or without the realm`,
    () =>
      inRealmWith({}, async (realm, system) => {
        await withEnv(nobody(realm), async () => {
          const { bob } = realm.users;
          assertEquals(await seenAs(system, provider, { username: "bob", password: bob }), "bob@MIT.TEST");
          assertEquals(
            await seenAs(system, provider, { username: "bob", domain: "MIT.TEST", password: bob }),
            "bob@MIT.TEST",
          );
          const password = bytes(bob);
          assertEquals(await seenAs(system, provider, { username: "bob", password }), "bob@MIT.TEST");
          assertEquals(password, bytes(bob));
          assertEquals(existsSync(join(realm.dir, "no-cache")), false);
        });
      }),
    { skip },
  );

  test(
    `${name}: a password is zeroed in every buffer once it was used, right or wrong, and shown nowhere`,
    () => {
      const real = runtimeBackend();
      const seen: Uint8Array[] = [];
      const backend: Backend = {
        ...real,
        open<L extends LibrarySpec>(path: string, spec: L): Library<L> {
          const library = real.open(path, spec) as unknown as Library<typeof GSSAPI>;
          const { krb5_get_init_creds_password: original } = library.threaded;
          const spy: typeof original = (...args) => {
            seen.push(args[3]!);
            assert(includes(args[3]!, bytes("1234!")));
            return original(...args);
          };
          const threaded = { ...library.threaded, krb5_get_init_creds_password: spy };
          return { ...library, threaded } as unknown as Library<L>;
        },
      };
      return inRealmWith({ backend }, async (realm, system) => {
        for (const password of [realm.users.alice, "wrong1234!", bytes(realm.users.alice)]) {
          const credentials = { username: "alice", password };
          const own = typeof password === "string" ? undefined : password;
          const text = own === undefined ? password as string : realm.users.alice;
          const watched = await watchSecret(text, async () => {
            const made = await acquire(system, "client", { provider, credentials }).catch((error) => error);
            const all = shown(made);
            made[Symbol.dispose]?.();
            return all;
          }, own);
          assert(watched.held >= 1, "no buffer held it: this test sees nothing");
          assertEquals(watched.left, 0, `${watched.left} of ${watched.held} buffers still hold it`);
          assert(!watched.result.includes(text) && !watched.logged.includes(text), watched.result);
        }
        assertEquals(seen.length, 3);
        for (const secret of seen) assert(secret.every((byte) => byte === 0));
      });
    },
    { skip },
  );

  test(
    `${name}: keytab of a server decides which services it accepts`,
    () =>
      inRealmWith({}, async (realm, system) => {
        const keytab = join(realm.dir, "http.keytab");
        await realm.exportKeytab(keytab, ["HTTP/localhost"]);
        await withEnv({ KRB5_KTNAME: `FILE:${join(realm.dir, "no-keytab")}` }, async () => {
          assertEquals(await seenAs(system, provider, undefined, { keytab }), "alice@MIT.TEST");
          const named = { keytab: `FILE:${keytab}`, principal: "HTTP/localhost" };
          assertEquals(await seenAs(system, provider, undefined, named), "alice@MIT.TEST");
          const other = { provider, target: "host/localhost", server: { credentials: { keytab } } };
          const error = await assertRejects(() => withContexts(system, other, () => {}), AuthenticationError);
          assertEquals(error.reason, "wrong-target");
        });
      }),
    { skip },
  );

  test(
    `${name}: invalid credentials throw a TypeError before any native call`,
    () =>
      inRealmWith({}, async (_, system) => {
        const password = "x";
        const wrong: [unknown, role: "client" | "server", part: string][] = [
          [{ username: "bob", password }, "server", "client"],
          [{ cache: "FILE:/x" }, "server", "client"],
          [{ username: "", password }, "client", "username"],
          [{ username: "bo\u0000b", password }, "client", "username"],
          [{ username: 7, password }, "client", "username"],
          [{ username: "bob", domain: "", password }, "client", "domain"],
          [{ username: "bob/", password }, "client", "credentials.username"],
          [{ username: "MIT.TEST\\bob", domain: "OTHER.TEST", password }, "client", "credentials.domain"],
          [{ username: "bob", password: "x\u0000y" }, "client", "credentials.password"],
          [{ username: "bob", password: Uint8Array.of(120, 0) }, "client", "credentials.password"],
          [{ username: "bob", password: 7 }, "client", "password"],
          [{ username: "bob", password: undefined }, "client", "password"],
          [{ keytab: "" }, "client", "keytab"],
          [{ keytab: "x", principal: "a\u0000" }, "client", "principal"],
          [{ keytab: "x", principal: "al\\ice" }, "client", "credentials.principal"],
          [{ keytab: "x", principal: "alice@" }, "server", "credentials.principal"],
          [{ cache: null }, "client", "cache"],
          [{ username: "bob" }, "client", "password"],
          [{}, "client", "credentials"],
          [null, "client", "credentials"],
          ["bob", "client", "credentials"],
          [{ delegated: {} }, "client", "takeDelegated()"],
        ];
        for (const [credentials, role, part] of wrong) {
          await assertRejects(
            () => acquire(system, role, { provider, credentials: credentials as Credentials }),
            TypeError,
            part,
          );
          assertEquals(liveHandles().credentials, undefined);
        }
        // These may contain NTLM: whether it is excluded was decided when they were acquired.
        using own = await acquire(system, "server", { provider });
        await assertRejects(
          () => acquire(system, "client", { provider, credentials: { delegated: own } }),
          TypeError,
          "takeDelegated()",
        );
      }),
    { skip },
  );

  test(
    `${name}: client() needs a target, and refuses an invalid one before any native call`,
    () =>
      inRealmWith({}, async (_, system) => {
        using credentials = await acquire(system, "client", { provider });
        for (const target of [undefined, "", "localhost", "HTTP/", "HTTP/a@b@c", "HTTP/a\u0000b", 5]) {
          assertThrows(() => credentials.client({ target: target as string }), TypeError);
          assertEquals(liveHandles(), { library: 1, credentials: 1 });
        }
      }),
    { skip },
  );

  test(
    `${name}: close() of credentials leaves their contexts usable, and prevents new ones`,
    () =>
      inRealmWith({}, async (realm, system) => {
        await realm.kinit("alice");
        const clientCredentials = await acquire(system, "client", { provider });
        const serverCredentials = await acquire(system, "server", { provider });
        const client = clientCredentials.client({ target: TARGET });
        const server = serverCredentials.server({});
        clientCredentials.close();
        serverCredentials.close();
        assertEquals(liveHandles(), { library: 1, credentials: 2, context: 2 });
        assertThrows(() => clientCredentials.client({ target: TARGET }), StateError, "acquire them again");
        assertThrows(() => serverCredentials.server({}), StateError, "acquire them again");
        await exchange({ client, server });
        client.close();
        assertEquals(liveHandles(), { library: 1, credentials: 1, context: 1 });
        server.close();
        assertEquals(liveHandles(), { library: 1 });
      }),
    { skip },
  );
}

test(
  "close() of a system leaves what is open usable, and prevents anything new",
  () =>
    inRealmWith({}, async (realm, outer) => {
      await realm.kinit("alice");
      assertEquals(outer.capabilities().securityContexts.available, true);
      const system = new NativeSystem({ grants: ["sspi"] });
      const ends = await makeEnds(system, { provider: PROVIDERS.kerberos });
      const pending = acquire(system, "client");
      system.close();
      await assertRejects(() => acquire(system, "client"), StateError, "openSystem()");
      (await pending).close();
      await exchange(ends);
      assertEquals(unwrap(ends.server, wrap(ends.client, bytes("x"))), bytes("x"));
      assertEquals(liveHandles(), { library: 2, credentials: 2, context: 2 });
      ends[Symbol.dispose]();
      assertEquals(liveHandles(), { library: 1 });
    }),
  { skip },
);
