/** What a directory returns as a connection point is checked before it is used: no value leads to another SPN. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { test } from "@test";
import fc from "fast-check";
import {
  connectService,
  findDuplicateSpns,
  findServicePoints,
  searchServicePoints,
  verifySpns,
} from "../../directory/mod.ts";
import type { ServiceAttempt, WantedService } from "../../directory/mod.ts";
import { isHostName } from "../../directory/check.ts";
import { readServicePoint } from "../../directory/service_points.ts";
import { DirectoryError, TransportError } from "../../errors.ts";
import { Spn } from "../../spn.ts";
import { fakeDirectory, fakeEntry, fakeForest, type FakeValues } from "../support/fake_directory.ts";

const GUID = Uint8Array.from({ length: 16 }, (_, index) => index + 1);
const SOUND: FakeValues = {
  objectGUID: GUID,
  objectClass: ["top", "leaf", "connectionPoint", "serviceConnectionPoint"],
  cn: "mine",
  serviceClassName: "ADSockAuth",
  keywords: ["k"],
  serviceDNSName: "web1.example.test",
  serviceDNSNameType: "A",
  serviceBindingInformation: "7777",
};
const DN = "CN=mine,CN=WEB1,CN=Computers,DC=example,DC=test";
const SERVICE: WantedService = { serviceClass: "ADSockAuth", keywords: "k" };

/** The attempts that a connection point leads to; each is refused before anything is sent. */
async function attemptsOf(
  values: FakeValues,
  service: WantedService = SERVICE,
  dn = DN,
): Promise<ServiceAttempt[]> {
  const attempts: ServiceAttempt[] = [];
  const error = await connectService({
    service,
    directory: fakeDirectory([fakeEntry(dn, values)]),
    resolver: { records: () => Promise.resolve([]), addresses: () => Promise.resolve([]) },
    onAttempt: (attempt) => attempts.push(attempt),
  }).then(() => null, (error) => error);
  if (attempts.length > 0) {
    assert(error instanceof TransportError && error.codeName === "ENOTFOUND", `${error}`);
  } else assert(error instanceof DirectoryError && error.message.includes("Cannot use any"), `${error}`);
  return attempts;
}

test("connectService() composes the SPN of the class that it was given and the host of a sound connection point", async () => {
  const [attempt, ...more] = await attemptsOf(SOUND, { ...SERVICE, serviceClass: "adsockauth" });
  assertEquals(more, []);
  assertEquals([attempt.target, attempt.hostname, attempt.port], [
    "adsockauth/web1.example.test",
    "web1.example.test",
    7777,
  ]);
  const [replicable] = await attemptsOf(SOUND, { ...SERVICE, spn: "replicable", port: 1 });
  assertEquals([replicable.target, replicable.port], [`ADSockAuth/web1.example.test/${DN}`, 1]);
  assertEquals(replicable.point.guid, "04030201-0605-0807-090a-0b0c0d0e0f10");
});

const BAD_NAMES = [
  "",
  "web1.example.test/evil",
  "web1@EVIL.TEST",
  "web1:80",
  "web1.example.test.",
  ".example.test",
  "web1..test",
  "192.0.2.1",
  "0x7f.1",
  "::1",
  "[::1]",
  "web1\u0000.example.test",
  "web1\n",
  "web\\1",
  " web1",
  "wéb1.example.test",
  "\u212Aerberos.example.test",
  "-web1",
  "a".repeat(64),
  `${"a.".repeat(130)}a`,
];
const HOSTILE: { readonly [title: string]: FakeValues } = {
  ...Object.fromEntries(
    BAD_NAMES.map((name) => [`the host ${JSON.stringify(name)}`, { serviceDNSName: name }]),
  ),
  "two hosts": { serviceDNSName: ["web1.example.test", "evil.example.test"] },
  "a host that is not text": { serviceDNSName: Uint8Array.of(0xff, 0xfe) },
  "no host": { serviceDNSName: [] },
  "another class": { serviceClassName: "krbtgt" },
  "two classes": { serviceClassName: ["ADSockAuth", "host"] },
  "no class": { serviceClassName: [] },
  "another kind of name": { serviceDNSNameType: "MX" },
  "SRV records, without the name of the service in the SPN": { serviceDNSNameType: "SRV" },
  "two kinds of name": { serviceDNSNameType: ["A", "SRV"] },
  ...Object.fromEntries(
    ["", "0", "65536", "-1", "80x", "0x50", "1e3", " 80", "80\u0000", "٨٠", "99999999999999999999"].map((
      port,
    ) => [
      `the port ${JSON.stringify(port)}`,
      { serviceBindingInformation: port },
    ]),
  ),
  "two ports": { serviceBindingInformation: ["80", "81"] },
  "no port": { serviceBindingInformation: [] },
  "thousands of ports": {
    serviceBindingInformation: Array.from({ length: 5_000 }, (_, index) => `${index}`),
  },
  "thousands of keywords": { keywords: Array.from({ length: 5_000 }, (_, index) => `k${index}`) },
  "a keyword that is not text": { keywords: ["k", Uint8Array.of(0xc0, 0x80)] },
  "a keyword without end": { keywords: "k".repeat(100_000) },
};

for (const [title, values] of Object.entries(HOSTILE)) {
  test(`connectService() connects nowhere for a connection point with ${title}`, async () => {
    assertEquals(await attemptsOf({ ...SOUND, ...values }), []);
  });
}

test("objects without a GUID, or of another class, are not connection points", async () => {
  const others: FakeValues[] = [{ objectGUID: [] }, { objectGUID: GUID.subarray(1) }, {
    objectClass: ["top", "user"],
  }];
  for (const values of others) {
    const directory = fakeDirectory([fakeEntry(DN, { ...SOUND, ...values })]);
    assertEquals(await findServicePoints(directory, { keywords: "k" }), []);
  }
});

test("a distinguished name that no SPN can hold leads nowhere, and connects no other service", async () => {
  const service: WantedService = { ...SERVICE, spn: "replicable" };
  for (const dn of ["CN=a/b,DC=test", "CN=a@EVIL.TEST", "CN=a\\,b,DC=test", "CN=a\u0000,DC=test", ""]) {
    assertEquals(await attemptsOf(SOUND, service, dn), []);
  }
});

test("whatever a connection point holds, an attempt has the SPN of the class and of a valid host, and a valid port", async () => {
  const nasty = fc.oneof(
    fc.string(),
    fc.string({ unit: fc.constantFrom(...'ab.1/:@\\ \u0000"*é-_') }),
    fc.domain(),
    fc.constantFrom("A", "a", "SRV", "7777", "ADSockAuth", "web1.example.test"),
  );
  const values = fc.oneof(
    fc.array(nasty, { maxLength: 3 }),
    fc.uint8Array({ maxLength: 8 }).map((bytes) => [bytes]),
  );
  const entry = fc.record({
    serviceClassName: values,
    serviceDNSName: values,
    serviceDNSNameType: values,
    serviceBindingInformation: values,
    keywords: values,
  }, { requiredKeys: [] });
  await fc.assert(
    fc.asyncProperty(entry, fc.constantFrom("host", "replicable"), async (given, spn) => {
      const service = { ...SERVICE, spn } as WantedService;
      for (const attempt of await attemptsOf({ ...SOUND, ...given } as FakeValues, service)) {
        const target = Spn.parse(attempt.target);
        assertEquals([target.serviceClass, target.realm, target.port], ["ADSockAuth", undefined, undefined]);
        assertEquals(target.instanceName, attempt.hostname);
        assert(isHostName(attempt.hostname) && attempt.port >= 1 && attempt.port <= 65535);
      }
    }),
    { numRuns: 300 },
  );
});

test("readServicePoint() reads or refuses any entry, and never throws", () => {
  const value = fc.oneof(fc.string(), fc.uint8Array({ maxLength: 40 }));
  const entry = fc.dictionary(
    fc.constantFrom(...Object.keys(SOUND), "OBJECTCLASS"),
    fc.array(value, { maxLength: 4 }),
  );
  fc.assert(fc.property(entry, fc.boolean(), (given, sound) => {
    readServicePoint(fakeEntry(DN, sound ? { ...SOUND, ...given } : given));
  }));
});

test("searches hold one entry at a time, and findServicePoints() twice its limit at most", async () => {
  let made = 0;
  function* many() {
    for (; made < 10_000; made++) {
      const guid = GUID.slice();
      new DataView(guid.buffer).setUint32(0, made);
      yield fakeEntry(`CN=${made},${DN}`, {
        ...SOUND,
        objectGUID: guid,
        serviceDNSName: `w${made}.example.test`,
      });
    }
  }
  for await (const _ of searchServicePoints(fakeDirectory(many()), { keywords: "k" })) {
    // Nothing was made ahead.
    if (made === 3) break;
  }
  assertEquals(made, 3);
  made = 0;
  const nearest = await findServicePoints(fakeDirectory(many()), {
    keywords: "k",
    near: "w9999.example.test",
    limit: 2,
  });
  assertEquals(nearest.map(({ dnsName }) => dnsName), ["w9999.example.test", "w0.example.test"]);
});

test("connectService() searches SRV records and composes the SPN of their name, which name servers cannot replace", async () => {
  const attempts: string[] = [];
  const error = await assertRejects(
    () =>
      connectService({
        service: { ...SERVICE, spn: "replicable" },
        directory: fakeDirectory([
          fakeEntry(DN, { ...SOUND, serviceDNSName: "_sock._tcp.example.test", serviceDNSNameType: "SRV" }),
        ]),
        resolver: {
          records: (name) =>
            Promise.resolve([
              { hostname: "late.example.test", port: 2, priority: 2, weight: 0 },
              { hostname: "evil/host", port: 3, priority: 0, weight: 0 },
              { hostname: "first.example.test.", port: 1, priority: 1, weight: 0 },
            ].filter(() => name === "_sock._tcp.example.test")),
          addresses: () => Promise.resolve([]),
        },
        onAttempt: ({ target, port }) => attempts.push(`${target} ${port}`),
      }),
    TransportError,
    "none of its 2 hosts can be reached",
  );
  assertEquals(error.codeName, "ENOTFOUND");
  assertEquals(attempts, [
    "ADSockAuth/first.example.test/_sock._tcp.example.test 1",
    "ADSockAuth/late.example.test/_sock._tcp.example.test 2",
  ]);
});

test("connectService() follows SRV records only where their name is in the SPN: name servers are not trusted", async () => {
  const point = { ...SOUND, serviceDNSName: "_sock._tcp.example.test", serviceDNSNameType: "SRV" };
  const connecting = () =>
    connectService({
      service: SERVICE,
      directory: fakeDirectory([fakeEntry(DN, point)]),
      resolver: {
        records: () => Promise.resolve([{ hostname: "evil.example.test", port: 1, priority: 0, weight: 0 }]),
        addresses: () => Promise.resolve([]),
      },
    });
  await assertRejects(connecting, DirectoryError, 'which takes service.spn: "replicable"');
});

test("wrong arguments are refused by their names, before anything is searched", async () => {
  const directory = fakeDirectory({
    [Symbol.iterator]() {
      throw new Error("searched");
    },
  });
  const connecting = (service: object, more: object = {}) => () =>
    connectService({ service: { ...SERVICE, ...service }, directory, ...more } as never);
  await assertRejects(connecting({ serviceClass: "a/b" }), TypeError, "serviceClass");
  await assertRejects(connecting({ keywords: undefined }), TypeError, "keywords or options.service.guid");
  await assertRejects(connecting({ spn: "x" }), TypeError, "options.service.spn");
  await assertRejects(connecting({ port: 0 }), RangeError, "options.service.port");
  await assertRejects(connecting({ host: "x" }), TypeError, "options.service.host is not known");
  await assertRejects(connecting({}, { target: "host/x" }), TypeError, "options.target is not known");
  await assertRejects(connecting({}, { directory: null }), TypeError, "options.directory");
  await assertRejects(
    connecting({}, { requirements: { mutualAuthentication: false } }),
    TypeError,
    "must not be false",
  );
  await assertRejects(connecting({}, { resolver: {} }), TypeError, "records()");
  const finding = (query: object) => () => findServicePoints(directory, query as never);
  await assertRejects(finding({}), TypeError, "what to search for");
  await assertRejects(finding({ keywords: [] }), TypeError, "what to search for");
  await assertRejects(finding({ keywords: [""] }), TypeError, "keywords[0] must not be empty");
  await assertRejects(finding({ keywords: ["\ud800"] }), TypeError, "lone surrogate");
  await assertRejects(finding({ guid: "x" }), TypeError, "must be a GUID");
  await assertRejects(finding({ keywords: "k", near: "192.0.2.1" }), TypeError, "options.near");
  await assertRejects(finding({ keywords: "k", limit: 0 }), RangeError, "options.limit");
  await assertRejects(finding({ keywords: "k", under: "" }), TypeError, "options.under");
});

test("a connection point whose name servers fail is passed over, and so is a host's", async () => {
  const failing = () => Promise.reject(Object.assign(new Error("no"), { code: "ESERVFAIL" }));
  const records = { ...SOUND, serviceDNSName: "_sock._tcp.evil.test", serviceDNSNameType: "SRV" };
  const directory = fakeDirectory([
    fakeEntry(`CN=srv,${DN}`, { ...records, objectGUID: GUID.toReversed() }),
    fakeEntry(`CN=a,${DN}`, { ...SOUND, objectGUID: GUID.map((byte) => byte + 1) }),
    fakeEntry(DN, { ...SOUND, serviceDNSName: "web2.example.test" }),
  ]);
  const hosts: string[] = [];
  await assertRejects(
    () =>
      connectService({
        service: { ...SERVICE, spn: "replicable" },
        directory,
        resolver: { records: failing, addresses: failing },
        onAttempt: ({ hostname }) => hosts.push(hostname),
      }),
    TransportError,
    "none of its 2 hosts can be reached",
  );
  assertEquals(hosts, ["web1.example.test", "web2.example.test"]);
});

test("a name server that does not answer for one connection point delays the others by a bounded time", async () => {
  const point = (name: string) => ({
    ...SOUND,
    objectGUID: GUID.map((byte) => byte + name.length),
    serviceDNSName: `_sock._tcp.${name}.test`,
    serviceDNSNameType: "SRV",
  });
  let asked = 0;
  const silent = () => (asked++, new Promise<never>(() => {}));
  const connecting = connectService({
    service: { ...SERVICE, spn: "replicable" },
    directory: fakeDirectory(["a", "bb", "ccc"].map((name) => fakeEntry(`CN=${name},${DN}`, point(name)))),
    resolver: { records: silent },
    timeoutMs: 400,
  });
  // All at once, and not one after the other.
  await assertRejects(() => connecting);
  assertEquals(asked, 3);
});

test("what a directory holds cannot change a terminal, nor what a shell does with an advised command", async () => {
  const evil = "x\u009b2J\u202e$(reboot)";
  const error = await connectService({
    service: SERVICE,
    directory: fakeDirectory([fakeEntry(`CN=${evil}`, { ...SOUND, serviceDNSName: evil })]),
  }).then(() => null, (error: Error) => error);
  // deno-lint-ignore no-control-regex
  assert(error !== null && !/[\u0000-\u001f\u007f-\u009f\u202e]/.test(error.message), error?.message);
  const account = fakeEntry("CN=mine", {
    objectClass: "user",
    sAMAccountName: "mine",
    servicePrincipalName: "HTTP/web",
  });
  const thief = (name: string) =>
    fakeEntry("CN=thief", {
      objectClass: "computer",
      sAMAccountName: name,
      servicePrincipalName: ["HTTP/web", "a/b"],
    });
  for (
    const name of [
      "a$(reboot)",
      "a`reboot`",
      "a & reboot",
      "a;b",
      "a\u202eb",
      "a'b",
      'a"b',
      "a|b",
      "%PATH%",
      "a\nb",
    ]
  ) {
    const { advice } = await verifySpns(fakeForest([account, thief(name)]), "CN=mine", ["HTTP/web"]);
    assertEquals(advice.length, 1);
    // deno-lint-ignore no-control-regex
    assert(!advice[0].startsWith("setspn") && !/[\u0000-\u001f\u202e]/.test(advice[0]), advice[0]);
  }
  const { advice } = await verifySpns(fakeForest([account, thief("WEB1$")]), "CN=mine", ["HTTP/web"]);
  assertEquals(advice, ["setspn -D HTTP/web WEB1$"]);
});

test("invalid classes cover no others", async () => {
  const mappings = fakeEntry("CN=Directory Service,CN=Windows NT,CN=Services,CN=Configuration,DC=test", {
    sPNMappings: ["a/b=http,x@y", "=http", ":=http", "host=", " host = cifs ,\u0000"],
  });
  const account = fakeEntry("CN=a", {
    objectClass: "user",
    sAMAccountName: "a",
    servicePrincipalName: "http/web",
  });
  const other = fakeEntry("CN=b", {
    objectClass: "user",
    sAMAccountName: "b",
    servicePrincipalName: "host/web",
  });
  const verify = (spn: string) => verifySpns(fakeForest([mappings, account, other]), "CN=a", [spn]);
  assertEquals((await verify("http/web")).ok, true);
  assertEquals((await verify("cifs/web")).conflicts.length, 1);
});

test("an account whose name differs by a letter that Unicode folds is another account", async () => {
  const has = (name: string) =>
    fakeEntry(`CN=${name}`, { objectClass: "user", sAMAccountName: name, servicePrincipalName: "HTTP/web" });
  // The second begins with the Kelvin sign.
  const forest = () => fakeForest([has("Kim"), has("\u212aim")]);
  const { ok, conflicts } = await verifySpns(forest(), "CN=Kim", ["HTTP/web"]);
  assertEquals([ok, conflicts.length], [false, 1]);
  assertEquals((await findDuplicateSpns(forest())).duplicates.length, 1);
});
