/** Faults of a realm, a ticket or a key: each has the right reason and advice. */

import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { test } from "@test";
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { AuthenticationError, type AuthenticationReason, NativeError } from "../../errors.ts";
import type { LibrarySpec } from "../../ffi/abi.ts";
import { GSSAPI } from "../../ffi/raw/gssapi.ts";
import type { NativeSystem } from "../../ffi/system.ts";
import type { ContextProvider, Credentials } from "../../contract.ts";
import { freePort, type Realm, type RealmOptions, startRealm } from "../rig/realm.ts";
import { liveHandles } from "../../testing/mod.ts";
import { withEnv } from "../support/env.ts";
import {
  acquire,
  inRealmWith,
  makeEnds,
  NAMES,
  nobody,
  PROVIDERS,
  TARGET,
  withContexts,
} from "../support/gss.ts";
import { noRealm } from "../support/kerberos.ts";
import { cannotChangeUser, compile, noCompiler, runtimeBackend } from "../support/native.ts";

const skip = noRealm;
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Runs `body`, which must be refused with `reason` and advice with `words`, and leave nothing open. */
async function refused(
  reason: AuthenticationReason,
  words: string,
  body: () => Promise<unknown>,
): Promise<string> {
  const before = liveHandles();
  const error = await assertRejects(body, AuthenticationError);
  assertEquals([error.reason, error.code], [reason, "AUTHENTICATION"], error.message);
  assertStringIncludes(error.message, words);
  assert(error.cause instanceof NativeError && /^(gss|krb5)_/.test(error.cause.fn));
  assert(!/1234!|undefined|\.\./.test(error.message), error.message);
  const { library: _, ...held } = liveHandles();
  const { library: __, ...heldBefore } = before;
  assertEquals(held, heldBefore);
  return error.message;
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

function refusal(what: string, body: (provider: ContextProvider, given: Case) => Promise<void>, options?: {
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

/** A failure of the KDC or the library for a user with a password. */
interface Answer {
  /** What is done in `kadmin` first. */
  readonly kadmin?: readonly string[];
  /** The user; left out: bob, with the right password. */
  readonly as?: {
    readonly username?: string;
    readonly domain?: string;
    readonly password?: string | Uint8Array;
  };
  /** The krb5.conf to use, made of the realm's own. */
  readonly conf?: (realm: Realm) => Promise<string> | string;
  readonly reason: AuthenticationReason;
  /** What the message must contain; `REALM` and `CONF` stand for the ones in use. */
  readonly words: readonly string[];
  /** The advice as `kadmin` commands, after which it works. */
  readonly cure?: readonly string[];
}

const edited = (change: (conf: string) => string) => (realm: Realm): string => {
  const path = join(realm.dir, "edited.conf");
  writeFileSync(path, change(readFileSync(realm.env.KRB5_CONFIG, "utf8")));
  return path;
};

const ANSWERS: { readonly [what: string]: Answer } = {
  "a wrong password": {
    as: { password: "wrong" },
    reason: "bad-credentials",
    words: ["password", "realm MIT.TEST", "CONF"],
  },
  "a right password with a trailing space": {
    as: { password: "Bob1234! " },
    reason: "bad-credentials",
    words: ["password"],
  },
  "a password that is not text": {
    as: { password: Uint8Array.of(0xff) },
    reason: "bad-credentials",
    words: ["password"],
  },
  "a wrong password with pre-authentication": {
    kadmin: ["modprinc +requires_preauth bob"],
    as: { password: "wrong" },
    reason: "bad-credentials",
    words: ["The password", "is wrong"],
  },
  "an unknown user": {
    as: { username: "zed" },
    reason: "bad-credentials",
    words: ["check the name and the realm", "zed@MIT.TEST", "realm MIT.TEST"],
  },
  "a locked account": {
    kadmin: ["modprinc -allow_tix bob"],
    reason: "account-locked",
    words: ["locked or disabled", "+allow_tix", "realm MIT.TEST", "CONF"],
    cure: ["modprinc +allow_tix bob"],
  },
  "an account locked after wrong passwords": {
    kadmin: [
      "addpol -maxfailure 1 strict",
      "modprinc -policy strict +requires_preauth bob",
    ],
    as: { password: "wrong" },
    reason: "account-locked",
    words: ["modprinc -unlock", "realm MIT.TEST"],
    cure: ["modprinc -unlock bob"],
  },
  "an account that has expired": {
    kadmin: ['modprinc -expire "2020-01-01 00:00:00" bob'],
    reason: "account-expired",
    words: ["The account has expired", "modprinc -expire", "realm MIT.TEST", "CONF"],
    cure: ["modprinc -expire never bob"],
  },
  "a password that has expired": {
    kadmin: ['modprinc -pwexpire "2020-01-01 00:00:00" bob'],
    reason: "password-expired",
    words: ["change it with kpasswd", "realm MIT.TEST", "CONF"],
    cure: ["modprinc -pwexpire never bob"],
  },
  "an account that needs a hardware token": {
    kadmin: ["modprinc +requires_hwauth +requires_preauth bob"],
    reason: "preauthentication",
    words: ["another pre-authentication than a password", "realm MIT.TEST", "CONF"],
    cure: ["modprinc -requires_hwauth bob"],
  },
  "no encryption type in common": {
    conf: edited((conf) =>
      conf.replace("[libdefaults]\n", "[libdefaults]\n\tpermitted_enctypes = camellia256-cts\n")
    ),
    reason: "mechanism",
    words: ["have no encryption type in common", "CONF"],
  },
  "no default realm": {
    conf: edited((conf) => conf.replace(/^.*default_realm.*$/m, "")),
    reason: "configuration",
    words: ["default_realm = REALM", "realm none", "CONF"],
  },
  "no krb5.conf": {
    conf: (realm) => join(realm.dir, "not-there.conf"),
    reason: "configuration",
    words: ["default_realm", "krb5.conf none", "not-there.conf"],
  },
  "an invalid krb5.conf": {
    conf: edited(() => "[libdefaults\n}{\n"),
    reason: "configuration",
    words: ["is not a Kerberos configuration", "CONF"],
  },
  "an unknown realm": {
    as: { domain: "NOWHERE.TEST" },
    reason: "unknown-realm",
    words: ["Used: realm NOWHERE.TEST", "under [realms]", "CONF"],
  },
  "a KDC whose port is closed": {
    conf: async (realm) => realm.writeConfig({ port: await freePort() }),
    reason: "authority-unreachable",
    words: ["No KDC answers", "realm MIT.TEST", "CONF"],
  },
  "a KDC whose name does not resolve": {
    conf: edited((conf) => conf.replace(/\tkdc = .*/, "\tkdc = kdc.invalid")),
    reason: "authority-unreachable",
    words: ["check krb5.conf and", "realm MIT.TEST", "CONF"],
  },
};

for (const [what, { kadmin, as, conf, reason, words, cure }] of Object.entries(ANSWERS)) {
  refusal(`${what} is ${reason}, and the message says what was used`, async (_, { realm, first }) => {
    if (kadmin) await realm.kadmin(kadmin);
    const config = await conf?.(realm) ?? realm.env.KRB5_CONFIG;
    const right = { username: "bob", password: realm.users.bob };
    await withEnv({ ...nobody(realm), KRB5_CONFIG: config }, async () => {
      // The KDC checks the lock before the password.
      if (reason === "account-locked" && as) {
        await assertRejects(() => first({ ...right, ...as }), AuthenticationError);
      }
      const message = await refused(reason, words[0], () => first({ ...right, ...as }));
      for (const word of words) assertStringIncludes(message, word === "CONF" ? `krb5.conf ${config}` : word);
    });
    if (cure) await realm.kadmin(cure);
    await first(right);
  });
}

/** Sets the clock of the programs that load it one hour ahead. */
const LATER = `
#define _GNU_SOURCE
#include <dlfcn.h>
#include <sys/time.h>
#include <time.h>
int gettimeofday(struct timeval *tv, void *zone) {
  int (*real)(struct timeval *, void *) = (int (*)(struct timeval *, void *))dlsym(RTLD_NEXT, "gettimeofday");
  int result = real(tv, zone);
  tv->tv_sec += 3600;
  return result;
}
time_t time(time_t *out) {
  struct timeval tv;
  gettimeofday(&tv, 0);
  if (out) *out = tv.tv_sec;
  return tv.tv_sec;
}`;

test("a KDC whose clock differs by an hour is clock-skew", async () => {
  using clock = await compile(LATER, ["-shared", "-ldl"]);
  await withEnv({ LD_PRELOAD: clock.path }, async () => {
    // Without this the library uses the KDC's time.
    await inRealmWith({}, async (realm, system) => {
      const credentials = { username: "bob", password: realm.users.bob };
      const message = await refused(
        "clock-skew",
        "set them",
        () => acquire(system, "client", { credentials }),
      );
      assertStringIncludes(message, "realm MIT.TEST");
    }, { libdefaults: { kdc_timesync: "0" } });
  });
}, { skip: skip ?? noCompiler() });

refusal("a target that is not registered is unknown-target, and no token is made", async (_, { first }) => {
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

/** Like {@linkcode refused} for a context that the test still has open: it releases everything itself. */
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
  "a key table with an older key than the ticket is wrong-target, until it is exported again",
  async (provider, { realm, system }) => {
    const fresh = join(realm.dir, "new.keytab");
    await realm.kadmin([`ktadd -k "${fresh}" HTTP/localhost`]);
    using ends = await makeEnds(system, { provider });
    const { token } = await ends.client.step(null);
    await refusedStep(
      "wrong-target",
      "has an older key than the ticket; export it again",
      ends.server.step(token),
    );
    await withContexts(system, { provider, server: { credentials: { keytab: fresh } } }, () => {});
  },
);

refusal(
  "a ticket for an older key than the key table's is wrong-target, until the client gets a new one",
  async (provider, { realm, system }) => {
    await realm.kinit("alice");
    const keytab = join(realm.dir, "new.keytab");
    const rekeyed = { provider, server: { credentials: { keytab } } };
    await withContexts(system, { provider }, () => {});
    await realm.kadmin([`ktadd -k "${keytab}" HTTP/localhost`]);
    {
      using ends = await makeEnds(system, rekeyed);
      const { token } = await ends.client.step(null);
      await refusedStep("wrong-target", "get a new ticket on the client (kinit)", ends.server.step(token));
    }
    await realm.kinit("alice");
    await withContexts(system, rekeyed, () => {});
  },
);

refusal(
  "a key table without the service's key: the message names both, and the command that fixes it",
  async (provider, { realm, system }) => {
    const keytab = `FILE:${join(realm.dir, "http.keytab")}`;
    await realm.exportKeytab(keytab, ["HTTP/localhost"]);
    const options = { provider, target: "host/localhost", server: { credentials: { keytab } } };
    let command = "";
    {
      using ends = await makeEnds(system, options);
      const { token } = await ends.client.step(null);
      const error = await assertRejects(() => ends.server.step(token), AuthenticationError);
      assertStringIncludes(error.message, `The key table ${keytab} has no key for host/localhost@MIT.TEST`);
      command = /kadmin, (ktadd -k "[^"]+" "[^"]+")/.exec(error.message)![1];
    }
    await realm.kadmin([command]);
    await realm.kinit("alice");
    await withContexts(system, options, () => {});
  },
);

refusal(
  "a service other than the server's only principal is wrong-target, and the message states it",
  async (provider, { realm, system }) => {
    const credentials = { keytab: realm.env.KRB5_KTNAME, principal: "HTTP/localhost" };
    using ends = await makeEnds(system, { provider, target: "host/localhost", server: { credentials } });
    const { token } = await ends.client.step(null);
    await refusedStep("wrong-target", "leave credentials.principal out", ends.server.step(token));
  },
);

refusal("a server without the service's key is wrong-target", async (provider, given) => {
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

refusal(
  "a key table that is missing, invalid or without the principal is no-credentials",
  async (_, given) => {
    const { realm, first, serve } = given;
    const junk = join(realm.dir, "junk");
    writeFileSync(junk, "this is not a key table");
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
  },
);

const USER = {
  name: "libc",
  instead: "",
  files: {},
  fns: { seteuid: { params: [["user", "u32"]], result: "i32" } },
} as const satisfies LibrarySpec;

refusal("tickets and keys that this account cannot read are no-credentials", async (_, given) => {
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
}, { skip: cannotChangeUser() });

refusal(
  "an invalid krb5.conf is configuration, and the message states it",
  async (_, { realm, first, serve }) => {
    const path = join(realm.dir, "bad.conf");
    writeFileSync(path, "[libdefaults\n}{\n");
    await withEnv({ KRB5_CONFIG: path }, async () => {
      await refused("configuration", path, () => first());
      await refused("configuration", path, () => serve());
    });
  },
);

refusal(
  "a target without a realm, and no default realm, is configuration: the message names the file",
  async (_, { realm, first }) => {
    await realm.kinit("alice");
    const path = edited((conf) => conf.replace(/^.*default_realm.*$/m, ""))(realm);
    await withEnv({ KRB5_CONFIG: path }, async () => {
      const message = await refused("configuration", "default_realm = REALM", () => first());
      assertStringIncludes(message, `krb5.conf ${path}`);
      await first(undefined, `${TARGET}@MIT.TEST`);
    });
  },
);

refusal("a KDC whose port is closed is authority-unreachable", async (_, { realm, first }) => {
  await realm.kinit("alice");
  await withEnv({ KRB5_CONFIG: realm.writeConfig({ port: await freePort() }) }, async () => {
    const words = "check krb5.conf and the network";
    await refused("authority-unreachable", words, () => first({ username: "bob", password: "x" }));
    await refused("authority-unreachable", words, () => first(undefined, "host/localhost"));
  });
});

refusal("a first token that arrives too late is clock-skew", async (provider, { system }) => {
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
}, { realm: { rcache: true } });
