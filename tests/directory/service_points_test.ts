/** Service connection points against a domain controller of Samba. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { test } from "@test";
import process from "node:process";
import { DirectoryError } from "../../errors.ts";
import {
  type Directory,
  findServicePoints,
  openDirectory,
  type PublishOptions,
  publishServicePoint,
  removeServicePoint,
  searchServicePoints,
  type ServicePoint,
} from "../../directory/mod.ts";
import { openSystem } from "../../mod.ts";
import { memory } from "../../scripts/memory.ts";
import type { AdDc } from "../rig/ad_dc.ts";
import { inDomain, noAdDc } from "../support/ad.ts";
import { childOutcome, children } from "../support/child.ts";
import { makeServicePoints } from "../support/many_points.ts";
import { directoryOf } from "../support/directory.ts";

const skip = noAdDc;
const PRODUCT = "a762885a-aa44-11d2-81f1-00c04fb9624e";
const WEB1 = "CN=WEB1,CN=Computers,DC=example,DC=test";

await children({ findMany });

/** Runs `body` with a directory that `user` is bound to. */
function inDirectory(user: string, body: (directory: Directory, dc: AdDc) => Promise<void>): Promise<void> {
  return inDomain(async (dc, system) => {
    await dc.kinit(user);
    await using directory = await openDirectory(directoryOf(dc, system));
    await body(directory, dc);
  });
}

function point(name: string, more: Partial<PublishOptions> = {}): PublishOptions {
  return {
    under: WEB1,
    name,
    serviceClass: "ADSockAuth",
    keywords: [PRODUCT, "Auth-O-Matic"],
    dnsName: "web1.example.test",
    bindingInformation: 7777,
    ...more,
  };
}

const names = (points: readonly ServicePoint[]) => points.map(({ name }) => name);

test(
  "publishServicePoint() creates, leaves as it is, updates and takes back; removeServicePoint() removes",
  () =>
    inDirectory("WEB1$", async (directory) => {
      const created = await publishServicePoint(directory, point("Service, #1"));
      assertEquals(created.change, "created");
      const { guid, dn, problems, ...rest } = created.point;
      assertEquals([dn, problems], [`CN=Service\\, \\#1,${WEB1}`, []]);
      assertEquals({ ...rest, keywords: [...rest.keywords].sort() }, {
        name: "Service, #1",
        serviceClass: "ADSockAuth",
        keywords: ["Auth-O-Matic", PRODUCT],
        dnsName: "web1.example.test",
        dnsNameType: "A",
        bindingInformation: ["7777"],
      });
      const same = await publishServicePoint(
        directory,
        point("Service, #1", { keywords: ["Auth-O-Matic", PRODUCT] }),
      );
      assertEquals([same.change, same.point.guid], ["unchanged", guid]);
      const moved = { dnsName: "web2.example.test", bindingInformation: ["7778", "tcp"] };
      const updated = await publishServicePoint(directory, point("Service, #1", moved));
      assertEquals([updated.change, updated.point.guid, updated.point.dnsName], [
        "updated",
        guid,
        "web2.example.test",
      ]);
      assertEquals([...updated.point.bindingInformation].sort(), ["7778", "tcp"]);
      await updated.undo();
      await updated.undo();
      const [before] = await findServicePoints(directory, { guid });
      assertEquals([before.dnsName, before.bindingInformation], ["web1.example.test", ["7777"]]);
      await created.undo();
      assertEquals(await findServicePoints(directory, { keywords: PRODUCT }), []);
      assertEquals(await removeServicePoint(directory, { guid }), false);
      const other = await publishServicePoint(directory, point("other"));
      assertEquals(await removeServicePoint(directory, { guid: other.point.guid.toUpperCase() }), true);
    }),
  { skip },
);

test(
  "findServicePoints() finds a renamed and moved object by its GUID, and publishServicePoint() updates it there",
  () =>
    inDirectory("Administrator", async (directory, dc) => {
      const { point: { guid } } = await publishServicePoint(directory, point("mine"));
      const there = `CN=theirs,CN=Computers,${dc.base}`;
      await dc.modify(
        `dn: CN=mine,${WEB1}\nchangetype: modrdn\nnewrdn: CN=theirs\ndeleteoldrdn: 1\nnewsuperior: CN=Computers,${dc.base}\n`,
      );
      assertEquals((await findServicePoints(directory, { guid })).map(({ dn }) => dn), [there]);
      const again = await publishServicePoint(directory, point("mine", { guid, bindingInformation: 1 }));
      assertEquals([again.change, again.point.dn, again.point.guid], ["updated", there, guid]);
      // Without the GUID it is another one.
      const second = await publishServicePoint(directory, point("mine"));
      assertEquals(second.change, "created");
      await again.undo();
      assertEquals((await findServicePoints(directory, { guid }))[0].bindingInformation, ["7777"]);
      await removeServicePoint(directory, { guid });
      const anew = await publishServicePoint(directory, point("mine again", { guid }));
      assertEquals([anew.change, anew.point.guid === guid], ["created", false]);
    }),
  { skip },
);

test(
  "findServicePoints() requires every keyword and the class, below a base, nearest host first, in a stated order",
  () =>
    inDirectory("Administrator", async (directory, dc) => {
      const hosts = ["b.far.test", "a.sales.example.test", "z.example.test", "a.example.test", "A.far.test"];
      for (const [index, dnsName] of hosts.entries()) {
        await publishServicePoint(
          directory,
          point(`p${index}`, { dnsName, keywords: [PRODUCT, `odd${index % 2}`] }),
        );
      }
      const elsewhere = {
        under: `CN=Computers,${dc.base}`,
        serviceClass: "Other",
        dnsName: "z.example.test",
      };
      await publishServicePoint(directory, point("p9", elsewhere));
      const found = (more: object) =>
        findServicePoints(directory, { keywords: PRODUCT, ...more }).then((points) =>
          names(points).join(" ")
        );
      assertEquals(await found({}), "p3 p4 p1 p0 p2 p9");
      assertEquals(await found({ near: "me.sales.example.test" }), "p1 p3 p2 p9 p4 p0");
      assertEquals(await found({ near: "me.far.test", limit: 2 }), "p4 p0");
      assertEquals(await found({ serviceClass: "adsockauth", under: WEB1 }), "p3 p4 p1 p0 p2");
      assertEquals(await found({ keywords: [PRODUCT.toUpperCase(), "ODD1"] }), "p3 p1");
      assertEquals(await found({ keywords: [PRODUCT, "odd0", "odd1"] }), "");
      assertEquals(
        await found({ under: "CN=nowhere,DC=example,DC=test" }).catch((error) => error.resultCode),
        32,
      );
    }),
  { skip },
);

test(
  "publishServicePoint() says where a connection point can lie, and who may publish it",
  () =>
    inDomain(async (dc, system) => {
      await dc.kinit("bob");
      const refused = async (more: Partial<PublishOptions>) => {
        await using directory = await openDirectory(directoryOf(dc, system));
        return await assertRejects(() => publishServicePoint(directory, point("x", more)), DirectoryError);
      };
      const denied = await refused({});
      assertEquals(denied.resultCode, 50);
      assert(denied.message.includes("A computer may publish under its own object"), denied.message);
      await dc.kinit("Administrator");
      const misplaced = await refused({ under: `CN=alice,CN=Users,${dc.base}` });
      assertEquals(misplaced.resultCode, 64);
      assert(misplaced.message.includes("cannot lie under a user"), misplaced.message);
      const nowhere = await refused({ under: `CN=nobody,${dc.base}` });
      assertEquals(nowhere.resultCode, 32);
      assert(nowhere.message.includes("does not exist"), nowhere.message);
      const taken = await refused({ under: `CN=Users,${dc.base}`, name: "alice" });
      assertEquals(taken.resultCode, 68);
      assert(taken.message.includes("an object of another class has that name"), taken.message);
      // alice is still there, as she was.
      assert((await dc.search(["(sAMAccountName=alice)", "displayName"])).includes("Alice Example"));
    }),
  { skip },
);

const HOSTILE = [
  "*",
  "a*)(objectClass=*",
  "\\2a",
  "x)(|(keywords=*)",
  "\u0000",
  "a,CN=evil",
  '"quoted"',
  "#31",
  " leading and trailing ",
  "\u202eright to left",
  "ü\ud83d\ude00",
  "+a=b;c<d>",
];

test(
  "values of every kind are written and found as they are: nothing in them has a meaning",
  () =>
    inDirectory("Administrator", async (directory) => {
      const other = await publishServicePoint(directory, point("other"));
      for (const value of HOSTILE) {
        const published = await publishServicePoint(
          directory,
          point(`n${value}`.replaceAll("\u0000", ""), { keywords: [value], bindingInformation: value }),
        );
        const of = published.point;
        assertEquals([of.keywords, of.bindingInformation, of.problems], [[value], [value], []]);
        assertEquals((await findServicePoints(directory, { keywords: value })).map(({ guid }) => guid), [
          of.guid,
        ]);
        await published.undo();
      }
      assertEquals(await findServicePoints(directory, { guid: other.point.guid }), [other.point]);
    }),
  { skip },
);

const MANY = 10_000;

/** In a process of its own: finds all of them, and reads the heap after the first page and at the end. */
async function findMany(): Promise<{ found: number; first: string[]; grown: number }> {
  using system = openSystem({ grants: ["sspi"] });
  const servers = [{ hostname: "dc1.example.test", address: process.argv.at(-1) }];
  await using directory = await openDirectory({ domain: "example.test", servers, system });
  const guids = new Set<bigint>();
  let heap = 0;
  for await (const { guid, serviceClass } of searchServicePoints(directory, { keywords: PRODUCT })) {
    assertEquals(serviceClass, "ADSockAuth");
    // A number of each, so that what stays of them here is small.
    guids.add(BigInt(`0x${guid.replaceAll("-", "").slice(0, 15)}`));
    if (guids.size === 1_000) heap = (await memory()).heap;
  }
  const grown = (await memory()).heap - heap;
  const first = await findServicePoints(directory, {
    keywords: PRODUCT,
    near: "w9999.example.test",
    limit: 3,
  });
  return { found: guids.size, first: first.map(({ dnsName }) => dnsName!), grown };
}

test(
  "10,000 connection points are found by their keyword, two pages in memory, and a limit holds few of them",
  () =>
    inDomain(async (dc) => {
      await makeServicePoints(dc, PRODUCT, MANY);
      await dc.kinit("alice");
      const flags = process.versions.deno ? ["-A", "--v8-flags=--expose-gc"] : ["--expose-gc"];
      const outcome = await childOutcome<Awaited<ReturnType<typeof findMany>>>(import.meta.url, "findMany", {
        flags,
        args: [dc.address],
      });
      const { found, first, grown } = outcome;
      const hosts = [9999, 0, 1].map((index) => `w${index}.example.test`);
      assertEquals([found, first], [MANY, hosts], JSON.stringify(outcome));
      // All of them would be some 10 MiB.
      assert(grown < 3 * 2 ** 20, `${grown} bytes`);
    }),
  { skip },
);
