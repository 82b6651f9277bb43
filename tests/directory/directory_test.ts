/** openDirectory() and the directory that it opens, against a domain controller of Samba. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { test } from "@test";
import { DirectoryError, StateError, TransportError } from "../../errors.ts";
import { openDirectory } from "../../directory/mod.ts";
import { directoryOf } from "../support/directory.ts";
import { inDomain, noAdDc } from "../support/ad.ts";

const skip = noAdDc;

for (const strongAuthentication of [false, true]) {
  const demand = strongAuthentication ? "that demands protection" : "that demands none";
  test(`openDirectory() seals or signs a connection to a controller ${demand}`, () =>
    inDomain(
      async (dc, system) => {
        await dc.kinit("alice");
        for (const security of ["seal", "sign"] as const) {
          await using directory = await openDirectory({ ...directoryOf(dc, system), security });
          const { context } = directory.security;
          assertEquals(directory.security.protection, security);
          assertEquals(context?.peer, "ldap/dc1.example.test/example.test");
          assertEquals(context?.mutualAuthentication, true);
          assertEquals([context?.integrity, context?.confidentiality], [true, security === "seal"]);
          const { domain, forest, site, defaultNamingContext, dnsHostName } = directory.rootDse;
          assertEquals(
            { domain, forest, site, defaultNamingContext, dnsHostName },
            {
              domain: "example.test",
              forest: "example.test",
              site: "Default-First-Site-Name",
              defaultNamingContext: dc.base,
              dnsHostName: "dc1.example.test",
            },
          );
          const found: string[] = [];
          for await (const { dn } of directory.search({ attributes: [], pageSize: 50 })) found.push(dn);
          assert(found.length > 200 && new Set(found).size === found.length, `${found.length}`);
        }
      },
      {},
      { strongAuthentication },
    ), { skip });
}

test(
  "a directory adds, reads, changes and deletes objects, and names what the server refuses",
  () =>
    inDomain(async (dc, system) => {
      await dc.kinit("Administrator");
      const directory = await openDirectory(directoryOf(dc, system));
      const dn = `CN=Printers,${dc.base}`;
      await directory.add(dn, { objectClass: "container", description: ["first"] });
      await directory.modify(dn, [{ operation: "replace", attribute: "description", values: ["zweite ü"] }]);
      const entry = await directory.read(dn, { attributes: ["DESCRIPTION", "objectGUID", "cn"] });
      assertEquals(entry?.text("description"), "zweite ü");
      assertEquals(entry?.bytes("objectguid").map((value) => value.length), [16]);
      assertEquals(entry?.text("notThere"), undefined);
      const again = await assertRejects(
        () => directory.add(dn, { objectClass: "container" }),
        DirectoryError,
      );
      assertEquals([again.resultCode, again.resultName], [68, "entryAlreadyExists"]);
      const absent = { operation: "delete", attribute: "description", values: ["x"] } as const;
      const missing = await assertRejects(() => directory.modify(dn, [absent]), DirectoryError);
      assertEquals(missing.resultCode, 16);
      await directory.delete(dn);
      assertEquals(await directory.read(dn), null);
      const gone = await assertRejects(() => directory.delete(dn), DirectoryError);
      assertEquals(gone.resultCode, 32);
      await directory.close();
      await directory.close();
      await assertRejects(() => directory.read(dc.base), StateError, "closed");
    }),
  { skip },
);

test(
  "a directory whose controller goes away says so at once, in the middle of a search and afterwards",
  () =>
    inDomain(async (dc, system) => {
      await dc.kinit("alice");
      await using directory = await openDirectory(directoryOf(dc, system));
      const search = directory.search({ attributes: [], pageSize: 10 });
      assertEquals((await search.next()).done, false);
      await dc.stop();
      const rest = async (): Promise<void> => {
        for await (const _ of search);
      };
      await assertRejects(rest, TransportError);
      await assertRejects(() => directory.read(dc.base), TransportError);
      await assertRejects(
        () => openDirectory(directoryOf(dc, system)),
        TransportError,
        "connect to dc1.example.test:389",
      );
    }),
  { skip },
);
