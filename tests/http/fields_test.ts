/** The header fields of HTTP authentication, as text from strangers. */

import { assertEquals, assertThrows } from "@std/assert";
import { test } from "@test";
import fc from "fast-check";
import { ProtocolError } from "../../errors.ts";
import {
  decodeToken,
  formatToken,
  MAX_TOKEN_BYTES,
  parseChallenges,
  parseCredentials,
  tokenOf,
} from "../../http/fields.ts";

const TOKEN_CHARACTERS = "!#$%&'*+-.^_`|~0123456789abcxyzABCXYZ";
const name = fc.string({ unit: fc.constantFrom(...TOKEN_CHARACTERS), minLength: 1, maxLength: 8 });
const bytes = fc.uint8Array({ minLength: 1, maxLength: 60 });
const printable = fc.string({ unit: fc.constantFrom(...` \t!"#,=\\abc/é`), maxLength: 12 });
const quote = (text: string): string => `"${text.replace(/["\\]/g, "\\$&")}"`;

const withToken = fc.tuple(name, bytes).map(([scheme, token]) => ({
  text: formatToken(scheme, token),
  expected: [scheme.toLowerCase(), formatToken("", token).slice(1), {}] as const,
}));
const withParameters = fc.tuple(name, fc.dictionary(name.map((text) => text.toLowerCase()), printable))
  .map(([scheme, parameters]) => {
    const pairs = Object.entries(parameters);
    const list = pairs.map(([key, value], index) => `${index % 2 ? key.toUpperCase() : key}=${quote(value)}`);
    return {
      text: list.length === 0 ? scheme : `${scheme} ${list.join(", ")}`,
      expected: [scheme.toLowerCase(), null, parameters] as const,
    };
  });
const separator = fc.constantFrom(",", ", ", " , ", ",,", " ,\t, ");

test("parseChallenges() reads every list of challenges: tokens, parameters, quoted commas, empty elements", () => {
  fc.assert(
    fc.property(
      fc.array(fc.oneof(withToken, withParameters), { maxLength: 5 }),
      separator,
      (parts, comma) => {
        const read = parseChallenges(parts.map(({ text }) => text).join(comma)).map((found) => [
          found.scheme,
          found.token,
          Object.assign(Object.create(null), Object.fromEntries(found.parameters)),
        ]);
        const expected = parts.map(({ expected: [scheme, token, parameters] }) => [
          scheme,
          token,
          Object.assign(Object.create(null), parameters),
        ]);
        assertEquals(read, expected);
        assertEquals(parseChallenges(parts.map(({ text }) => text)).length, parts.length);
      },
    ),
  );
});

test("parseChallenges() reads what servers send, in any case", () => {
  const schemes = (field: string | string[] | null) =>
    parseChallenges(field).map(({ scheme, token }) => [scheme, token]);
  assertEquals(schemes(null), []);
  assertEquals(schemes(""), []);
  assertEquals(schemes(" , "), []);
  assertEquals(schemes("negotiate"), [["negotiate", null]]);
  assertEquals(schemes("NEGOTIATE  oYG3= "), [["negotiate", "oYG3="]]);
  assertEquals(schemes('Basic realm="a, Negotiate b", Negotiate'), [["basic", null], ["negotiate", null]]);
  assertEquals(schemes(["Negotiate", "NTLM", 'Basic realm="x"']), [
    ["negotiate", null],
    ["ntlm", null],
    ["basic", null],
  ]);
  const [digest] = parseChallenges(
    'Digest realm="\\"q\\"", qop = "auth,auth-int" ,stale=TRUE, Negotiate ab==',
  );
  assertEquals(Object.fromEntries(digest.parameters), { realm: '"q"', qop: "auth,auth-int", stale: "TRUE" });
});

test("parseChallenges() refuses what the grammar does not have, with a ProtocolError, and never guesses", () => {
  const wrong = [
    "Negotiate abc def",
    "Negotiate abc,=",
    'Basic realm="a',
    'Basic realm="a"b',
    "Basic realm=a realm=b",
    "Basic realm=a, realm=b",
    "Negotiate\nabc",
    "Négotiate",
    "=",
    '"Negotiate"',
    'Basic realm="\u{1f600}"',
  ];
  for (const field of wrong) assertThrows(() => parseChallenges(field), ProtocolError, "RFC 9110");
  const long = `Negotiate ${"a".repeat(200_000)}`;
  assertEquals(assertThrows(() => parseChallenges(long), ProtocolError).reason, "oversized");
  const pieces = fc.constantFrom(
    "Negotiate",
    " ",
    ",",
    "=",
    '"',
    "\\",
    "a",
    "/",
    "\t",
    "\r",
    "é",
    "realm=",
    "==",
  );
  fc.assert(fc.property(fc.array(pieces, { maxLength: 12 }), (parts) => {
    try {
      parseChallenges(parts.join(""));
    } catch (error) {
      assertEquals((error as Error).name, "ProtocolError");
    }
  }));
});

test("tokenOf() takes one challenge of the scheme, and refuses two where one has a token", () => {
  const of = (field: string) => tokenOf(parseChallenges(field), "negotiate");
  assertEquals(of("Basic realm=x"), undefined);
  assertEquals(of("NTLM, Negotiate"), null);
  assertEquals(of("Negotiate, Negotiate"), null);
  assertEquals(of("NTLM abc, nEgotiate def"), "def");
  for (
    const two of ["Negotiate abc, Negotiate def", "Negotiate, Negotiate def", "Negotiate abc, Negotiate abc"]
  ) {
    assertThrows(() => of(two), ProtocolError, "several");
  }
  assertThrows(() => of("Negotiate a=b"), ProtocolError);
});

test("parseCredentials() reads a scheme and its token68; `token` is null where anything else follows", () => {
  fc.assert(fc.property(name, bytes, (scheme, token) => {
    const read = parseCredentials(formatToken(scheme, token));
    assertEquals(read.scheme, scheme.toLowerCase());
    assertEquals(decodeToken(read.token!), token);
  }));
  const none = [
    "Negotiate",
    "Negotiate ",
    "Digest username=x",
    "Negotiate abc, Negotiate abc",
    "Negotiate a b",
    "Negotiate a\tb",
  ];
  for (const field of none) assertEquals(parseCredentials(field).token, null, field);
  for (const field of ["", " ", "=", "Negotiate\tabc", "Negotiate abc\n", "é abc"]) {
    assertThrows(() => parseCredentials(field), ProtocolError, "RFC 9110");
  }
  // Its sender has not signed on: where the time grew with the square of the length, this would take minutes.
  for (const blank of [" ", "\t", " \t", "a", "=", ","]) {
    const much = blank.repeat(120_000 / blank.length);
    assertEquals(parseCredentials(`Negotiate \t${much}\u0001`).token, null);
    assertEquals(parseCredentials(`Negotiate a${much}\u0001`).token, null);
    assertThrows(() => parseCredentials(`${much}\u0001`), ProtocolError);
    assertThrows(() => parseChallenges(`Negotiate a=b${much}\u0001`), ProtocolError);
    assertThrows(() => parseChallenges(`Negotiate ${much}\u0001`), ProtocolError);
  }
  const long = `Negotiate ${"a".repeat(200_000)}`;
  assertEquals(assertThrows(() => parseCredentials(long), ProtocolError).reason, "oversized");
});

test("decodeToken() takes what formatToken() wrote, and no other text of the same bytes", () => {
  fc.assert(fc.property(fc.uint8Array({ minLength: 1, maxLength: 300 }), (token) => {
    const text = formatToken("Negotiate", token).slice("Negotiate ".length);
    assertEquals(decodeToken(text), token);
    if (text.endsWith("=")) assertThrows(() => decodeToken(text.replace(/=+$/, "")), ProtocolError);
    assertThrows(() => decodeToken(`${text} `), ProtocolError);
  }));
  for (
    const text of ["", "a", "ab", "abc", "ab=", "abc=d", "ab==cd==", "ab-_", "ab\n==", "YWI", "YWJ=", "YR=="]
  ) {
    assertThrows(() => decodeToken(text), ProtocolError, "base64");
  }
  assertEquals(formatToken("Negotiate"), "Negotiate");
  assertEquals(formatToken("Negotiate", null), "Negotiate");
});

test("decodeToken() bounds a token by its bytes", () => {
  const largest = formatToken("x", new Uint8Array(MAX_TOKEN_BYTES)).slice(2);
  assertEquals(decodeToken(largest).length, MAX_TOKEN_BYTES);
  for (const size of [MAX_TOKEN_BYTES + 1, MAX_TOKEN_BYTES + 9]) {
    const text = formatToken("x", new Uint8Array(size)).slice(2);
    assertEquals(assertThrows(() => decodeToken(text), ProtocolError).reason, "oversized");
  }
  assertEquals(decodeToken("YWJj", 3).length, 3);
  assertThrows(() => decodeToken("YWJj", 2), ProtocolError);
});
