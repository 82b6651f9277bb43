import { assert, assertEquals, assertThrows } from "@std/assert";
import { test } from "@test";
import fc from "fast-check";
import { Spn, type SpnComponents, type SpnGeneration, type SpnNameType, type SpnParts } from "../spn.ts";

/** Characters a part may hold; letters of other scripts are among them. */
const LETTERS =
  "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~!$%&'()[]{}^`#\"<>|*?,;=+ äß中";
const word = fc.string({ unit: fc.constantFrom(...LETTERS), minLength: 1, maxLength: 12 })
  .filter((text) => text === text.trim() && !text.endsWith("."));
const label = word.filter((text) => !/^[0-9]+$/.test(text));
const parts: fc.Arbitrary<SpnParts> = fc.record({
  serviceClass: word,
  instanceName: word,
  port: fc.oneof(fc.integer({ min: 1, max: 65535 }), label),
  serviceName: word,
  realm: word,
}, { requiredKeys: ["serviceClass", "instanceName"] });

/** The parts a name has. */
function partsOf(spn: Spn): SpnParts {
  return Object.fromEntries(
    Object.entries(spn).filter(([, part]) => part !== undefined),
  ) as unknown as SpnParts;
}

test("Spn.parse() reads a name that Spn.make() wrote as the same parts", () => {
  fc.assert(fc.property(parts, (given) => {
    const made = Spn.make(given);
    const read = Spn.parse(made.toString());
    assertEquals(partsOf(read), { ...given });
    assertEquals(read.toString(), made.toString());
    assert(read.equals(made));
  }));
});

test("Spn.parse() either refuses a text with a TypeError or reads a name whose text reads the same", () => {
  const tricky = fc.string({ unit: fc.constantFrom(...'ab/:@\\ .1\u0000\n"*é'), maxLength: 12 });
  fc.assert(
    fc.property(fc.oneof(tricky, fc.string()), (text) => {
      let read: Spn;
      try {
        read = Spn.parse(text);
      } catch (error) {
        assert(error instanceof TypeError, String(error));
        return;
      }
      assertEquals(partsOf(Spn.parse(read.toString())), partsOf(read));
    }),
    { numRuns: 2000 },
  );
});

test("equals() ignores the case of A to Z, and the realm where one of them has none", () => {
  fc.assert(fc.property(parts, word, (given, realm) => {
    const name = Spn.make(given);
    const bare = Spn.make({ ...given, realm: undefined });
    assert(name.equals(Spn.parse(upper(name))));
    assert(bare.equals(name) && name.equals(bare));
    assert(bare.equals(Spn.make({ ...given, realm })));
    assert(!name.equals(Spn.make({ ...given, instanceName: `${given.instanceName}x` })));
    assert(!name.equals(Spn.make({ ...given, serviceClass: `${given.serviceClass}x` })));
  }));
  assert(!Spn.parse("HTTP/web@A").equals(Spn.parse("HTTP/web@B")));
  assert(!Spn.parse("HTTP/web:80").equals(Spn.parse("HTTP/web")));
  assert(!Spn.parse("HTTP/web:80").equals(Spn.parse("HTTP/web:81")));
  // The Kelvin sign lower-cases to k, and is another letter all the same.
  assert(!Spn.parse("HTTP/\u212Aey").equals(Spn.parse("HTTP/key")));
  assert(Spn.parse("ldap/dc/dc").equals(Spn.parse("ldap/dc")));
});

test("Spn.parse() reads every form of a name", () => {
  assertEquals(partsOf(Spn.parse("host/web.example.test")), {
    serviceClass: "host",
    instanceName: "web.example.test",
  });
  assertEquals(Spn.parse("HTTP/web:8080").port, 8080);
  assertEquals(Spn.parse("HTTP/web:0080").port, 80);
  assertEquals(Spn.parse("MSSQLSvc/db.example.test:SQLEXPRESS").port, "SQLEXPRESS");
  assertEquals(partsOf(Spn.parse("ldap/dc1.example.test:389/example.test@EXAMPLE.TEST")), {
    serviceClass: "ldap",
    instanceName: "dc1.example.test",
    port: 389,
    serviceName: "example.test",
    realm: "EXAMPLE.TEST",
  });
});

test("Spn.parse() reads the names of Windows' own services, with spaces, GUIDs and distinguished names", () => {
  const registered: { readonly [text: string]: Partial<SpnParts> } = {
    "Microsoft Virtual Console Service/hv1.example.test": {
      serviceClass: "Microsoft Virtual Console Service",
    },
    "Hyper-V Replica Service/HV1": { serviceClass: "Hyper-V Replica Service", instanceName: "HV1" },
    "E3514235-4B06-11D1-AB04-00C04FC2DCD2/0a1b/example.test": { serviceName: "example.test" },
    "exampleSvc/web.example.test/CN=one, two;x,OU=Services,DC=example,DC=test": {
      serviceName: "CN=one, two;x,OU=Services,DC=example,DC=test",
    },
    "GC/dc1.example.test/example.test": { serviceClass: "GC", serviceName: "example.test" },
    "MSSQLSvc/db.example.test:SQL EXPRESS": { port: "SQL EXPRESS" },
  };
  for (const [text, expected] of Object.entries(registered)) {
    const read = Spn.parse(text);
    assertEquals(read.toString(), text);
    assertEquals({ ...partsOf(read), ...expected }, partsOf(read));
  }
});

const MALFORMED: { readonly [text: string]: string } = {
  "": "two or three parts",
  "host": "two or three parts",
  "service@example.test": "it names an account, and an account is reached by an SPN",
  "EXAMPLE\\service": "it names an account, and an account is reached by an SPN",
  "host/": "instanceName must be",
  "/web": "serviceClass must be",
  "host/web/": "serviceName must be",
  "host/a/b/c": "two or three parts",
  "host/web@": "realm must be",
  "host/we@b@": 'must not contain "@"',
  "host/w@eb@REALM": 'must not contain "@"',
  "host/web:": "port must be",
  "host/web:0": "from 1 to 65535",
  "host/web:65536": "from 1 to 65535",
  "host/web:99999999999999999999": "from 1 to 65535",
  "host/::1": "two colons",
  "host/[::1]:80": "two colons",
  " host/web": "serviceClass must not begin or end with a space",
  "host /web": "serviceClass must not begin or end with a space",
  "host/web :80": "instanceName must not begin or end with a space",
  "host/web. :80": "instanceName must not begin or end with a space",
  "host/web.example.test.": "instanceName must not end with a dot",
  "host/web.example.test.:80": "instanceName must not end with a dot",
  "host/web.example.test.@REALM": "instanceName must not end with a dot",
  "ldap/dc1/example.test.": "serviceName must not end with a dot",
  "host/.": "instanceName must not end with a dot",
  "host/web\u0000evil": "must not contain",
  "host/web\\evil": "must not contain",
  "host/web\n": "must not contain",
  "ho:st/web": 'must not contain ":"',
  "ho\ud83dst/web": "serviceClass contains a lone surrogate",
  "host/\ude00web": "instanceName contains a lone surrogate",
  "host/web:\ude00": "port contains a lone surrogate",
  "host/web/x\ud83d": "serviceName contains a lone surrogate",
  "host/web@R\ud83d": "realm contains a lone surrogate",
};

for (const [text, reason] of Object.entries(MALFORMED)) {
  test(`Spn.parse() refuses ${JSON.stringify(text)}, with the reason and the valid forms`, () => {
    const error = assertThrows(() => Spn.parse(text), TypeError, reason);
    assert(error.message.includes(JSON.stringify(text)) && error.message.includes("class/host:port"));
  });
}

test("Spn.make() refuses missing or unknown parts, and parts of another type, by their names", () => {
  const make = (given: unknown) => () => Spn.make(given as SpnParts);
  assertThrows(make(undefined), TypeError, "object of an SPN's parts");
  assertThrows(make({ instanceName: "web" }), TypeError, "serviceClass");
  assertThrows(make({ serviceClass: "host" }), TypeError, "instanceName");
  assertThrows(make({ serviceClass: 7, instanceName: "web" }), TypeError, "serviceClass");
  assertThrows(
    make({ serviceClass: "host", instanceName: "web", host: "web" }),
    TypeError,
    "Unknown part host",
  );
  assertThrows(make({ serviceClass: "host", instanceName: "web", port: 1.5 }), RangeError, "whole number");
  assertThrows(make({ serviceClass: "host", instanceName: "web", port: "80" }), RangeError, "whole number");
  assertThrows(make({ serviceClass: "host", instanceName: "web", port: null }), RangeError, "null");
  assertThrows(() => Spn.parse(undefined as unknown as string), TypeError, "string");
});

test("Spn.parse() accepts a surrogate pair", () => {
  assertEquals(Spn.parse("host/\ud83d\ude00").instanceName, "\ud83d\ude00");
});

test("Spn objects cannot be changed", () => {
  const name = Spn.parse("host/web");
  assertThrows(() => ((name as { instanceName: string }).instanceName = "other"), TypeError);
});

/** What Windows' DsMakeSpn writes, as its page and Wine's conformance test, which runs on Windows, publish it. */
const MADE: { readonly [text: string]: SpnComponents } = {
  "class/host": { serviceClass: "class", serviceName: "host" },
  "class/instance/host": { serviceClass: "class", serviceName: "host", instanceName: "instance" },
  "class/instance:555/host": {
    serviceClass: "class",
    serviceName: "host",
    instanceName: "instance",
    instancePort: 555,
    referrer: "referrer",
  },
  "class/host:555": { serviceClass: "class", serviceName: "host", instancePort: 555, referrer: "referrer" },
  "ldap/192.0.2.7:389/dc1.example.test": {
    serviceClass: "ldap",
    serviceName: "192.0.2.7",
    instancePort: 389,
    referrer: "dc1.example.test",
  },
  "ldap/192.0.2.7": { serviceClass: "ldap", serviceName: "192.0.2.7", instancePort: 0 },
  "ldap/dc1/dc2.example.test": {
    serviceClass: "ldap",
    serviceName: "2001:db8::7",
    instanceName: "dc1",
    referrer: "dc2.example.test",
  },
  "MyDBService/host1.example.com/CN=hrdb,OU=mktg,DC=example,DC=com": {
    serviceClass: "MyDBService",
    serviceName: "CN=hrdb,OU=mktg,DC=example,DC=com",
    instanceName: "host1.example.com",
  },
};

for (const [text, components] of Object.entries(MADE)) {
  test(`Spn.compose() writes ${text} as DsMakeSpn does`, () => {
    assertEquals(Spn.compose(components).toString(), text);
  });
}

test("crack() returns what Spn.compose() was given, with the host for a missing service name", () => {
  const name = word.filter((text) => !text.includes(":"));
  const components = fc.record({
    serviceClass: name,
    serviceName: name,
    instanceName: name,
    instancePort: fc.integer({ min: 0, max: 65535 }),
  }, { requiredKeys: ["serviceClass", "serviceName"] });
  fc.assert(fc.property(components, (given) => {
    const cracked = Spn.parse(Spn.compose(given).toString()).crack();
    const { instanceName = given.serviceName, instancePort = 0 } = given;
    assertEquals(cracked, { ...given, instanceName, instancePort });
    const again = instanceName === given.serviceName ? { ...cracked, instanceName: undefined } : cracked;
    assert(Spn.compose(again).equals(Spn.compose(given)));
  }));
  assertThrows(() => Spn.parse("MSSQLSvc/db:SQLEXPRESS").crack(), RangeError, "not a number");
});

test("Spn.compose() refuses parts that DsMakeSpn does not take, by their names", () => {
  const compose = (given: unknown) => () => Spn.compose(given as SpnComponents);
  assertThrows(compose(null), TypeError, "serviceName");
  assertThrows(compose({ serviceClass: "class" }), TypeError, "serviceName must be");
  assertThrows(compose({ serviceName: "host" }), TypeError, "serviceClass must be");
  assertThrows(compose({ serviceClass: "class", serviceName: "a/b" }), TypeError, 'must not contain "/"');
  assertThrows(compose({ serviceClass: "class", serviceName: "a", port: 1 }), TypeError, "Unknown part port");
  for (const instancePort of [-1, 65536, 1.5, "80"]) {
    assertThrows(compose({ serviceClass: "c", serviceName: "h", instancePort }), RangeError, "instancePort");
  }
  // A referrer becomes a part only with an address, and is checked then.
  assertThrows(compose({ serviceClass: "c", serviceName: "1.2.3.4", referrer: "a/b" }), TypeError, '"/"');
});

const HOST = {
  dnsName: "web.example.test",
  netbiosName: "WEB",
  distinguishedName: "CN=WEB,CN=Computers,DC=example,DC=test",
};
const GENERATED: { readonly [text: string]: readonly [SpnNameType, serviceName?: string, port?: number] } = {
  "ADSockAuth/web.example.test": ["DS_SPN_DNS_HOST"],
  "ADSockAuth/web.example.test:7777": ["DS_SPN_DNS_HOST", undefined, 7777],
  "ADSockAuth/CN=WEB,CN=Computers,DC=example,DC=test": ["DS_SPN_DN_HOST"],
  "ADSockAuth/WEB": ["DS_SPN_NB_HOST"],
  "ADSockAuth/web.example.test/example.test": ["DS_SPN_DOMAIN", "example.test"],
  "ADSockAuth/WEB:7777/DC=example,DC=test": ["DS_SPN_NB_DOMAIN", "DC=example,DC=test", 7777],
  "ADSockAuth/web.example.test/CN=SockAuthAD,CN=WEB,DC=test": [
    "DS_SPN_SERVICE",
    "CN=SockAuthAD,CN=WEB,DC=test",
  ],
};

for (const [text, [type, serviceName, instancePort]] of Object.entries(GENERATED)) {
  test(`Spn.generate() makes ${text} for ${type}`, () => {
    const options = { serviceClass: "ADSockAuth", serviceName, instancePort, host: HOST };
    if (serviceName === undefined) delete options.serviceName;
    assertEquals(Spn.generate(type, options).map(String), [text]);
  });
}

test("Spn.generate() makes one name for each instance, with the instance's own port", () => {
  const instances = [{ name: "a.example.test", port: 1 }, { name: "b.example.test" }];
  const made = (type: SpnNameType, serviceName?: string) =>
    Spn.generate(type, {
      serviceClass: "db",
      ...(serviceName === undefined ? {} : { serviceName }),
      // Neither is used where there are instances.
      instancePort: 9,
      host: HOST,
      instances,
    }).map(String);
  assertEquals(made("DS_SPN_DNS_HOST"), ["db/a.example.test:1", "db/b.example.test"]);
  assertEquals(made("DS_SPN_SERVICE", "CN=hr"), ["db/a.example.test:1/CN=hr", "db/b.example.test/CN=hr"]);
});

test("Spn.generate() refuses what is missing or does not fit the type, by its name", () => {
  const generate = (type: string, given: unknown) => () =>
    Spn.generate(type as SpnNameType, given as SpnGeneration);
  const base = { serviceClass: "db", host: { dnsName: "web" } };
  assertThrows(generate("toString", base), TypeError, "Unknown type toString");
  assertThrows(generate("DS_SPN_NB_HOST", base), TypeError, "host.netbiosName must be given");
  assertThrows(generate("DS_SPN_DNS_HOST", { serviceClass: "db" }), TypeError, "host.dnsName must be given");
  assertThrows(generate("DS_SPN_DNS_HOST", { ...base, serviceName: "x" }), TypeError, "must not be given");
  assertThrows(generate("DS_SPN_SERVICE", base), TypeError, "serviceName must be given");
  assertThrows(generate("DS_SPN_DNS_HOST", { ...base, instances: "a" }), TypeError, "array");
  assertThrows(generate("DS_SPN_DNS_HOST", { ...base, instances: [{ name: "a/b" }] }), TypeError, '"/"');
  assertThrows(generate("DS_SPN_DNS_HOST", { ...base, instancePort: 70000 }), RangeError, "port");
  assertThrows(generate("DS_SPN_DNS_HOST", { ...base, names: [] }), TypeError, "Unknown part names");
});

test("canonical is one text for all names that are equal, and another for all others", () => {
  fc.assert(fc.property(parts, parts, fc.boolean(), (one, other, same) => {
    const a = Spn.make(one);
    const b = same ? Spn.parse(upper(a)) : Spn.make(other);
    assertEquals(a.canonical === b.canonical, Spn.make({ ...partsOf(a), realm: undefined }).equals(b));
    assertEquals(Spn.parse(a.canonical).canonical, a.canonical);
  }));
  assertEquals(Spn.parse("LDAP/DC1:389/dc1@R").canonical, "ldap/dc1:389");
});

/** The name with a to z in upper case. */
function upper(spn: Spn): string {
  return spn.toString().replace(/[a-z]/g, (letter) => letter.toUpperCase());
}
