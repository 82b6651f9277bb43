/** Finding controllers: SRV records, their order, sites, and what is made of hostile answers. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { test } from "@test";
import fc from "fast-check";
import { type DirectoryResolver, dnsResolver, openDirectory } from "../../directory/mod.ts";
import { inOrder, locate } from "../../directory/locate.ts";
import { PermissionError, TransportError } from "../../errors.ts";
import { inDomain, noAdDc } from "../support/ad.ts";
import { startDnsServer } from "../support/dns_server.ts";

const DOMAIN = { domain: "example.test", globalCatalog: false };
const ALL = "_ldap._tcp.dc._msdcs.example.test";

const record = fc.record({
  hostname: fc.domain(),
  port: fc.integer({ min: 1, max: 65535 }),
  priority: fc.integer({ min: 0, max: 2 }),
  weight: fc.integer({ min: 0, max: 3 }),
});

test("inOrder() keeps every record, by priority", () => {
  fc.assert(
    fc.property(
      fc.array(record),
      fc.infiniteStream(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })),
      (
        records,
        random,
      ) => {
        const ordered = inOrder(records, () => random.next().value);
        assertEquals(new Set(ordered), new Set(records));
        assertEquals(ordered.length, records.length);
        const priorities = ordered.map(({ priority }) => priority);
        assertEquals(priorities, priorities.toSorted((a, b) => a - b));
      },
    ),
  );
});

test("inOrder() puts a record first as often as its weight says", () => {
  const records = [0, 1, 3].map((weight) => ({ hostname: `w${weight}`, port: 389, priority: 0, weight }));
  const count = { w0: 0, w1: 0, w3: 0 };
  // Every value of the random number, in equal steps.
  for (let step = 0; step < 1000; step++) {
    count[inOrder(records, () => step / 1000)[0].hostname as keyof typeof count]++;
  }
  // RFC 2782's number is from 0 to the sum of the weights.
  assertEquals(count, { w0: 200, w1: 200, w3: 600 });
});

test("locate() asks a name server: the site first, then the domain, each server once", async () => {
  await using dns = await startDnsServer({
    "_ldap._tcp.paris._sites.dc._msdcs.example.test": [{ target: "near.example.test", port: 389 }],
    [ALL]: [
      { target: "far.example.test", port: 389, priority: 9 },
      { target: "NEAR.example.test.", port: 389, priority: 1 },
      { target: ".", port: 0 },
    ],
    "_ldap._tcp.gc._msdcs.example.test": [{ target: "gc.example.test", port: 3268 }],
  });
  const resolver = dnsResolver([dns.address]);
  const found = await locate({ ...DOMAIN, site: "Paris" }, resolver);
  assertEquals(found.map(({ hostname }) => hostname), ["near.example.test", "far.example.test"]);
  assertEquals(dns.questions.map((name) => name.toLowerCase()), [
    "_ldap._tcp.paris._sites.dc._msdcs.example.test srv",
    `${ALL} srv`,
  ]);
  // A site without controllers is an ordinary thing.
  assertEquals((await locate({ ...DOMAIN, site: "Rome" }, resolver)).length, 2);
  assertEquals(await locate({ ...DOMAIN, globalCatalog: true }, resolver), [
    { hostname: "gc.example.test", port: 3268 },
  ]);
  await assertRejects(
    () => locate({ ...DOMAIN, domain: "nowhere.test" }, resolver),
    TransportError,
    "there are no SRV records _ldap._tcp.dc._msdcs.nowhere.test",
  );
});

test("locate() bounds the number of servers and passes failures of name servers on", async () => {
  const many = Array.from({ length: 500 }, (_, index) => ({
    hostname: `dc${index}.example.test`,
    port: 389,
    priority: index,
    weight: 0,
  }));
  assertEquals((await locate(DOMAIN, { records: () => Promise.resolve(many) })).length, 32);
  const broken: DirectoryResolver = {
    records: () => Promise.reject(Object.assign(new Error("no"), { code: "ETIMEOUT" })),
  };
  const error = await assertRejects(() => locate(DOMAIN, broken), TransportError, "did not answer");
  assertEquals(error.codeName, "ETIMEOUT");
  const denied = () => Promise.reject(Object.assign(new Error("no"), { name: "NotCapable" }));
  await assertRejects(() => locate(DOMAIN, { records: denied }), PermissionError, "--allow-net");
  const signal = AbortSignal.abort(new RangeError("mine"));
  await assertRejects(() => locate(DOMAIN, dnsResolver(), signal), RangeError, "mine");
});

test(
  "openDirectory() tries the next controller that DNS names, and says why none serves",
  () =>
    inDomain(async (dc, system) => {
      await dc.kinit("alice");
      await using dns = await startDnsServer({
        [ALL]: [
          // Nobody listens; another machine than it says; the controller.
          { target: "dead.example.test", port: 389, priority: 0 },
          { target: "web1.example.test", port: 389, priority: 1 },
          { target: "dc1.example.test", port: 389, priority: 2 },
        ],
        "dead.example.test": ["127.0.0.2"],
        "web1.example.test": [dc.address],
        "dc1.example.test": [dc.address],
        "_ldap._tcp.dc._msdcs.broken.test": [{ target: "dead.example.test", port: 1 }, {
          target: "unknown.example.test",
          port: 389,
        }],
      });
      const resolver = dnsResolver([dns.address]);
      await using directory = await openDirectory({ domain: "example.test", resolver, system });
      assertEquals(directory.server, { hostname: "dc1.example.test", port: 389 });
      await using catalog = await directory.openGlobalCatalog();
      assertEquals([catalog.server.port, catalog.security.context?.peer], [
        3268,
        "GC/dc1.example.test/example.test",
      ]);
      const error = await assertRejects(
        () => openDirectory({ domain: "broken.test", resolver, system }),
        TransportError,
        "none of 2 servers serves",
      );
      assert(
        /dead\.example\.test: .*ECONNREFUSED|dead\.example\.test: .*refused/i.test(error.message),
        error.message,
      );
      assert(error.message.includes("unknown.example.test: it has no address"), error.message);
    }),
  { skip: noAdDc },
);

test("openDirectory() refuses wrong options before anything is opened", async () => {
  // deno-lint-ignore no-explicit-any
  const refused = (options: any, error: new (...args: any) => Error, words: string) =>
    assertRejects(() => openDirectory(options), error, words);
  await refused(undefined, TypeError, "options must be an object");
  await refused({}, TypeError, "options.domain");
  await refused({ domain: "a b" }, TypeError, "options.domain");
  await refused({ domain: "127.0.0.1" }, TypeError, "DNS name");
  await refused({ domain: "a.test", site: "x.y" }, TypeError, "options.site");
  await refused({ domain: "a.test", hosts: [] }, TypeError, "options.hosts is not known");
  await refused({ servers: [] }, TypeError, "at least one server");
  await refused({ servers: ["10.0.0.1"] }, TypeError, "cannot prove");
  await refused({ servers: [{ hostname: "a.test", port: 0 }] }, RangeError, "port");
  await refused({ domain: "a.test", security: "none" }, TypeError, "options.security");
  await refused({ domain: "a.test", simple: { name: "a", password: "b" } }, TypeError, "shows the password");
  const tls = { domain: "a.test", security: "ldaps" };
  await refused({ ...tls, simple: { name: "a", password: "" } }, TypeError, "not empty");
  await refused({ ...tls, simple: { name: "", password: "x" } }, TypeError, "name must not be empty");
  await refused(
    { ...tls, simple: { name: "a", password: "x" }, credentials: { cache: "c" } },
    TypeError,
    "not both",
  );
  await refused({ ...tls, ca: "x" }, TypeError, "PEM");
  await refused({ domain: "a.test", ca: "-----BEGIN" }, TypeError, "PEM");
  await refused({ domain: "a.test", timeoutMs: 0 }, RangeError, "timeoutMs");
  await refused({ domain: "a.test", target: "x" }, TypeError, "options.target");
  await refused({ domain: "a.test", resolver: {} }, TypeError, "records()");
});
