/** Distinguished names: escapes of RFC 4514. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { test } from "@test";
import fc from "fast-check";
import { domainDn, domainOf, escapeDn, parseDn } from "../../directory/mod.ts";

/** Text in which what has a meaning in a name is frequent. */
const hostile = fc.array(
  fc.oneof(
    fc.constantFrom(...' #"+,;<>=\\\0\n\u007f\u0085\ufeffé\u{1f600}'),
    fc.string({ maxLength: 3, unit: "binary" }),
  ),
  { maxLength: 12 },
).map((parts) => parts.join("")).filter((text) => text.isWellFormed());

test("escapeDn() makes one value of any text, which parseDn() reads back", () => {
  fc.assert(
    fc.property(fc.array(hostile, { minLength: 1, maxLength: 4 }), (values) => {
      const dn = values.map((value) => `CN=${escapeDn(value)}`).join(",");
      assertEquals(parseDn(dn), values.map((value) => ({ type: "CN", value })));
    }),
    { numRuns: 1000 },
  );
});

test("escapeDn() writes the examples of RFC 4514", () => {
  assertEquals(escapeDn('James "Jim" Smith, III'), 'James \\"Jim\\" Smith\\, III');
  assertEquals(escapeDn("Before\rAfter"), "Before\\0dAfter");
  assertEquals(escapeDn(" "), "\\ ");
  assertEquals(escapeDn("  "), "\\ \\ ");
  assertEquals(escapeDn("#1"), "\\#1");
  assertThrows(() => escapeDn("\ud800"), TypeError, "surrogate");
  assertThrows(() => escapeDn(1 as unknown as string), TypeError, "string");
});

test("parseDn() reads what Active Directory writes, and refuses other text", () => {
  assertEquals(parseDn(""), []);
  assertEquals(parseDn("CN=Lu\\C4\\8Di\\C4\\87, OU=a\\0ADEL:1"), [
    { type: "CN", value: "Lučić" },
    { type: "OU", value: "a\nDEL:1" },
  ]);
  assertEquals(parseDn("OU=Sales+CN=J.  Smith ,DC=net").map(({ value }) => value), [
    "Sales",
    "J.  Smith",
    "net",
  ]);
  for (const wrong of ["CN", "CN=a,", "=a", "CN=a\\", 'CN="a"', "CN=a,,DC=b"]) {
    assertThrows(() => parseDn(wrong), TypeError, "is not a distinguished name");
  }
  const error = assertThrows(() => parseDn(`CN${"a".repeat(5000)}\u202e`), TypeError);
  assert(error.message.length < 300 && !error.message.includes("\u202e"), error.message);
});

test("domainOf() and domainDn() translate between a domain's two names", () => {
  assertEquals(domainOf("CN=a,DC=b,OU=c,DC=Example,dc=test"), "example.test");
  assertEquals(domainOf("CN=Configuration,DC=example,DC=test"), "example.test");
  assertEquals(domainOf("CN=a"), "");
  assertEquals(domainDn("example.test"), "DC=example,DC=test");
});
