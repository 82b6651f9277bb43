/** Clients whose ticket is in memory, or in a file that has not changed, make their first step without another thread. */

import { assertEquals, assertRejects } from "@std/assert";
import { test } from "@test";
import { readFileSync, writeFileSync } from "node:fs";
import type { Credentials, ProviderCredentials, ProviderSystem } from "../../contract.ts";
import { AuthenticationError } from "../../errors.ts";
import { filePath } from "../../ffi/security/gss/held_tickets.ts";
import { negotiate } from "../../plugins/negotiate/mod.ts";
import { findProgram, mustRun } from "../../scripts/process.ts";
import type { Realm } from "../rig/realm.ts";
import { withEnv } from "../support/env.ts";
import { Faults } from "../support/faults.ts";
import { FirstSteps, settled } from "../support/first_steps.ts";
import { acquire, exchange, inRealmWith, NAMES, nobody, PROVIDERS, TARGET } from "../support/gss.ts";
import { noRealm } from "../support/kerberos.ts";

const skip = noRealm;
const HERE = "1 here, 0 elsewhere";
const ELSEWHERE = "0 here, 1 elsewhere";

/** Makes handshakes with one set of client's credentials, and returns the clients' names. */
async function handshakes(
  system: ProviderSystem,
  client: ProviderCredentials,
  { count = 1, target = TARGET, provider = PROVIDERS.negotiate } = {},
): Promise<string[]> {
  using server = await acquire(system, "server", { provider });
  return await Promise.all(Array.from({ length: count }, async () => {
    const ends = { client: client.client({ target }), server: server.server({}) };
    try {
      await exchange(ends);
      return ends.server.peerName;
    } finally {
      ends.client.close();
      ends.server.close();
    }
  }));
}

/**
 * Runs `body` with credentials of the user who logged in, in a realm without the key table that would renew them, and
 * checks that nothing is left in the library.
 */
async function asUser(
  body: (given: {
    realm: Realm;
    system: ProviderSystem;
    client: ProviderCredentials;
    steps: FirstSteps;
    file: string;
  }) => Promise<void>,
  { lifetime, prepare, delegation = false }: {
    lifetime?: string;
    prepare?: (file: string) => void;
    delegation?: boolean;
  } = {},
): Promise<void> {
  const steps = new FirstSteps();
  const counter = new Faults();
  await inRealmWith({ backend: steps.backend(counter.backend()) }, async (realm, system) => {
    await realm.kinit("alice", lifetime === undefined ? {} : { lifetime });
    const { KRB5_CLIENT_KTNAME } = nobody(realm);
    const file = filePath(realm.env.KRB5CCNAME)!;
    await withEnv({ KRB5_CLIENT_KTNAME }, async () => {
      prepare?.(file);
      using client = await acquire(system, "client", { requirements: { delegation } });
      await handshakes(system, client);
      assertEquals(steps.take(), ELSEWHERE);
      // The ticket for the service has just been written.
      await handshakes(system, client);
      assertEquals(steps.take(), ELSEWHERE);
      await settled(file);
      await body({ realm, system, client, steps, file });
    });
  });
  assertEquals(counter.left, []);
}

for (const name of NAMES) {
  const provider = PROVIDERS[name];
  test(
    `${name}: a client with tickets of its own makes its first step here from the second handshake on`,
    async () => {
      const steps = new FirstSteps();
      await inRealmWith({ backend: steps.backend() }, async (realm, system) => {
        const given: Credentials[] = [
          { username: "alice", password: realm.users.alice },
          { keytab: `FILE:${realm.dir}/user.keytab` },
        ];
        for (const credentials of given) {
          using client = await acquire(system, "client", { provider, credentials });
          assertEquals(await handshakes(system, client, { provider }), ["alice@MIT.TEST"]);
          assertEquals(steps.take(), ELSEWHERE);
          const many = await handshakes(system, client, { provider, count: 10 });
          assertEquals(new Set(many), new Set(["alice@MIT.TEST"]));
          assertEquals(steps.take(), "10 here, 0 elsewhere");
          // Each new target is asked of the KDC once.
          for (const expected of [ELSEWHERE, HERE]) {
            await handshakes(system, client, { provider, target: "host/localhost" });
            assertEquals(steps.take(), expected);
          }
        }
      });
    },
    { skip },
  );

  test(
    `${name}: a client with a cache in a file makes its first step here while the file does not change`,
    async () => {
      const steps = new FirstSteps();
      await inRealmWith({ backend: steps.backend() }, async (realm, system) => {
        const cache = `FILE:${realm.dir}/named`;
        await realm.kinit("alice", { cache });
        using client = await acquire(system, "client", { provider, credentials: { cache } });
        await handshakes(system, client, { provider });
        assertEquals(steps.take(), ELSEWHERE);
        await settled(filePath(cache)!);
        const many = await handshakes(system, client, { provider, count: 10 });
        assertEquals(new Set(many), new Set(["alice@MIT.TEST"]));
        assertEquals(steps.take(), "10 here, 0 elsewhere");
        // New credentials leave the thread once: which cache the library chooses is known after that.
        using other = await acquire(system, "client", { provider, credentials: { cache } });
        for (const expected of [ELSEWHERE, HERE]) {
          await handshakes(system, other, { provider });
          assertEquals(steps.take(), expected);
        }
      });
    },
    { skip },
  );
}

test(
  "a client follows its cache's file: renewed, filled for another user, destroyed",
  () =>
    asUser(async ({ realm, system, client, steps, file }) => {
      assertEquals(await handshakes(system, client), ["alice@MIT.TEST"]);
      assertEquals(steps.take(), HERE);
      await realm.kinit("alice");
      assertEquals(await handshakes(system, client), ["alice@MIT.TEST"]);
      assertEquals(steps.take(), ELSEWHERE);
      await settled(file);
      assertEquals(await handshakes(system, client, { count: 3 }), Array(3).fill("alice@MIT.TEST"));
      assertEquals(steps.take(), "3 here, 0 elsewhere");
      await realm.kinit("bob");
      for (const wait of [() => {}, settled]) {
        await wait(file);
        // The library refuses a file that belongs to another user now, as it does for every other program.
        await assertRejects(() => handshakes(system, client), AuthenticationError);
        assertEquals(steps.take(), ELSEWHERE);
      }
      await realm.kinit("alice");
      await settled(file);
      // The service's ticket went with the old file.
      for (const expected of [ELSEWHERE, ELSEWHERE]) {
        await handshakes(system, client);
        assertEquals(steps.take(), expected);
      }
      await settled(file);
      await handshakes(system, client);
      assertEquals(steps.take(), HERE);
      await mustRun(findProgram("kdestroy")!, ["-q"], { env: realm.env });
      const error = await assertRejects(() => handshakes(system, client), AuthenticationError);
      assertEquals([error.reason, steps.take()], ["no-credentials", ELSEWHERE]);
    }),
  { skip },
);

test(
  "a ticket that ends within a minute is used on another thread",
  () =>
    asUser(async ({ system, client, steps }) => {
      await handshakes(system, client);
      assertEquals(steps.take(), ELSEWHERE);
    }, { lifetime: "60s" }),
  { skip },
);

test(
  "a client that delegates makes its first step on another thread: it needs a ticket for its server",
  () =>
    asUser(async ({ system, client, steps }) => {
      await handshakes(system, client);
      assertEquals(steps.take(), ELSEWHERE);
    }, { delegation: true }),
  { skip },
);

/** Sets the KDC's time in the header of a cache of version 4: one tag with two numbers of 32 bits. */
function setClockOffset(file: string, seconds: number): void {
  const bytes = readFileSync(file);
  assertEquals([...bytes.subarray(0, 8)], [5, 4, 0, 12, 0, 1, 0, 8]);
  bytes.writeInt32BE(seconds, 8);
  writeFileSync(file, bytes);
}

test(
  "a cache whose KDC has another time is used on another thread, where the library corrects the time",
  () =>
    asUser(async ({ system, client, steps }) => {
      await handshakes(system, client);
      assertEquals(steps.take(), ELSEWHERE);
    }, { prepare: (file) => setClockOffset(file, 30) }),
  { skip },
);

test(
  "a default cache that is another one since is used on another thread",
  () =>
    asUser(async ({ realm, system, client, steps }) => {
      await withEnv({ KRB5CCNAME: `FILE:${realm.dir}/other` }, async () => {
        await handshakes(system, client);
        assertEquals(steps.take(), ELSEWHERE);
      });
    }),
  { skip },
);

test("a client that may use NTLM makes each first step on another thread", async () => {
  const steps = new FirstSteps();
  await inRealmWith({ backend: steps.backend() }, async (realm, system) => {
    const provider = negotiate({ allowNtlm: true });
    const requirements = { mutualAuthentication: false };
    const credentials = { keytab: `FILE:${realm.dir}/user.keytab` };
    using client = await acquire(system, "client", { provider, requirements, credentials });
    for (let round = 0; round < 2; round++) {
      await handshakes(system, client);
      assertEquals(steps.take(), ELSEWHERE);
    }
  });
}, { skip });

test("filePath() returns the path of a cache in a file, and null for every other name", () => {
  const cases: [name: string, path: string | null][] = [
    ["FILE:/tmp/krb5cc_0", "/tmp/krb5cc_0"],
    ["/tmp/krb5cc_0", "/tmp/krb5cc_0"],
    ["FILE:relative", null],
    ["relative", null],
    ["DIR::/tmp/tkt", null],
    ["DIR:/tmp", null],
    ["KCM:1000", null],
    ["MEMORY:/x", null],
    ["KEYRING:user:x", null],
    ["FILE:/tmp/a\0b", null],
    ["", null],
  ];
  for (const [name, path] of cases) assertEquals(filePath(name), path, name);
});
