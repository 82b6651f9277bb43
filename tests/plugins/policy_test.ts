import { assert, assertEquals, assertThrows } from "@std/assert";
import { test } from "@test";
import fc from "fast-check";
import { parsePolicy, raise, tighten } from "../../plugins/policy.ts";
import type { Policy } from "../../contract.ts";
import { resolveRequirements } from "../../plugins/requirements.ts";

const name = fc.constantFrom("negotiate", "kerberos", "ntlm", "third.party-1");
const floor = fc.record({
  integrity: fc.constant(true as const),
  confidentiality: fc.constant(true as const),
  mutualAuthentication: fc.constant(true as const),
}, { requiredKeys: [] });
const policies: fc.Arbitrary<Policy> = fc.record({
  version: fc.constant(1 as const),
  order: fc.uniqueArray(name),
  deny: fc.uniqueArray(name),
  floor,
}, { requiredKeys: ["version"], noNullPrototype: true });

test("parsePolicy() reads a policy from JSON text and from an object", () => {
  fc.assert(fc.property(policies, (policy) => {
    const plain = JSON.parse(JSON.stringify(policy));
    assertEquals(JSON.parse(JSON.stringify(parsePolicy(JSON.stringify(policy)))), plain);
    assertEquals(JSON.parse(JSON.stringify(parsePolicy(policy))), plain);
  }));
});

test("parsePolicy() returns a copy that does not change with the object it was read from", () => {
  const source = { version: 1, deny: ["ntlm"], order: ["kerberos"], floor: { integrity: true } };
  const policy = parsePolicy(source);
  source.deny.length = 0;
  source.order.push("ntlm");
  source.floor.integrity = false;
  assertEquals(policy.deny, ["ntlm"]);
  assertEquals(policy.order, ["kerberos"]);
  assertEquals(policy.floor?.integrity, true);
  assert(Object.isFrozen(policy) && Object.isFrozen(policy.deny) && Object.isFrozen(policy.floor));
});

test("parsePolicy() of any JSON value returns a policy that reads back the same, or throws a TypeError", () => {
  const nearly = fc.record({
    version: fc.oneof({ weight: 4, arbitrary: fc.constant<unknown>(1) }, fc.jsonValue()),
    order: fc.oneof(fc.uniqueArray(name), fc.jsonValue()),
    deny: fc.oneof(fc.uniqueArray(name), fc.jsonValue()),
    floor: fc.oneof(floor, fc.jsonValue()),
    extra: fc.jsonValue(),
  }, { requiredKeys: [], noNullPrototype: true });
  fc.assert(fc.property(fc.oneof(nearly, fc.jsonValue()), (value) => {
    const text = JSON.stringify(value);
    try {
      const policy = parsePolicy(text);
      assertEquals(JSON.parse(JSON.stringify(policy)), JSON.parse(text));
      assert(Object.values(policy.floor ?? {}).every((raised) => raised === true));
    } catch (error) {
      assertEquals((error as Error).name, "TypeError", String(error));
    }
  }));
});

test("parsePolicy() refuses an unknown key at every level, so that a typing error never loosens a policy", () => {
  assertThrows(() => parsePolicy({ version: 1, denied: ["ntlm"] }), TypeError, '"denied" is not known');
  assertThrows(
    () => parsePolicy({ version: 1, floor: { encrypt: true } }),
    TypeError,
    '"encrypt" is not known',
  );
  assertThrows(() => parsePolicy('{"version":1,"__proto__":{}}'), TypeError, '"__proto__" is not known');
});

test("parsePolicy() refuses another version, a value of the wrong type and a name in capitals, by name", () => {
  assertThrows(() => parsePolicy({}), TypeError, "version must be 1");
  assertThrows(() => parsePolicy({ version: 2 }), TypeError, "version must be 1");
  assertThrows(() => parsePolicy({ version: 1, deny: "ntlm" }), TypeError, "deny must be a list");
  assertThrows(() => parsePolicy({ version: 1, deny: ["NTLM"] }), TypeError, '"NTLM" is not a provider');
  assertThrows(() => parsePolicy({ version: 1, order: ["a", "a"] }), TypeError, "is duplicated");
  assertThrows(() => parsePolicy({ version: 1, floor: { integrity: false } }), TypeError, "must be true");
  assertThrows(() => parsePolicy([]), TypeError, "must be an object, not a list");
  assertThrows(() => parsePolicy("{"), TypeError, "not JSON");
  assertThrows(() => parsePolicy(null, "the file"), TypeError, "the file must be an object, not null");
});

test("parsePolicy() refuses a duplicate key in the text, however it is spelt: the first would have no effect", () => {
  const twice = [
    '{"version":1,"deny":["ntlm"],"deny":[]}',
    '{"version":1,"deny":["ntlm"],"\\u0064eny" : []}',
    '{"version":1,"floor":{"integrity":true,"integrity":true}}',
    '{"version":1,"version":1}',
  ];
  for (const text of twice) assertThrows(() => parsePolicy(text), TypeError, "is duplicated");
  // The same word in another object, or as a value, is no such key.
  const fine = '{"version":1,"floor":{"integrity":true},"deny":["floor","deny","version"],"order":["a"]}';
  assertEquals(parsePolicy(fine).deny, ["floor", "deny", "version"]);
});

test("parsePolicy() refuses names with blanks, in capitals or with look-alikes of other alphabets", () => {
  for (
    const name of [
      " ntlm",
      "ntlm ",
      "ntlm\n",
      "Kerberos",
      "KERBEROS",
      "k\u0435rberos",
      "",
      "*",
      "ntlm,kerberos",
    ]
  ) {
    for (const list of ["deny", "order"]) {
      assertThrows(() => parsePolicy({ version: 1, [list]: [name] }), TypeError, "is not a provider's name");
    }
  }
});

test("tighten() denies what either policy denies, allows what both list and requires what either requires", () => {
  fc.assert(fc.property(policies, policies, (application, machine) => {
    const both = tighten(application, machine);
    for (const one of ["negotiate", "kerberos", "ntlm", "third.party-1"]) {
      const allows = (policy: Policy) =>
        !policy.deny?.includes(one) && (policy.order === undefined || policy.order.includes(one));
      assertEquals(allows(both), allows(application) && allows(machine));
    }
    for (const key of ["integrity", "confidentiality", "mutualAuthentication"] as const) {
      assertEquals(both.floor?.[key] === true, (application.floor?.[key] ?? machine.floor?.[key]) === true);
    }
  }));
});

test("tighten() keeps the application's order of the names that both policies list", () => {
  const both = tighten({ version: 1, order: ["ntlm", "negotiate", "kerberos"] }, {
    version: 1,
    order: ["kerberos", "negotiate"],
  });
  assertEquals(both.order, ["negotiate", "kerberos"]);
});

test("raise(): a floor for encryption also requires integrity, so that the requirements never contradict", () => {
  const weak = resolveRequirements({ integrity: false, confidentiality: false, mutualAuthentication: false });
  const raised = raise(weak, { confidentiality: true });
  assertEquals([raised.integrity, raised.confidentiality, raised.mutualAuthentication], [true, true, false]);
  assertEquals(resolveRequirements(raised), raised);
});
