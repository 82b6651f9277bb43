/** User names with a real KDC: each form is exactly the intended user. */

import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { test } from "@test";
import { join } from "node:path";
import { AuthenticationError, SecurityRequirementError } from "../../errors.ts";
import type { Credentials } from "../../contract.ts";
import { createRegistry } from "../../plugins/registry.ts";
import { secure } from "../../sockets/secure.ts";
import { withEnv } from "../support/env.ts";
import {
  acquire,
  inRealmWith,
  NAMES,
  nobody,
  PROVIDERS,
  seenAs,
  TARGET,
  withContexts,
} from "../support/gss.ts";
import { noRealm } from "../support/kerberos.ts";
import { MemoryTransport } from "../support/memory_transport.ts";

const skip = noRealm;

for (const name of NAMES) {
  const provider = PROVIDERS[name];

  test(
    `${name}: username accepts DOMAIN\\user, user@suffix, user/instance and an enterprise name`,
    () =>
      inRealmWith({}, async (realm, system) => {
        const password = "Ent1!";
        await realm.kadmin([
          `addprinc -pw ${password} john\\@corp.example`,
          `addprinc -pw ${password} john`,
          `addprinc -pw ${password} alice/admin`,
          `addprinc -pw ${password} "with space"`,
        ]);
        const cases: [username: string, domain: string | undefined, seen: string][] = [
          ["MIT.TEST\\john", undefined, "john@MIT.TEST"],
          ["mit.test\\john", "MIT.TEST", "john@MIT.TEST"],
          ["john@MIT.TEST", undefined, "john@MIT.TEST"],
          ["john@corp.example", "MIT.TEST", "john\\@corp.example@MIT.TEST"],
          ["MIT.TEST\\john@corp.example", undefined, "john\\@corp.example@MIT.TEST"],
          ["alice/admin", undefined, "alice/admin@MIT.TEST"],
          ["with space", "MIT.TEST", "with space@MIT.TEST"],
        ];
        await withEnv(nobody(realm), async () => {
          for (const [username, domain, seen] of cases) {
            const credentials = { username, password, ...(domain === undefined ? {} : { domain }) };
            assertEquals(await seenAs(system, provider, credentials), seen);
          }
        });
      }),
    { skip },
  );

  test(
    `${name}: username of an unknown user is never read as another user with that password`,
    () =>
      inRealmWith({}, async (realm, system) => {
        const refused = async (given: Omit<Extract<Credentials, { username: string }>, "password">) => {
          const credentials = { ...given, password: realm.users.alice };
          const error = await assertRejects(
            () => acquire(system, "client", { provider, credentials }),
            AuthenticationError,
          );
          return [error.reason, /realm (\S+),/.exec(error.message)?.[1]];
        };
        assertEquals(await refused({ username: "al\\ice" }), ["unknown-realm", "al"]);
        assertEquals(await refused({ username: "alice@corp.example" }), ["unknown-realm", "corp.example"]);
        assertEquals(await refused({ username: "alice@MIT.TEST", domain: "MIT.TEST" }), [
          "bad-credentials",
          "MIT.TEST",
        ]);
        assertEquals(await refused({ username: "alice/x" }), ["bad-credentials", "MIT.TEST"]);
        assertEquals(await refused({ username: "ALICE" }), ["bad-credentials", "MIT.TEST"]);
      }),
    { skip },
  );

  test(
    `${name}: principal with a keytab is the one that klist -k prints`,
    () =>
      inRealmWith({}, async (realm, system) => {
        const keytab = join(realm.dir, "users.keytab");
        await realm.kadmin([
          "addprinc -randkey john\\@corp.example",
          `ktadd -k ${keytab} john\\@corp.example`,
        ]);
        const client = { keytab, principal: "john\\@corp.example" };
        assertEquals(await seenAs(system, provider, client), "john\\@corp.example@MIT.TEST");
      }),
    { skip },
  );

  test(
    `${name}: delegation works with a ticket from a password although krb5.conf does not make tickets forwardable`,
    () =>
      inRealmWith({}, async (realm, system) => {
        const keytab = join(realm.dir, "two.keytab");
        await realm.exportKeytab(keytab, ["bob", "alice"]);
        const delegating = { provider, requirements: { delegation: true } };
        const whose: [Credentials, string][] = [
          [{ username: "bob", password: realm.users.bob }, "bob@MIT.TEST"],
          [{ keytab }, "bob@MIT.TEST"],
          [{ keytab, principal: "alice" }, "alice@MIT.TEST"],
        ];
        for (const [credentials, user] of whose) {
          await withContexts(
            system,
            { ...delegating, client: { credentials } },
            async ({ client, server }) => {
              assertEquals([client.attributes.delegation, server.attributes.delegation], [true, true]);
              using taken = server.takeDelegated!()!;
              assertEquals(await seenAs(system, provider, { delegated: taken }), user);
            },
          );
        }
      }, { libdefaults: { forwardable: "false" } }),
    { skip },
  );

  test(
    `${name}: delegation with a ticket that cannot be forwarded reports what to change, and then it works`,
    () =>
      inRealmWith({}, async (realm, system) => {
        const requirements = { delegation: true };
        const registry = createRegistry([provider]);
        const dial = async (): Promise<void> => {
          const [near, far] = MemoryTransport.pair();
          const server = secure(far, { role: "server", registry, system }).then(
            (conn) => conn.close(),
            () => {},
          );
          try {
            const options = { role: "client", target: TARGET, registry, system, requirements } as const;
            (await secure(near, options)).close();
          } finally {
            await server;
          }
        };
        await realm.kinit("alice", { forwardable: false });
        const error = await assertRejects(dial, SecurityRequirementError);
        assertEquals(error.required, "delegation");
        assertStringIncludes(
          error.message,
          'kinit -f, or write "forwardable = true" under [libdefaults] in krb5.conf',
        );
        await realm.kinit("alice");
        await dial();
      }, { libdefaults: { forwardable: "false" } }),
    { skip },
  );
}
