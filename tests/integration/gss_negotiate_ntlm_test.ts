/**
 * negotiate() and NTLM: used only where allowNtlm is set and mutual authentication is not required, and never
 * reported as mutual.
 */

import { assert, assertEquals, assertMatch, assertRejects, assertThrows } from "@std/assert";
import { test } from "@test";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  AuthenticationError,
  ProtocolError,
  ProviderNotFoundError,
  SecurityRequirementError,
} from "../../errors.ts";
import { OIDS } from "../../ffi/raw/gssapi.ts";
import type { NativeSystem } from "../../ffi/system.ts";
import { negotiate } from "../../plugins/negotiate/mod.ts";
import type { ProviderContext, Requirements } from "../../contract.ts";
import { createRegistry } from "../../plugins/registry.ts";
import { resolveRequirements, verifyAttributes } from "../../plugins/requirements.ts";
import { secure } from "../../sockets/mod.ts";
import { withEnv } from "../support/env.ts";
import {
  acquire,
  bytes,
  exchange,
  includes,
  inRealmWith,
  makeEnds,
  PROVIDERS,
  TARGET,
  unwrap,
  withContexts,
  wrap,
} from "../support/gss.ts";
import { noRealm } from "../support/kerberos.ts";
import { MemoryTransport } from "../support/memory_transport.ts";

const places = ["x86_64", "aarch64"].map((arch) => `/usr/lib/${arch}-linux-gnu/gssntlmssp/gssntlmssp.so`);
const skip = noRealm ?? (places.some((path) => existsSync(path)) ? null : "install gss-ntlmssp");

/** NTLM is used only where mutual authentication is not required. */
const UNKNOWN = { mutualAuthentication: false } as const satisfies Requirements;
const ALLOWED = { provider: negotiate({ allowNtlm: true }), requirements: UNKNOWN };
const PLAIN = bytes("attack at dawn");

/** A machine with NTLM credentials, with or without a Kerberos ticket. */
function onMachine(ticket: boolean, body: (system: NativeSystem) => Promise<void>): Promise<void> {
  return inRealmWith({}, (realm, system) => {
    const users = join(realm.dir, "ntlm-users");
    writeFileSync(users, "MIT:alice:Alice1234!\nMIT:alice@corp.example:Alice1234!\n");
    const env = { NTLM_USER_FILE: users, KRB5_CLIENT_KTNAME: join(realm.dir, "none") };
    return withEnv(env, async () => {
      if (ticket) await realm.kinit("alice");
      await body(system);
    });
  });
}

/** The first token of a client. */
async function firstToken(
  system: NativeSystem,
  allowNtlm: boolean,
  requirements: Requirements,
): Promise<Uint8Array> {
  using credentials = await acquire(system, "client", { provider: negotiate({ allowNtlm }), requirements });
  const client = credentials.client({ target: TARGET });
  try {
    return (await client.step(null)).token!;
  } finally {
    client.close();
  }
}

test(
  "negotiate() offers NTLM only with allowNtlm and without mutual authentication",
  () =>
    onMachine(true, async (system) => {
      const cases = [[false, {}], [true, {}], [false, UNKNOWN]] as const;
      for (const [allowNtlm, requirements] of cases) {
        const token = await firstToken(system, allowNtlm, requirements);
        assert(includes(token, OIDS.kerberos));
        assert(!includes(token, OIDS.ntlmssp) && !includes(token, bytes("NTLMSSP")));
      }
      const offered = await firstToken(system, true, UNKNOWN);
      assert(includes(offered, OIDS.kerberos) && includes(offered, OIDS.ntlmssp));
    }),
  { skip },
);

test(
  "negotiate() with allowNtlm neither offers nor accepts NTLM where a policy denies it",
  () =>
    onMachine(false, async (system) => {
      const allowing = createRegistry([ALLOWED.provider]);
      const denying = createRegistry([ALLOWED.provider], { version: 1, deny: ["ntlm"] });
      const common = { system, requirements: UNKNOWN } as const;
      const [near, far] = MemoryTransport.pair();
      const error = await assertRejects(
        () => secure(near, { role: "client", target: TARGET, registry: denying, ...common }),
        AuthenticationError,
      );
      assertEquals([error.reason, near.sent.length], ["no-credentials", 0]);
      far.close();
      const [a, b] = MemoryTransport.pair();
      const client = secure(a, { role: "client", target: TARGET, registry: allowing, ...common });
      const server = secure(b, { role: "server", registry: denying, ...common });
      await assertRejects(() => server, AuthenticationError);
      await assertRejects(() => client, AuthenticationError);
    }),
  { skip },
);

test(
  "negotiate() does not offer Kerberos where a policy denies it, although there is a ticket",
  () =>
    onMachine(true, async (system) => {
      const denied = ["kerberos"];
      using ends = await makeEnds(system, { ...ALLOWED, denied });
      const [first, ...others] = await exchange(ends);
      for (const token of [first, ...others]) assert(!includes(token, OIDS.kerberos));
      assert(includes(first, OIDS.ntlmssp) && includes(first, bytes("NTLMSSP\0")));
      const mechanisms = [ends.client, ends.server].map(({ attributes }) => attributes.mechanism);
      assertEquals(mechanisms, ["ntlm", "ntlm"]);
      assertEquals(unwrap(ends.server, wrap(ends.client, PLAIN)), PLAIN);
    }),
  { skip },
);

test(
  "a server whose policy denies Kerberos refuses its tokens, with and without SPNEGO, and states why",
  () =>
    onMachine(true, async (system) => {
      for (const provider of Object.values(PROVIDERS)) {
        using clients = await acquire(system, "client", { provider });
        using client = clients.client({ target: TARGET });
        const { token } = await client.step(null);
        using servers = await acquire(system, "server", { ...ALLOWED, denied: ["kerberos"] });
        using server = servers.server({});
        const error = await assertRejects(() => server.step(token), AuthenticationError);
        assertEquals([error.reason, server.done], ["mechanism", false]);
        assertMatch(
          error.message,
          /offers Kerberos, which is excluded here on purpose, because a policy denies it/,
        );
      }
    }),
  { skip },
);

test(
  "connect() and listen() do not use a denied Kerberos, and kerberos() is then not selected",
  () =>
    onMachine(true, async (system) => {
      const policy = { version: 1, deny: ["kerberos"] } as const;
      const common = { system, requirements: UNKNOWN } as const;
      const denying = createRegistry([ALLOWED.provider], policy);
      const [a, b] = MemoryTransport.pair();
      const [client, server] = await Promise.all([
        secure(a, { role: "client", target: TARGET, registry: denying, ...common }),
        secure(b, { role: "server", registry: denying, ...common }),
      ]);
      assertEquals([client, server].map(({ security }) => security.mechanism), ["ntlm", "ntlm"]);
      await Promise.all([client.close(), server.close()]);
      for (const [provider, requirements] of [[negotiate(), UNKNOWN], [ALLOWED.provider, {}]] as const) {
        const [near] = MemoryTransport.pair();
        const registry = createRegistry([provider], policy);
        await assertRejects(
          () => secure(near, { role: "client", target: TARGET, registry, system, requirements }),
          ProviderNotFoundError,
          "every mechanism that it could negotiate is excluded: kerberos (the application's policy denies it)",
        );
        assertEquals(near.sent.length, 0);
        await assertRejects(
          () => acquire(system, "client", { provider, requirements, denied: ["kerberos"] }),
          AuthenticationError,
          "a policy denies kerberos, and no other mechanism is allowed",
        );
      }
    }),
  { skip },
);

test(
  "acquire() sends no credentials to the KDC where a policy denies Kerberos, and reports NTLM's missing user",
  () =>
    inRealmWith({}, async (realm, system) => {
      const requests = () => readFileSync(join(realm.dir, "kdc.log"), "utf8").match(/_REQ/g)?.length;
      const none = { NTLM_USER_FILE: join(realm.dir, "none"), KRB5_CLIENT_KTNAME: join(realm.dir, "none") };
      await realm.kinit("alice");
      const before = requests();
      assert(before! > 0);
      await withEnv(none, async () => {
        const end = { ...ALLOWED, denied: ["kerberos"] };
        for (
          const credentials of [
            { username: "alice", password: "Alice1234!" },
            { keytab: realm.env.KRB5_CLIENT_KTNAME, principal: "alice" },
            { cache: realm.env.KRB5CCNAME },
          ]
        ) {
          const error = await assertRejects(
            () => acquire(system, "client", { ...end, credentials }),
            AuthenticationError,
            "NTLM_USER_FILE",
          );
          assertEquals(error.reason, "mechanism");
        }
        using credentials = await acquire(system, "client", end);
        using client = credentials.client({ target: TARGET });
        const error = await assertRejects(() => client.step(null), AuthenticationError, "NTLM has no user");
        assertEquals(error.reason, "no-credentials");
      });
      assertEquals(requests(), before);
    }),
  { skip },
);

test(
  "delegated credentials are refused for a client whose policy denies Kerberos",
  () =>
    onMachine(true, async (system) => {
      const provider = ALLOWED.provider, requirements = UNKNOWN;
      using tickets = await acquire(system, "client");
      await assertRejects(
        () =>
          acquire(system, "client", {
            provider,
            requirements,
            denied: ["kerberos"],
            credentials: { delegated: tickets },
          }),
        AuthenticationError,
        "Cannot use credentials.delegated: they are Kerberos tickets, and a policy denies kerberos",
      );
    }),
  { skip },
);

test(
  "a server that excludes NTLM states that this is on purpose, and does not advise to install it",
  () =>
    onMachine(false, async (system) => {
      const token = await firstToken(system, true, UNKNOWN);
      for (const options of [{}, { requirements: UNKNOWN }, { provider: ALLOWED.provider }]) {
        using credentials = await acquire(system, "server", options);
        const error = await assertRejects(() => credentials.server({}).step(token), AuthenticationError);
        assertEquals(error.reason, "mechanism");
        assertMatch(error.message, /NTLM, which is excluded here on purpose.*Use Kerberos on the client/i);
        assert(!/install|enable/i.test(error.message), error.message);
      }
    }),
  { skip },
);

test(
  "negotiate() without a ticket sends NTLM where it is allowed, and otherwise nothing",
  () =>
    onMachine(false, async (system) => {
      for (const [allowNtlm, requirements] of [[false, UNKNOWN], [true, {}]] as const) {
        const error = await assertRejects(
          () => firstToken(system, allowNtlm, requirements),
          AuthenticationError,
        );
        assertEquals(error.reason, "no-credentials");
      }
      const token = await firstToken(system, true, UNKNOWN);
      assert(!includes(token, OIDS.kerberos) && includes(token, bytes("NTLMSSP\0")));
    }),
  { skip },
);

test(
  "negotiate() with a ticket uses Kerberos although NTLM is allowed",
  () =>
    onMachine(true, (system) =>
      withContexts(system, ALLOWED, ({ client, server }) => {
        assertEquals([client.attributes.mechanism, server.attributes.mechanism], ["kerberos", "kerberos"]);
        assertEquals([server.peerName, server.requestedTarget], [
          "alice@MIT.TEST",
          "HTTP/localhost@MIT.TEST",
        ]);
      })),
  { skip },
);

test(
  "NTLM allowed on both ends connects them, and is never reported as mutual",
  () =>
    onMachine(false, (system) =>
      withContexts(system, ALLOWED, ({ client, server }) => {
        for (const [end, role] of [[client, "client"], [server, "server"]] as const) {
          const { mechanism, mutualAuthentication: mutual, integrity, confidentiality } = end.attributes;
          assertEquals([mechanism, mutual, integrity, confidentiality], ["ntlm", false, true, true]);
          verifyAttributes(end.attributes, resolveRequirements(UNKNOWN), role, false);
          const refusal = assertThrows(
            () => verifyAttributes(end.attributes, resolveRequirements(), role, false),
            SecurityRequirementError,
          );
          assertEquals(refusal.required, "mutualAuthentication");
        }
        assertEquals([client.peerName, server.requestedTarget], [TARGET, undefined]);
        assert(/alice/i.test(server.peerName), server.peerName);
        assertEquals(client.sessionKey(), server.sessionKey());
      })),
  { skip },
);

test(
  "username for both Kerberos and NTLM is the same user in both, or is refused by name",
  () =>
    onMachine(false, async (system) => {
      const credentials = { password: "Alice1234!" };
      const seen = async (username: string, domain?: string): Promise<string> => {
        let peer = "";
        const who = { ...credentials, username, ...(domain === undefined ? {} : { domain }) };
        await withContexts(system, { ...ALLOWED, client: { credentials: who } }, ({ client, server }) => {
          peer = `${client.attributes.mechanism} ${server.peerName}`;
        });
        return peer;
      };
      assertEquals(await seen("MIT\\alice"), "ntlm MIT\\alice");
      assertEquals(await seen("alice", "MIT"), "ntlm MIT\\alice");
      assertEquals(await seen("alice@corp.example", "MIT"), "ntlm MIT\\alice@corp.example");
      assertEquals(await seen("MIT.TEST\\alice"), "kerberos alice@MIT.TEST");
      await assertRejects(
        () => seen("alice@corp.example"),
        TypeError,
        "give credentials.domain too, or leave allowNtlm",
      );
      await assertRejects(
        () => seen("MIT\\alice", "OTHER"),
        TypeError,
        "credentials.username has one domain",
      );
    }),
  { skip },
);

test(
  "wrap(), unwrap(), sign() and verify() work with NTLM in both directions",
  () =>
    onMachine(false, (system) =>
      withContexts(system, ALLOWED, ({ client, server }) => {
        for (const [from, to] of [[client, server], [server, client]]) {
          for (const length of [1, 100, 65536]) {
            const plain = new Uint8Array(length).fill(7);
            const record = wrap(from, plain);
            assert(length < 8 || !includes(record, plain.subarray(0, 8)));
            assertEquals(unwrap(to, record), plain);
            to.verify(plain, from.sign(plain));
          }
        }
      })),
  { skip },
);

const TAMPERING: {
  readonly [what: string]: (seal: () => Uint8Array, server: ProviderContext) => Uint8Array;
} = {
  changed: (seal) => seal().map((byte, index) => index === 20 ? byte ^ 1 : byte),
  repeated: (seal, server) => {
    const record = seal();
    unwrap(server, record);
    return record;
  },
  "not the next": (seal) => (seal(), seal()),
  "cut short": (seal) => seal().subarray(0, 20),
};

for (const [what, tamper] of Object.entries(TAMPERING)) {
  test(
    `unwrap() with NTLM refuses a record that is ${what}`,
    () =>
      onMachine(false, (system) =>
        withContexts(system, ALLOWED, ({ client, server }) => {
          const record = tamper(() => wrap(client, PLAIN), server);
          assertThrows(() => unwrap(server, record), ProtocolError);
        })),
    { skip },
  );
}

test(
  "a server without allowNtlm refuses NTLM with and without SPNEGO, at the first token",
  () =>
    onMachine(false, async (system) => {
      const wrapped = await firstToken(system, true, UNKNOWN);
      const bare = wrapped.slice(findAt(wrapped, bytes("NTLMSSP\0")));
      for (const provider of Object.values(PROVIDERS)) {
        for (const requirements of [{}, UNKNOWN]) {
          using credentials = await acquire(system, "server", { provider, requirements });
          for (const token of [wrapped, bare]) {
            const server = credentials.server({});
            await assertRejects(() => server.step(token), AuthenticationError);
            assertEquals(server.done, false);
          }
        }
      }
    }),
  { skip },
);

function findAt(whole: Uint8Array, part: Uint8Array): number {
  for (let at = 0; at + part.length <= whole.length; at++) {
    if (part.every((byte, index) => whole[at + index] === byte)) return at;
  }
  throw new Error("not found");
}
