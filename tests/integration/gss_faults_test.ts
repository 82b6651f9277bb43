/** Each native call of a whole connection made to fail once: a typed error, nothing left, no plain text out. */

import { assert, assertEquals } from "@std/assert";
import { test } from "@test";
import { AuthenticationError, SecureSocketError } from "../../errors.ts";
import { GSS_C } from "../../ffi/raw/gssapi.ts";
import type { NativeSystem } from "../../ffi/system.ts";
import type { MessageProvider } from "../../contract.ts";
import type { Realm } from "../rig/realm.ts";
import { liveHandles } from "../../testing/mod.ts";
import { Faults, Injected, isRelease } from "../support/faults.ts";
import { acquire, bytes, exchange, inRealmWith, makeEnds, NAMES, PROVIDERS, TARGET } from "../support/gss.ts";
import { noRealm } from "../support/kerberos.ts";
import { RawClient } from "../support/raw_gss.ts";

const skip = noRealm;
const PLAIN = bytes("attack at dawn");

/** Everything a connection does, by password and with delegation, and then one onward with what was delegated. */
async function connection(
  realm: Realm,
  system: NativeSystem,
  provider: MessageProvider,
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

/** Credentials from a key table, and a refusal whose text is asked for. */
async function refusal(realm: Realm, system: NativeSystem, provider: MessageProvider): Promise<void> {
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

/** A client without sequence detection, as .NET's, whose records are held to their order by their numbers. */
async function unordered(_: Realm, system: NativeSystem, provider: MessageProvider): Promise<void> {
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

const SCENARIOS = { connection, refusal, unordered } as const;
/** Calls without which a connection cannot be; the others give something back, or explain a failure. */
const isNeeded = (fn: string): boolean =>
  !isRelease(fn) && !["gss_display_status", "gss_localname"].includes(fn) && !fn.startsWith("krb5_");

for (const name of NAMES) {
  for (const [what, scenario] of Object.entries(SCENARIOS)) {
    test(`${name}, ${what}: a failure of any one native call is an error and leaves nothing behind`, () => {
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
        // Once for what is kept until the system closes, once to count.
        await scenario(realm, system, PROVIDERS[name], []);
        assertEquals(await run(), null);
        const calls = [...faults.called];
        assert(calls.includes("gss_init_sec_context") && calls.includes("gss_release_cred"));
        for (const [failAt, fn] of calls.entries()) {
          const error = await run(failAt);
          const noticed = error instanceof SecureSocketError || !isNeeded(fn);
          assert(noticed || what !== "connection", `${fn} was not missed`);
          if (!isRelease(fn)) await run(failAt, true);
        }
        assertEquals(await run(), null);
      });
    }, { skip });
  }
}
