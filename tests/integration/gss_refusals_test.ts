/** Everything that can be wrong with a realm, a ticket or a key: the right reason, and what to do about it. */

import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { test } from "@test";
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { AuthenticationError, type AuthenticationReason, NativeError } from "../../errors.ts";
import type { LibrarySpec } from "../../ffi/abi.ts";
import { GSSAPI } from "../../ffi/raw/gssapi.ts";
import type { NativeSystem } from "../../ffi/system.ts";
import type { Credentials, MessageProvider } from "../../contract.ts";
import { freePort, type Realm, type RealmOptions, startRealm } from "../rig/realm.ts";
import { liveHandles } from "../../testing/mod.ts";
import { withEnv } from "../support/env.ts";
import { acquire, inRealmWith, makeEnds, NAMES, nobody, PROVIDERS, TARGET } from "../support/gss.ts";
import { noRealm } from "../support/kerberos.ts";
import { runtimeBackend } from "../support/native.ts";

const skip = noRealm;
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Runs `body`, which must be refused for `reason` with advice that holds `words`, and leave nothing behind. */
async function refused(
  reason: AuthenticationReason,
  words: string,
  body: () => Promise<unknown>,
): Promise<void> {
  const before = liveHandles();
  const error = await assertRejects(body, AuthenticationError);
  assertEquals([error.reason, error.code], [reason, "AUTHENTICATION"], error.message);
  assertStringIncludes(error.message, words);
  assert(error.cause instanceof NativeError && error.cause.fn.startsWith("gss_"));
  assert(!/1234!|undefined|\.\./.test(error.message), error.message);
  const { library: _, ...held } = liveHandles();
  const { library: __, ...heldBefore } = before;
  assertEquals(held, heldBefore);
}

/** What one test may use. */
interface Case {
  readonly realm: Realm;
  readonly system: NativeSystem;
  /** Acquires a client's credentials and makes its first token. */
  first(credentials?: Credentials, target?: string): Promise<Uint8Array>;
  /** Acquires a server's credentials. */
  serve(credentials?: Credentials): Promise<void>;
}

function refusal(what: string, body: (provider: MessageProvider, given: Case) => Promise<void>, options?: {
  realm?: RealmOptions;
  skip?: string | null;
}): void {
  for (const name of NAMES) {
    const provider = PROVIDERS[name];
    test(`${name}: ${what}`, () =>
      inRealmWith({}, (realm, system) =>
        body(provider, {
          realm,
          system,
          async first(credentials, target = TARGET) {
            using held = await acquire(system, "client", {
              provider,
              ...(credentials ? { credentials } : {}),
            });
            const context = held.client({ target });
            try {
              return (await context.step(null)).token!;
            } finally {
              context.close();
            }
          },
          async serve(credentials) {
            (await acquire(system, "server", { provider, ...(credentials ? { credentials } : {}) })).close();
          },
        }), options?.realm), { skip: skip ?? options?.skip ?? null });
  }
}

refusal("a wrong password is bad-credentials", async (_, { first }) => {
  for (const password of ["wrong", "Alice1234! ", new Uint8Array([0xff])]) {
    await refused("bad-credentials", "password", () => first({ username: "alice", password }));
  }
});

refusal("a wrong password is bad-credentials where the realm asks for proof first too", async (_, given) => {
  await given.realm.addPrincipal("carol", { password: "Carol1234!", flags: "+requires_preauth" });
  await given.first({ username: "carol", password: "Carol1234!" });
  await refused("bad-credentials", "wrong", () => given.first({ username: "carol", password: "x" }));
});

refusal(
  "a user nobody knows is bad-credentials, and a realm nobody knows unreachable",
  async (_, { first }) => {
    const password = "x";
    await refused(
      "bad-credentials",
      "check the name and the realm",
      () => first({ username: "zed", password }),
    );
    const elsewhere = { username: "alice", domain: "NOWHERE.TEST", password };
    await refused("authority-unreachable", "krb5.conf names no Kerberos server", () => first(elsewhere));
  },
);

refusal("a locked account is bad-credentials", async (_, { realm, first }) => {
  await realm.kadmin(["modprinc -allow_tix bob"]);
  const locked = { username: "bob", password: realm.users.bob };
  await refused("bad-credentials", "locked or disabled", () => first(locked));
});

refusal("a password that has expired is credentials-expired", async (_, { realm, first }) => {
  await realm.kadmin(['modprinc -pwexpire "2020-01-01 00:00:00" bob']);
  const old = { username: "bob", password: realm.users.bob };
  await refused("credentials-expired", "change it", () => first(old));
});

refusal("a target nobody registered is unknown-target, and no token is made", async (_, { first }) => {
  for (
    const target of [
      "HTTP/nowhere.mit.test",
      "nfs/localhost",
      "HTTP/localhost:8080",
      "HTTP/localhost@OTHER.TEST",
    ]
  ) {
    await refused("unknown-target", "register it", () => first(undefined, target));
  }
});

refusal(
  "a ticket for another service than the server's is wrong-target",
  async (provider, { realm, system }) => {
    const keytab = join(realm.dir, "http.keytab");
    await realm.exportKeytab(keytab, ["HTTP/localhost"]);
    const options = { provider, target: "host/localhost", server: { credentials: { keytab } } };
    using ends = await makeEnds(system, options);
    const { token } = await ends.client.step(null);
    await refusedStep("wrong-target", "key", ends.server.step(token));
  },
);

/** Like {@linkcode refused} for a context that the test still holds: it lets go of itself. */
async function refusedStep(
  reason: AuthenticationReason,
  words: string,
  step: Promise<unknown>,
): Promise<void> {
  const contexts = liveHandles().context;
  const error = await assertRejects(() => step, AuthenticationError, words);
  assertEquals(error.reason, reason, error.message);
  assertEquals(liveHandles().context ?? 0, contexts - 1);
}

refusal(
  "a key table with an older key than the ticket is wrong-target",
  async (provider, { realm, system }) => {
    await realm.kadmin([`ktadd -k "${join(realm.dir, "new.keytab")}" HTTP/localhost`]);
    using ends = await makeEnds(system, { provider });
    const { token } = await ends.client.step(null);
    await refusedStep("wrong-target", "export it again", ends.server.step(token));
  },
);

refusal("a server that does not hold the service's key is wrong-target", async (provider, given) => {
  const { realm, system } = given;
  const folder = join(realm.dir, "impostor");
  mkdirSync(folder);
  // The same name and the same key number, from another realm: what an impostor's key table looks like.
  await using other = await startRealm();
  const keytab = join(folder, "keytab");
  await other.exportKeytab(keytab, ["HTTP/localhost"]);
  using ends = await makeEnds(system, { provider, server: { credentials: { keytab } } });
  const { token } = await ends.client.step(null);
  await refusedStep("wrong-target", "SPN belongs to another account", ends.server.step(token));
});

refusal("no tickets at all is no-credentials", async (_, { realm, first }) => {
  await withEnv(nobody(realm), async () => {
    await refused("no-credentials", "kinit", () => first());
    await refused("no-credentials", "kinit -c", () => first({ cache: `FILE:${realm.dir}/none` }));
  });
});

refusal("a ticket that has expired is credentials-expired", async (_, { realm, first }) => {
  await realm.kinit("alice", { lifetime: "1s" });
  await pause(2100);
  await withEnv({ KRB5_CLIENT_KTNAME: join(realm.dir, "none") }, async () => {
    await refused("credentials-expired", "fresh one with kinit", () => first());
  });
});

refusal("a key table that is missing, is none or lacks the principal is no-credentials", async (_, given) => {
  const { realm, first, serve } = given;
  const junk = join(realm.dir, "junk");
  writeFileSync(junk, "this is no key table");
  await withEnv({ ...nobody(realm), KRB5_KTNAME: join(realm.dir, "none") }, async () => {
    await refused("no-credentials", "klist -k", () => serve());
    for (const keytab of [junk, realm.dir, join(realm.dir, "none"), "NOTYPE:x"]) {
      await refused("no-credentials", "klist -k", () => serve({ keytab }));
      await refused("no-credentials", "klist -k", () => first({ keytab }));
    }
    const keytab = join(realm.dir, "user.keytab");
    await refused("no-credentials", "klist -k", () => serve({ keytab, principal: "HTTP/localhost" }));
    await refused("no-credentials", "klist -k", () => first({ keytab, principal: "bob" }));
  });
});

const USER = {
  name: "libc",
  instead: "",
  files: {},
  fns: { seteuid: { params: [["user", "u32"]], result: "i32" } },
} as const satisfies LibrarySpec;
const notRoot = process.getuid?.() === 0 ? null : "only root can become somebody else";

refusal("tickets and keys that this account may not read are no-credentials", async (_, given) => {
  const { realm, system, first, serve } = given;
  await realm.kinit("alice");
  chmodSync(realm.dir, 0o755);
  const libc = runtimeBackend().open(system.library("sspi", GSSAPI).path, USER);
  try {
    await withEnv({ KRB5_CLIENT_KTNAME: join(realm.dir, "none") }, async () => {
      assertEquals(libc.call.seteuid(65534), 0);
      await refused("no-credentials", "kinit", () => first());
      await refused("no-credentials", "klist -k", () => serve());
      await refused("no-credentials", "klist -k", () => serve({ keytab: join(realm.dir, "svc.keytab") }));
      await refused("no-credentials", "klist -k", () => first({ keytab: join(realm.dir, "user.keytab") }));
    });
  } finally {
    libc.call.seteuid(0);
    libc.close();
  }
}, { skip: notRoot });

refusal("a configuration that is none says so", async (_, { realm, first, serve }) => {
  const path = join(realm.dir, "bad.conf");
  writeFileSync(path, "[libdefaults\n}{\n");
  await withEnv({ KRB5_CONFIG: path }, async () => {
    await refused("other", "KRB5_CONFIG", () => first());
    await refused("other", "KRB5_CONFIG", () => serve());
  });
});

refusal("a Kerberos server whose port is closed is authority-unreachable", async (_, { realm, first }) => {
  await realm.kinit("alice");
  await withEnv({ KRB5_CONFIG: realm.writeConfig({ port: await freePort() }) }, async () => {
    const words = "check krb5.conf and the network";
    await refused("authority-unreachable", words, () => first({ username: "bob", password: "x" }));
    await refused("authority-unreachable", words, () => first(undefined, "host/localhost"));
  });
});

refusal("a first token that comes too late is clock-skew", async (provider, { system }) => {
  using ends = await makeEnds(system, { provider });
  const { token } = await ends.client.step(null);
  await pause(2600);
  await refusedStep("clock-skew", "set them", ends.server.step(token));
}, { realm: { libdefaults: { clockskew: "1" } } });

refusal("a first token that was used before is bad-token", async (provider, { system }) => {
  using ends = await makeEnds(system, { provider });
  const { token } = await ends.client.step(null);
  await ends.server.step(token);
  const again = ends.serverCredentials.server({});
  await refusedStep("bad-token", "replay", again.step(token));
}, { realm: { rcache: "dfl:" } });
