/** Delegation: the server authenticates to a further server as the client. */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { test } from "@test";
import { join } from "node:path";
import { StateError } from "../../errors.ts";
import { OIDS } from "../../ffi/raw/gssapi.ts";
import type { ProviderContext, ProviderCredentials } from "../../contract.ts";
import { liveHandles } from "../../testing/mod.ts";
import { withEnv } from "../support/env.ts";
import {
  acquire,
  includes,
  inRealmWith,
  NAMES,
  nobody,
  PROVIDERS,
  seenAs,
  withContexts,
} from "../support/gss.ts";
import { noRealm } from "../support/kerberos.ts";

const skip = noRealm;

for (const name of NAMES) {
  const provider = PROVIDERS[name];

  test(
    `${name}: takeDelegated() returns credentials with which the server is that client, and no other`,
    () =>
      inRealmWith({}, async (realm, system) => {
        await realm.kinit("alice");
        const bobs = await realm.kinit("bob", { cache: `FILE:${join(realm.dir, "bobs")}` });
        const options = { provider, requirements: { delegation: true } };
        await withContexts(system, options, async ({ client, server }) => {
          assertEquals([client.attributes.delegation, server.attributes.delegation], [true, true]);
          assertEquals(server.attributes.impersonation, "delegate");
          assertEquals(client.takeDelegated?.(), null);
          using taken = server.takeDelegated!()!;
          assertEquals(server.takeDelegated!(), null);
          // From here on the process itself is bob.
          await withEnv({ ...nobody(realm), KRB5CCNAME: bobs }, async () => {
            assertEquals(await seenAs(system, provider), "bob@MIT.TEST");
            assertEquals(await seenAs(system, provider, { delegated: taken }), "alice@MIT.TEST");
            // The credentials can be used more than once.
            const ends = {
              provider,
              target: "host/localhost",
              client: { credentials: { delegated: taken } },
            };
            await withContexts(system, ends, (onward, tokens) => {
              assertEquals(onward.server.peerName, "alice@MIT.TEST");
              assertEquals(onward.client.attributes.mutualAuthentication, true);
              assert(!includes(tokens[0], OIDS.ntlmssp));
            });
          });
        });
      }),
    { skip },
  );

  test(
    `${name}: delegated credentials stay usable after their connection, until their owner closes them`,
    () =>
      inRealmWith({}, async (realm, system) => {
        await realm.kinit("alice");
        let context!: ProviderContext;
        let delegated!: ProviderCredentials;
        await withContexts(system, { provider, requirements: { delegation: true } }, ({ server }) => {
          delegated = server.takeDelegated!()!;
          context = server;
        });
        assertThrows(() => context.takeDelegated!(), StateError);
        assertEquals(await seenAs(system, provider, { delegated }), "alice@MIT.TEST");
        delegated.close();
        delegated.close();
        await assertRejects(() => seenAs(system, provider, { delegated }), StateError, "closed");
        const other = PROVIDERS[name === "kerberos" ? "negotiate" : "kerberos"];
        for (const [role, by] of [["server", provider], ["client", other]] as const) {
          await assertRejects(
            () => acquire(system, role, { provider: by, credentials: { delegated } }),
            TypeError,
          );
        }
      }),
    { skip },
  );

  test(
    `${name}: delegated credentials that are not taken are released with the context`,
    () =>
      inRealmWith({}, async (realm, system) => {
        await realm.kinit("alice");
        await withContexts(system, { provider, requirements: { delegation: true } }, ({ server }) => {
          assertEquals(server.attributes.delegation, true);
        });
        assertEquals(liveHandles(), { library: 1 });
      }),
    { skip },
  );

  test(
    `${name}: takeDelegated() returns null where delegation was not required, or the ticket cannot be forwarded`,
    () =>
      inRealmWith({}, async (realm, system) => {
        await realm.kinit("alice");
        await withContexts(system, { provider }, ({ client, server }) => {
          assertEquals([client.attributes.delegation, server.attributes.delegation], [false, false]);
          assertEquals(server.takeDelegated!(), null);
        });
        await realm.kinit("alice", { forwardable: false });
        await withContexts(system, { provider, requirements: { delegation: true } }, ({ client, server }) => {
          assertEquals([client.attributes.delegation, server.attributes.delegation], [false, false]);
          assertEquals(server.takeDelegated!(), null);
        });
      }),
    { skip },
  );
}
