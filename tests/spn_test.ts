import { assert, assertEquals, assertThrows } from "@std/assert";
import { test } from "@test";
import fc from "fast-check";
import { Spn, type SpnParts } from "../spn.ts";

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
    const upper = name.toString().replace(/[a-z]/g, (letter) => letter.toUpperCase());
    assert(name.equals(Spn.parse(upper)));
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
