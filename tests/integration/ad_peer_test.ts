/** Who the peer is in an Active Directory domain: SIDs and groups of real tickets, as the controller itself has them. */

import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { test } from "@test";
import type { Backend, LibrarySpec } from "../../ffi/abi.ts";
import type { NativeSystem } from "../../ffi/system.ts";
import { AuthenticationError, connect, isMember, listen, type PeerIdentity } from "../../mod.ts";
import type { ContextProvider } from "../../contract.ts";
import type { AdDc } from "../rig/ad_dc.ts";
import { inDomain, noAdDc } from "../support/ad.ts";
import { Faults, Injected } from "../support/faults.ts";
import { exchange, makeEnds, NAMES, PROVIDERS } from "../support/gss.ts";
import { runtimeBackend } from "../support/native.ts";

const skip = noAdDc;
const TARGET = "HTTP/web.example.test";

/** Who a server sees where whoever has the ticket connects. */
async function seen(
  system: NativeSystem,
  provider: ContextProvider = PROVIDERS.negotiate,
): Promise<PeerIdentity> {
  using ends = await makeEnds(system, { provider, target: TARGET });
  await exchange(ends);
  return ends.server.peerIdentity!;
}

/** The SID of each account and group of the directory, by its common name. */
async function directory(dc: AdDc): Promise<Map<string, string>> {
  const ldif = await dc.search(["-b", dc.base, "(objectSid=*)", "cn", "objectSid"]);
  return new Map(
    ldif.split("\n\n").map((entry) => {
      const of = (attribute: string) => new RegExp(`^${attribute}: (.*)$`, "m").exec(entry)?.[1] ?? "";
      return [of("cn"), of("objectSid")];
    }),
  );
}

/** The SIDs of an account's groups as the controller's own token would have them. */
async function tokenGroups(dc: AdDc, dn: string): Promise<string[]> {
  const ldif = await dc.search(["-b", `${dn},${dc.base}`, "-s", "base", "tokenGroups"]);
  return [...ldif.matchAll(/^tokenGroups: (S-1-\S+)$/gm)].map(([, sid]) => sid);
}

const sorted = (values: readonly string[]): string[] => [...values].sort();

for (const name of NAMES) {
  test(
    `${name}: SID and groups of each account are those that the controller has`,
    () =>
      inDomain(async (dc, system) => {
        const accounts = [
          ["alice", "CN=alice,CN=Users", "user", 62],
          ["bob", "CN=bob,CN=Users", "user", 2],
          ["WEB1$", "CN=WEB1,CN=Computers", "computer", 2],
        ] as const;
        const known = await directory(dc);
        for (const [user, dn, kind, count] of accounts) {
          await dc.kinit(user);
          const { groups, sid, displayName, ...identity } = await seen(system, PROVIDERS[name]);
          assertEquals(identity, {
            name: `${user}@EXAMPLE.TEST`,
            user,
            realm: "EXAMPLE.TEST",
            kind,
            netbiosDomain: "EXAMPLE",
            upn: `${user}@example.test`,
            localName: user,
          });
          assertEquals(displayName, user === "alice" ? "Alice Example" : undefined);
          assertEquals(sid, known.get(user.replace("$", "")));
          // The controller's token has groups of its own machine in it, and no word of how the ticket was had.
          const told = (await tokenGroups(dc, dn)).filter((sid) => !sid.startsWith("S-1-5-32-"));
          assertEquals(sorted(groups!), sorted([...told, "S-1-18-1"]));
          assertEquals(groups!.length, count);
        }
      }),
    { skip },
  );
}

test(
  "nested and domain local groups count, a group for mail does not, as samba-tool lists them",
  () =>
    inDomain(async (dc, system) => {
      await dc.kinit("alice");
      const { groups } = await seen(system);
      const direct = (await dc.tool(["user", "getgroups", "alice"])).trim().split("\n");
      assertEquals(direct.length, 59);
      const known = await directory(dc);
      for (const group of [...direct, "Outer", "Universal", "Local"]) {
        assertEquals(groups!.includes(known.get(group)!), group !== "Mail", group);
      }
    }),
  { skip },
);

test(
  "A renamed account keeps its SID, and what it is a member of changes with its next ticket",
  () =>
    inDomain(async (dc, system) => {
      await dc.kinit("bob");
      const before = await seen(system);
      const dn = `CN=bob,CN=Users,${dc.base}`;
      await dc.modify(`dn: ${dn}\nchangetype: modify\nreplace: sAMAccountName\nsAMAccountName: robert\n`);
      await dc.modify(`dn: CN=Inner,CN=Users,${dc.base}\nchangetype: modify\nadd: member\nmember: ${dn}\n`);
      const inner = (await directory(dc)).get("Inner")!;
      await dc.kinit("robert", { password: dc.users.bob });
      const after = await seen(system);
      assertEquals([before.user, after.user, after.sid], ["bob", "robert", before.sid]);
      assertEquals([isMember(before, inner), isMember(after, inner)], [false, true]);
    }),
  { skip },
);

test(
  "requestedTarget is the name that the client asked for, among the names of one account that share a key",
  () =>
    inDomain(async (dc, system) => {
      const names = ["HTTP/one.example.test", "HTTP/two.example.test"];
      const added = names.map((name) => `servicePrincipalName: ${name}`).join("\n");
      await dc.modify(
        `dn: CN=svcweb,CN=Users,${dc.base}\nchangetype: modify\nadd: servicePrincipalName\n${added}\n`,
      );
      const keytab = `${dc.dir}/names.keytab`;
      await dc.exportKeytab(keytab, names);
      await dc.kinit("alice");
      for (const target of names) {
        using ends = await makeEnds(system, {
          target,
          server: { credentials: { keytab: `FILE:${keytab}` } },
        });
        await exchange(ends);
        assertEquals(ends.server.requestedTarget, `${target}@EXAMPLE.TEST`);
        assertEquals(ends.client.peerIdentity?.name, `${target}@EXAMPLE.TEST`);
      }
    }),
  { skip },
);

test(
  "A server authorises by conn.peer in one line, on the connection's whole life",
  () =>
    inDomain(async (dc, system) => {
      await dc.kinit("alice");
      const known = await directory(dc);
      const [operators, others] = ["Local", "Domain Admins"].map((name) => known.get(name)!);
      await using listener = await listen({ hostname: "127.0.0.1", port: 0, system });
      const accepted = listener.accept();
      const { port } = listener.addr as { port: number };
      await using client = await connect({ hostname: "localhost", port, target: "host/localhost", system });
      const server = await accepted;
      assertEquals([isMember(server.peer, operators), isMember(server.peer, others)], [true, false]);
      assertEquals(client.peer?.name, "host/localhost@EXAMPLE.TEST");
      assertThrows(() => isMember(client.peer, operators), AuthenticationError, "groups");
      await server.close();
      assertEquals([server.peer?.user, server.peer?.groups?.length], ["alice", 62]);
    }),
  { skip },
);

test(
  "A PAC of which one native call fails is left out whole, with the reason, and leaves nothing behind",
  () => {
    const faults = new Faults();
    return inDomain(async (dc, system) => {
      await dc.kinit("alice");
      await seen(system);
      faults.reset();
      const whole = await seen(system);
      assertEquals(faults.left, []);
      for (const [failAt, fn] of faults.called.slice().entries()) {
        if (!["gss_localname", "gss_get_name_attribute"].includes(fn)) continue;
        faults.reset(failAt);
        const { sid, groups, upn, localName, incomplete } = await seen(system);
        assertEquals(faults.left, [], fn);
        if (fn === "gss_localname") {
          assertEquals([sid, groups, localName, incomplete], [whole.sid, whole.groups, undefined, undefined]);
        } else {
          assertEquals([sid, groups, upn, localName], [undefined, undefined, undefined, "alice"]);
          assertStringIncludes(incomplete!, "gss_get_name_attribute failed");
        }
        faults.reset(failAt, true);
        const error = await seen(system).catch((reason) => reason);
        assert(error instanceof Injected, fn);
        assertEquals(faults.left, [], fn);
      }
    }, { backend: faults.backend() });
  },
  { skip },
);

/** What is said of each attribute: which of the three out-parameters, and what stands there. */
const DOUBTS = { authenticated: [3, 0], complete: [4, 0], more: [7, 1] } as const;

for (const [what, [argument, value]] of Object.entries(DOUBTS)) {
  test(`A PAC is not believed where "${what}" says ${value}`, () => {
    const real = runtimeBackend();
    const backend: Backend = {
      ...real,
      open: <L extends LibrarySpec>(path: string, spec: L) => {
        const library = real.open(path, spec);
        const call = { ...library.call } as Record<string, (...args: unknown[]) => unknown>;
        const { gss_get_name_attribute: attribute } = call;
        if (attribute !== undefined) {
          call.gss_get_name_attribute = (...args) => {
            const major = attribute(...args);
            (args[argument] as Uint8Array).set([value, 0, 0, 0]);
            return major;
          };
        }
        return { ...library, call: call as unknown as typeof library.call };
      },
    };
    return inDomain(async (dc, system) => {
      await dc.kinit("alice");
      const identity = await seen(system);
      assertEquals([identity.name, identity.sid, identity.groups], [
        "alice@EXAMPLE.TEST",
        undefined,
        undefined,
      ]);
      assertStringIncludes(identity.incomplete!, "did not authenticate it");
      assertThrows(() => isMember(identity, "S-1-18-1"), AuthenticationError, "did not authenticate it");
    }, { backend });
  }, { skip });
}
