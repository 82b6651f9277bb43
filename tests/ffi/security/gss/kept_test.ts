/** What is kept between handshakes, counted at the native calls, with a real realm. */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { test } from "@test";
import { copyFileSync } from "node:fs";
import type { Backend, Library, LibrarySpec } from "../../../../ffi/abi.ts";
import { acquireCredentials } from "../../../../ffi/security/credentials.ts";
import type { CredentialsRequest } from "../../../../ffi/security/credentials_base.ts";
import type { ProviderContext, ProviderCredentials } from "../../../../contract.ts";
import { resolveRequirements } from "../../../../plugins/requirements.ts";
import type { Gss } from "../../../../ffi/security/gss/gss.ts";
import { type NameForm, TargetNames } from "../../../../ffi/security/gss/target_names.ts";
import { NativeSystem } from "../../../../ffi/system.ts";
import { AuthenticationError, StateError } from "../../../../mod.ts";
import { freePort, type Realm, realmUnavailable, startRealm } from "../../../rig/realm.ts";
import { liveHandles } from "../../../../testing/mod.ts";
import { runtimeBackend } from "../../../support/native.ts";

const skip = realmUnavailable();
const TARGET = "HTTP/localhost";
const requirements = resolveRequirements();
/** Which argument of a function receives a name that the caller must release. */
const NAMES_IN: { readonly [fn: string]: number } = {
  gss_import_name: 3,
  gss_canonicalize_name: 3,
  gss_accept_sec_context: 5,
  gss_inquire_context: 3,
};

/** What a backend has counted. */
class Seen {
  /** Names that are not released. */
  readonly names = new Set<bigint>();
  /** The number of names imported from text. */
  made = 0;
  /** Configurations that are not freed. */
  configurations = 0;

  before(fn: string, args: readonly unknown[]): void {
    if (fn === "gss_release_name") assert(this.names.delete(handle(args[1])), "a name is released twice");
    if (fn === "krb5_free_context") this.configurations--;
  }

  after(fn: string, args: readonly unknown[]): void {
    if (fn === "krb5_init_context") this.configurations++;
    if (fn === "gss_import_name" || fn === "gss_canonicalize_name") this.made++;
    const name = fn in NAMES_IN ? handle(args[NAMES_IN[fn]]) : 0n;
    if (name !== 0n) this.names.add(name);
  }
}

function handle(slot: unknown): bigint {
  const { buffer, byteOffset } = slot as Uint8Array;
  return new DataView(buffer, byteOffset).getBigUint64(0, true);
}

/** The runtime's backend, with counters. */
function watched(seen: Seen): Backend {
  type Functions = { readonly [name: string]: (...args: unknown[]) => unknown };
  const watch = (functions: Functions): Functions =>
    Object.fromEntries(
      Object.entries(functions).map(([name, fn]) => [name, (...args) => {
        seen.before(name, args);
        const result = fn(...args);
        if (result instanceof Promise) return result.finally(() => seen.after(name, args));
        seen.after(name, args);
        return result;
      }]),
    );
  const backend = runtimeBackend();
  return {
    ...backend,
    open<L extends LibrarySpec>(path: string, spec: L): Library<L> {
      const library = backend.open(path, spec);
      return {
        ...library,
        call: watch(library.call as unknown as Functions) as unknown as Library<L>["call"],
        threaded: watch(library.threaded as unknown as Functions) as unknown as Library<L>["threaded"],
      };
    },
  };
}

/** Runs `body` on a system with counters, and checks that every name and configuration is released at its end. */
async function onWatched(
  body: (system: NativeSystem, seen: Seen, realm: Realm) => Promise<void>,
): Promise<void> {
  await using realm = await startRealm();
  const restore = realm.applyEnv();
  const seen = new Seen();
  const system = new NativeSystem({ grants: ["sspi"] }, { backend: watched(seen) });
  try {
    await realm.kinit("alice");
    await body(system, seen, realm);
    assert(seen.made > 0);
  } finally {
    system.close();
    restore();
  }
  assertEquals(seen.names.size, 0);
  assertEquals(seen.configurations, 0);
  assertEquals(liveHandles(), {});
}

async function ends(
  system: NativeSystem,
  wanted: Pick<CredentialsRequest, "package" | "excludeNtlm">,
): Promise<[ProviderCredentials, ProviderCredentials]> {
  return [
    await acquireCredentials(system, { ...wanted, requirements, role: "client" }),
    await acquireCredentials(system, { ...wanted, requirements, role: "server" }),
  ];
}

async function shake(
  clients: ProviderCredentials,
  servers: ProviderCredentials,
  target = TARGET,
): Promise<[ProviderContext, ProviderContext]> {
  const client = clients.client({ target });
  const server = servers.server({});
  try {
    let { token } = await client.step(null);
    while (!client.done || !server.done) {
      if (!server.done) ({ token } = await server.step(token));
      if (!client.done) ({ token } = await client.step(token));
    }
  } catch (error) {
    client.close();
    server.close();
    throw error;
  }
  return [client, server];
}

for (
  const wanted of [
    { package: "kerberos", excludeNtlm: true },
    { package: "negotiate", excludeNtlm: true },
    { package: "negotiate", excludeNtlm: false },
  ] as const
) {
  const name = wanted.package + (wanted.excludeNtlm ? "" : " with NTLM allowed");

  test(
    `${name}: the target's name is imported once for all handshakes with the same credentials`,
    () =>
      onWatched(async (system, seen) => {
        const [clients, servers] = await ends(system, wanted);
        let made = 0;
        for (let round = 0; round < 3; round++) {
          const [client, server] = await shake(clients, servers);
          assertEquals(client.attributes.mechanism, "kerberos");
          assertEquals(client.attributes.mutualAuthentication, true);
          assertEquals(server.requestedTarget, "HTTP/localhost@MIT.TEST");
          assertEquals(client.peerName, TARGET);
          client.close();
          server.close();
          if (round === 0) made = seen.made;
        }
        assertEquals(seen.made, made);
        clients.close();
        servers.close();
      }),
    { skip },
  );

  test(
    `${name}: a context keeps its target's name when its credentials are closed first`,
    () =>
      onWatched(async (system) => {
        const [clients, servers] = await ends(system, wanted);
        const client = clients.client({ target: TARGET });
        const server = servers.server({});
        clients.close();
        servers.close();
        const first = await client.step(null);
        const answer = await server.step(first.token);
        if (!client.done) await client.step(answer.token);
        assert(client.done);
        assertThrows(() => clients.client({ target: TARGET }), StateError);
        client.close();
        server.close();
      }),
    { skip },
  );

  test(
    `${name}: a target that is not an SPN is refused and leaves nothing open, and the next one works`,
    () =>
      onWatched(async (system) => {
        const [clients, servers] = await ends(system, wanted);
        for (let round = 0; round < 2; round++) {
          await assertRejects(() => shake(clients, servers, "HTTP/a/b@C@D@"), TypeError, "target");
        }
        for (const context of await shake(clients, servers)) context.close();
        clients.close();
        servers.close();
        assertEquals(liveHandles(), { library: 1 });
      }),
    { skip },
  );
}

test(
  "TargetNames keeps the names in use, and imports others again where there are more than it keeps",
  () =>
    onWatched(async (system, seen) => {
      const [clients, servers] = await ends(system, { package: "negotiate", excludeNtlm: true });
      const begun = clients.client({ target: TARGET });
      const contexts = Array.from(
        { length: 40 },
        (_, index) => clients.client({ target: `host/number${index}.mit.test` }),
      );
      // A second use of a name that is in use ends while too many are kept.
      clients.client({ target: TARGET }).close();
      assertEquals(seen.names.size, 41);
      for (const context of contexts) context.close();
      assert(seen.names.size < 20, `${seen.names.size} names are kept`);
      assert((await begun.step(null)).token !== null);
      begun.close();
      for (const context of await shake(clients, servers)) context.close();
      clients.close();
      servers.close();
    }),
  { skip },
);

test(
  "a change of krb5.conf is noticed although the configuration is kept",
  () =>
    onWatched(async (system, _seen, realm) => {
      const [clients, servers] = await ends(system, { package: "kerberos", excludeNtlm: true });
      const [client, server] = await shake(clients, servers);
      client.close();
      server.close();
      copyFileSync(realm.writeConfig({ port: await freePort() }), realm.env.KRB5_CONFIG);
      const error = await assertRejects(
        () => shake(clients, servers, "host/web.mit.test"),
        AuthenticationError,
      );
      assertEquals(error.reason, "authority-unreachable");
      clients.close();
      servers.close();
    }),
  { skip },
);

/** Names of a library that writes down what it is asked for. */
function written(form: NameForm): { names: TargetNames; imports: string[]; open: Map<bigint, string> } {
  const imports: string[] = [];
  const open = new Map<bigint, string>();
  let last = 0n;
  const make = (text: string): bigint => {
    imports.push(text);
    open.set(++last, text);
    return last;
  };
  const oids = { kerberos: "kerberos", spnego: "spnego" };
  const gss = {
    oids,
    importName: (text: string, type: string) => make(`${type} ${text}`),
    canonicalName: (name: bigint, mechanism: string) => make(`${open.get(name)} ${mechanism}`),
    portableName: (name: bigint) => make(`${open.get(name)} portable`),
    releaseName: (name: bigint) => assert(open.delete(name), "a name is released twice"),
  };
  return { names: new TargetNames(gss as unknown as Gss, form), imports, open };
}

test("TargetNames imports a name in the form that its mechanism accepts, and releases each step", () => {
  const cases: [NameForm, string, string][] = [
    ["kerberos", "HTTP/a", "principalName HTTP/a kerberos"],
    ["spnego-kerberos", "HTTP/a", "principalName HTTP/a kerberos portable spnego"],
    ["as-typed", "HTTP/a", "hostService HTTP@a"],
    ["as-typed", "HTTP/a/b", "principalName HTTP/a/b"],
    ["as-typed", "HTTP/a@B", "principalName HTTP/a@B"],
    ["as-typed", "HTTP/a/b@B", "principalName HTTP/a/b@B"],
  ];
  for (const [form, target, expected] of cases) {
    const { names, open } = written(form);
    names.acquire(target);
    assertEquals([...open.values()], [expected]);
    names.release(target);
    names.close();
    assertEquals(open.size, 0);
    // Nothing is left that would be released again.
    names.close();
  }
});

test("TargetNames keeps 16 names that are not used, and those in use", () => {
  const { names, imports, open } = written("as-typed");
  const targets = Array.from({ length: 17 }, (_, index) => `HTTP/${index}`);
  for (const target of targets.slice(0, 16)) names.acquire(target);
  for (const target of targets.slice(0, 16)) names.release(target);
  assertEquals(open.size, 16);
  assertEquals(names.acquire(targets[0]), names.acquire(targets[0]));
  assertEquals(imports.length, 16);
  names.acquire(targets[16]);
  names.release(targets[0]);
  names.release("HTTP/unknown");
  assertEquals(open.size, 17);
  names.release(targets[0]);
  assertEquals(open.size, 16);
  names.acquire(targets[0]);
  assertEquals(imports.length, 18);
  names.close();
  assertEquals(open.size, 0);
});
