/** Searches that go on in other partitions of the forest, and nowhere else. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { test } from "@test";
import { type DirectoryOptions, type DirectoryResolver, openDirectory } from "../../directory/mod.ts";
import { DirectoryError } from "../../errors.ts";
import { element } from "../../examples/ldap_sasl.ts";
import type { System } from "../../mod.ts";
import { inDomain, noAdDc } from "../support/ad.ts";
import { directoryOf } from "../support/directory.ts";
import {
  done,
  entry,
  type FakeOptions,
  message,
  startFakeDirectory,
  text,
} from "../support/fake_ldap_server.ts";
import { inRealm, noRealm } from "../support/kerberos.ts";

const skip = noRealm;
const TARGET = "host/localhost";
const BASE = "DC=example,DC=test";
const CHILD = `DC=child,${BASE}`;

test(
  "search() reads the configuration of the forest where it follows referrals, and leaves it out otherwise",
  () =>
    inDomain(async (dc, system) => {
      await dc.kinit("alice");
      await using directory = await openDirectory(directoryOf(dc, system));
      const filter = { or: [{ attribute: "cn", equals: "alice" }, { attribute: "cn", equals: "Sites" }] };
      const found = async (followReferrals: boolean): Promise<string[]> => {
        const names: string[] = [];
        for await (const { dn } of directory.search({ filter, attributes: [], followReferrals })) {
          names.push(dn);
        }
        return names;
      };
      const alice = `CN=alice,CN=Users,${dc.base}`;
      assertEquals(await found(false), [alice]);
      assertEquals(await found(true), [alice, `CN=Sites,CN=Configuration,${dc.base}`]);
    }),
  { skip: noAdDc },
);

/** A reference to where a search goes on. */
function reference(id: number, url: string): Uint8Array {
  return message(id, element(0x73, text(url)));
}

/** Runs `body` with a server of `BASE` that refers to `url`, one of `CHILD` that DNS knows, and the names that were asked for. */
async function withForest(
  system: System,
  url: string,
  body: (options: DirectoryOptions, asked: string[], served: string[]) => Promise<void>,
): Promise<void> {
  const served: string[] = [];
  const sasl = { mechanism: "GSS-SPNEGO", acceptedTargets: [TARGET], system } as const;
  const crossRef = (nCName: string, dnsRoot: string, systemFlags: number) =>
    entry(`CN=${dnsRoot}`, { nCName: [nCName], dnsRoot: [dnsRoot], systemFlags: [`${systemFlags}`] });
  const answer =
    (name: string, more: (id: number) => Uint8Array[]): FakeOptions["answer"] => ({ id, parts }) => {
      const base = new TextDecoder().decode(parts[0].content);
      if (base.startsWith("CN=Partitions")) {
        const partitions = [
          crossRef(BASE, "example.test", 3),
          crossRef(CHILD, "child.example.test", 3),
          crossRef("DC=other,DC=org", "other.org", 0),
        ];
        return [...partitions.map((each) => message(id, each)), message(id, done())];
      }
      served.push(`${name} ${base}`);
      return [message(id, entry(`CN=in ${base}`, {})), ...more(id), message(id, done())];
    };
  await using parent = await startFakeDirectory({
    sasl,
    answer: answer("parent", (id) => [reference(id, url), reference(id, url)]),
  });
  await using child = await startFakeDirectory({
    sasl,
    root: { defaultNamingContext: [CHILD], namingContexts: [CHILD] },
    answer: answer("child", (id) => [reference(id, "ldap://loop/DC=child,DC=example,DC=test")]),
  });
  const asked: string[] = [];
  const resolver: DirectoryResolver = {
    records: (name) => {
      asked.push(name);
      return Promise.resolve([{ hostname: "localhost", port: child.port, priority: 0, weight: 0 }]);
    },
    addresses: () => Promise.resolve(["127.0.0.1"]),
  };
  const servers = [{ hostname: "localhost", port: parent.port }];
  await body({ servers, resolver, target: TARGET, system }, asked, served);
}

test(
  "search() goes on at a controller of the domain that the forest names, not at the referral's host",
  () =>
    inRealm((_, system) =>
      withForest(
        system,
        `ldap://evil.test:1/${encodeURIComponent(CHILD)}??sub`,
        async (options, asked, served) => {
          await using directory = await openDirectory(options);
          const names: string[] = [];
          for await (const { dn } of directory.search({ followReferrals: true })) names.push(dn);
          assertEquals(names, [`CN=in ${BASE}`, `CN=in ${CHILD}`]);
          assertEquals(asked, ["_ldap._tcp.dc._msdcs.child.example.test"]);
          assertEquals(served, [`parent ${BASE}`, `child ${CHILD}`]);
        },
      )
    ),
  { skip },
);

test(
  "search() refuses a referral out of the forest, and connects to nobody",
  () =>
    inRealm(async (_, system) => {
      for (
        const url of [
          "ldap://other.org/DC=other,DC=org",
          "ldap://x/",
          "http://x/DC=a",
          "ldap://x/%",
          "ldap://x/DC=test",
        ]
      ) {
        await withForest(system, url, async (options, asked) => {
          await using directory = await openDirectory(options);
          const all = async (followReferrals: boolean): Promise<number> => {
            let count = 0;
            for await (const _ of directory.search({ followReferrals })) count++;
            return count;
          };
          assertEquals(await all(false), 1);
          const error = await assertRejects(
            () => all(true),
            DirectoryError,
            "not of a domain of this forest",
          );
          assertEquals(error.resultName, "referral");
          assert(asked.length === 0);
        });
      }
    }),
  { skip },
);
