/** Each native call of a whole connection fails once: a typed error, nothing left open, no plain text sent. */

import { assert, assertEquals } from "@std/assert";
import { test } from "@test";
import { Buffer } from "node:buffer";
import { existsSync } from "node:fs";
import { AuthenticationError, SecureSocketError } from "../../errors.ts";
import { GSS_C } from "../../ffi/raw/gssapi.ts";
import { filePath } from "../../ffi/security/gss/held_tickets.ts";
import type { NativeSystem } from "../../ffi/system.ts";
import type { ContextProvider } from "../../contract.ts";
import type { Realm } from "../rig/realm.ts";
import { liveHandles } from "../../testing/mod.ts";
import { Faults, Injected, isRelease } from "../support/faults.ts";
import { settled } from "../support/first_steps.ts";
import { acquire, bytes, exchange, inRealmWith, makeEnds, NAMES, PROVIDERS, TARGET } from "../support/gss.ts";
import { noKeyring, noRealm } from "../support/kerberos.ts";
import { RawClient } from "../support/raw_gss.ts";

const skip = noRealm;
const PLAIN = bytes("attack at dawn");

/** A whole connection, by password and with delegation, and then a second one with the delegated credentials. */
async function connection(
  realm: Realm,
  system: NativeSystem,
  provider: ContextProvider,
  outs: Uint8Array[],
): Promise<void> {
  const credentials = { username: "alice", password: realm.users.alice };
  const end = { channelBindings: bytes("tls-server-end-point:x") };
  using ends = await makeEnds(system, {
    provider,
    requirements: { delegation: true },
    client: { credentials, ...end },
    server: end,
  });
  const { client, server } = ends;
  await exchange(ends);
  assertEquals(client.sessionKey(), server.sessionKey());
  assertEquals([server.peerName, server.requestedTarget], ["alice@MIT.TEST", "HTTP/localhost@MIT.TEST"]);
  const { incomplete } = server.peerIdentity!;
  if (incomplete !== undefined) throw new AuthenticationError("other", incomplete);
  assertEquals(client.peerIdentity!.name, "HTTP/localhost@MIT.TEST");
  for (const [from, to] of [[client, server], [server, client]]) {
    const out = new Uint8Array(PLAIN.length + from.maxOverhead);
    outs.push(out);
    const record = from.wrap(PLAIN, out);
    assertEquals(to.unwrap(record), PLAIN);
    out.fill(0);
    to.verify(PLAIN, from.sign(PLAIN));
  }
  using delegated = server.takeDelegated!()!;
  using onward = await acquire(system, "client", { provider, credentials: { delegated } });
  const again = onward.client({ target: TARGET });
  const answering = ends.serverCredentials.server({});
  try {
    await exchange({ client: again, server: answering });
  } finally {
    again.close();
    answering.close();
  }
}

/** Credentials from a key table, and a refusal whose text is read. */
async function refusal(realm: Realm, system: NativeSystem, provider: ContextProvider): Promise<void> {
  const credentials = { keytab: `FILE:${realm.dir}/user.keytab` };
  using held = await acquire(system, "client", { provider, credentials });
  const context = held.client({ target: "HTTP/nowhere" });
  try {
    await context.step(null);
  } catch (error) {
    if (!(error instanceof SecureSocketError)) throw error;
  } finally {
    context.close();
  }
}

/** Tickets that can be delegated, by the first principal of a key table. */
async function ticket(realm: Realm, system: NativeSystem, provider: ContextProvider): Promise<void> {
  const credentials = { keytab: `FILE:${realm.dir}/user.keytab` };
  const options = { provider, requirements: { delegation: true }, credentials };
  using held = await acquire(system, "client", options);
  held.client({ target: TARGET }).close();
}

/** Tickets that are copied from a KEYRING. */
async function keyring(realm: Realm, system: NativeSystem, provider: ContextProvider): Promise<void> {
  const credentials = { cache: keyringOf(realm) };
  using held = await acquire(system, "client", { provider, credentials });
  held.client({ target: TARGET }).close();
}

const keyringOf = ({ dir }: Realm): string => `KEYRING:user:${dir.replace(/.*\//, "")}`;

/** Clients whose tickets are in memory when they begin again: in a cache of their own, and copied from a file. */
async function held(realm: Realm, system: NativeSystem, provider: ContextProvider): Promise<void> {
  await settled(filePath(realm.env.KRB5CCNAME)!);
  for (const credentials of [{ keytab: `FILE:${realm.dir}/user.keytab` }, undefined]) {
    using held = await acquire(system, "client", { provider, credentials });
    for (let round = 0; round < 2; round++) {
      const context = held.client({ target: TARGET });
      try {
        await context.step(null);
      } finally {
        context.close();
      }
    }
  }
}

/** A client without sequence detection, such as .NET's: the order of its records is checked by their numbers. */
async function unordered(_: Realm, system: NativeSystem, provider: ContextProvider): Promise<void> {
  const mechanism = provider.name === "kerberos" ? "kerberos" : "spnego";
  const flags = GSS_C.MUTUAL_FLAG | GSS_C.INTEG_FLAG | GSS_C.CONF_FLAG;
  using held = await acquire(system, "server", { provider });
  using client = new RawClient(system, { mechanism, target: TARGET, flags });
  const server = held.server({});
  try {
    await exchange({ client, server });
    const records = client.records();
    const record = records.wrap(PLAIN, new Uint8Array(PLAIN.length + records.maxOverhead));
    assertEquals(server.unwrap(record), PLAIN);
  } finally {
    server.close();
  }
}

/** Servers that must read their key tables for the target that a client requested: with one key, and with two. */
async function keyTable(realm: Realm, system: NativeSystem, provider: ContextProvider): Promise<void> {
  const [one, same, other] = ["HTTP/one.mit.test", "IMAP/one.mit.test", "LDAP/one.mit.test"];
  const [shared, apart] = ["shared", "apart"].map((name) => `${realm.dir}/${name}.keytab`);
  if (!existsSync(apart)) {
    const key = "-pw x -e aes256-cts-hmac-sha1-96:onlyrealm";
    await realm.kadmin([`addprinc ${key} ${one}`, `addprinc ${key} ${same}`, `addprinc -randkey ${other}`]);
    await realm.exportKeytab(shared, [one, same]);
    await realm.exportKeytab(apart, [one, other]);
  }
  for (const [keytab, target, written] of [[shared, same, ""], [apart, one, "LDAP"]]) {
    using ends = await makeEnds(system, { provider, target, server: { credentials: { keytab } } });
    await exchange(ends, (token, step) => {
      const at = Buffer.from(token).indexOf("HTTP");
      if (step === 0 && written !== "") token.set(bytes(written), at);
      return token;
    });
    const { requestedTarget } = ends.server;
    assert(requestedTarget === undefined || requestedTarget === `${same}@MIT.TEST`, requestedTarget);
  }
}

const SCENARIOS = { connection, refusal, ticket, keyring, held, unordered, keyTable } as const;
/** Where a failure may have no effect that the caller sees. */
const FORGIVING = ["refusal", "unordered", "held"];
/** Calls that a connection needs; the others release something, or explain a failure. */
const isNeeded = (fn: string): boolean =>
  !isRelease(fn) && !["gss_display_status", "gss_localname"].includes(fn) &&
  (!fn.startsWith("krb5_") ||
    /parse_name|copy|kt_.*(resolve|seq_get|entry)|get_init_creds_(?!opt_set_f)/.test(fn));

for (const name of NAMES) {
  for (const [what, scenario] of Object.entries(SCENARIOS)) {
    test(`${name}, ${what}: a failure of any single native call is an error and leaves nothing open`, () => {
      const faults = new Faults();
      return inRealmWith({ backend: faults.backend() }, async (realm, system) => {
        const run = async (failAt?: number, throws?: boolean): Promise<unknown> => {
          faults.reset(failAt, throws);
          const outs: Uint8Array[] = [];
          const error = await scenario(realm, system, PROVIDERS[name], outs).then(
            () => null,
            (reason) => reason,
          );
          const where = `${failAt}: ${faults.failed}: ${error}`;
          const expected = error instanceof SecureSocketError || error instanceof Injected;
          assert(error === null || expected, where);
          assertEquals(liveHandles(), { library: 1 }, where);
          assertEquals(faults.left, [], where);
          assert(outs.every((out) => out.every((byte) => byte === 0)), where);
          return error;
        };
        await realm.kinit("alice");
        if (what === "keyring") await realm.kinit("alice", { cache: keyringOf(realm) });
        // Once to fill what is kept until the system closes, once to count.
        await scenario(realm, system, PROVIDERS[name], []);
        assertEquals(await run(), null);
        const calls = [...faults.called];
        assert(calls.includes("gss_acquire_cred_from") && calls.includes("gss_release_cred"));
        if (what === "connection") {
          assert(calls.includes("EVP_CipherUpdate") && calls.includes("EVP_MAC_final"));
        }
        for (const [failAt, fn] of calls.entries()) {
          const error = await run(failAt);
          // Without the context's keys its records are the system library's.
          const forRecords = calls[failAt + 1] === "gss_krb5_free_lucid_sec_context";
          const noticed = error instanceof SecureSocketError || !isNeeded(fn) || forRecords;
          // Without its key table a server reports no name: `keyTable` itself asserts that it is no other name.
          const unnamed = what === "keyTable" && fn.startsWith("krb5_");
          assert(noticed || unnamed || FORGIVING.includes(what), `${fn} was not missed`);
          if (!isRelease(fn)) await run(failAt, true);
        }
        assertEquals(await run(), null);
      });
    }, { skip: what === "keyring" ? noKeyring : skip });
  }
}
