/** A context whose ticket expires during a connection: a typed error from then on. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { test } from "@test";
import { join } from "node:path";
import { AuthenticationError } from "../../errors.ts";
import type { ProviderContext } from "../../contract.ts";
import { withEnv } from "../support/env.ts";
import { bytes, inRealmWith, NAMES, PROVIDERS, unwrap, withContexts, wrap } from "../support/gss.ts";
import { noRealm } from "../support/kerberos.ts";

const skip = noRealm;
const PLAIN = bytes("x");

/** Waits until a context has expired. */
async function expired(context: ProviderContext): Promise<void> {
  const left = context.expiresAt!.getTime() - Date.now();
  assert(left > 0 && left < 20_000, `${left} ms are left`);
  while (Date.now() < context.expiresAt!.getTime()) await new Promise((resolve) => setTimeout(resolve, 20));
}

function refused(use: () => unknown): void {
  const error = assertThrows(use, AuthenticationError, "connect again");
  assertEquals(error.reason, "context-expired");
}

for (const name of NAMES) {
  test(
    `${name}: wrap() and unwrap() work until the ticket expires, and not after that`,
    () =>
      inRealmWith({}, async (realm, system) => {
        await realm.kinit("alice", { lifetime: "4s" });
        // Otherwise the library would get a new ticket by itself.
        await withEnv({ KRB5_CLIENT_KTNAME: join(realm.dir, "none") }, () =>
          withContexts(system, { provider: PROVIDERS[name] }, async ({ client, server }) => {
            // MIT's acceptor adds the tolerance for clocks to the ticket's end.
            const tolerance = server.expiresAt!.getTime() - client.expiresAt!.getTime();
            assert(tolerance >= 900 && tolerance <= 3100, `${tolerance} ms`);
            assertEquals(unwrap(server, wrap(client, PLAIN)), PLAIN);
            const [record, signature] = [wrap(client, PLAIN), client.sign(PLAIN)];
            await expired(client);
            const out = new Uint8Array(200);
            refused(() =>
              client.wrap(PLAIN, out)
            );
            assert(out.every((byte) => byte === 0));
            refused(() => client.sign(PLAIN));
            refused(() => client.unwrap(record));
            refused(() => client.verify(PLAIN, signature));
            assertEquals([client.done, client.peerName], [true, "HTTP/localhost"]);
            await expired(server);
            refused(() => server.unwrap(record));
            refused(() => server.verify(PLAIN, signature));
            refused(() => server.wrap(PLAIN, out));
            refused(() => server.sign(PLAIN));
            assertEquals(server.peerName, "alice@MIT.TEST");
          }));
      }, { libdefaults: { clockskew: "2" } }),
    { skip },
  );
}
