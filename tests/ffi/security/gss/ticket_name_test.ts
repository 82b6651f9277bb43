/** The target that a client's tokens request, in every wrapping. */

import { assert, assertEquals } from "@std/assert";
import { test } from "@test";
import fc from "fast-check";
import { clientTargets, TicketName } from "../../../../ffi/security/gss/ticket_name.ts";
import {
  apReq,
  authorizationData,
  concat,
  der,
  framed,
  kerberosToken,
  negTokenInit,
  negTokenResp,
  OID,
  utf16,
} from "../../../support/kerberos_tokens.ts";

function asked(...tokens: Uint8Array[]): string | null {
  const name = new TicketName();
  for (const token of tokens) name.add(token);
  return name.ticket?.name ?? null;
}

const REQUEST = apReq(["HTTP", "web.example.test"]);
const OTHER = apReq(["MSSQLSvc", "db.example.test:1433"]);
const NAME = "HTTP/web.example.test@EXAMPLE.TEST";
const TOKEN = kerberosToken(REQUEST);
const NTLM = concat(new TextEncoder().encode("NTLMSSP\0"), [1, 0, 0, 0]);

const READ: { readonly [what: string]: readonly Uint8Array[] } = {
  "RFC 4121's framing": [TOKEN],
  "an AP-REQ without framing": [REQUEST],
  "Microsoft's identifier of Kerberos": [kerberosToken(REQUEST, OID.microsoft)],
  "the first token of SPNEGO": [negTokenInit([OID.kerberos], TOKEN)],
  "the first token of SPNEGO as Windows writes it": [
    negTokenInit([OID.microsoft, OID.kerberos, OID.ntlm], kerberosToken(REQUEST, OID.microsoft)),
  ],
  "the identifier of Kerberos before RFC 1964": [kerberosToken(REQUEST, [0x06, 5, 0x2b, 5, 1, 5, 2])],
  "a token after one of another mechanism that is empty": [framed(OID.userToUser), TOKEN],
  "SPNEGO with an AP-REQ without framing": [negTokenInit([OID.kerberos], REQUEST)],
  "SPNEGO, once the server has chosen Kerberos": [
    negTokenInit([OID.ntlm, OID.kerberos]),
    negTokenResp(TOKEN),
  ],
  "SPNEGO after a token of NTLM": [negTokenInit([OID.ntlm, OID.kerberos], NTLM), negTokenResp(TOKEN)],
  "SPNEGO after a framed token of another mechanism": [
    negTokenInit([OID.userToUser, OID.kerberos], framed(OID.userToUser, [4, 0], der(0x30))),
    negTokenResp(TOKEN),
  ],
  "SPNEGO that ends with a signature over its list": [negTokenInit([OID.kerberos], TOKEN), negTokenResp()],
  "the same name in two steps": [negTokenInit([OID.kerberos], TOKEN), negTokenResp(TOKEN)],
};

for (const [what, tokens] of Object.entries(READ)) {
  test(`TicketName reads the name from ${what}`, () => assertEquals(asked(...tokens), NAME));
}

const NOT_READ: { readonly [what: string]: readonly Uint8Array[] } = {
  "no token": [],
  "an empty token": [new Uint8Array()],
  "NTLM": [NTLM],
  "NTLM inside SPNEGO": [negTokenInit([OID.ntlm], NTLM), negTokenResp(NTLM)],
  "Kerberos user-to-user, which asks for the server's ticket first": [
    framed(OID.userToUser, [4, 0], REQUEST),
  ],
  "a Kerberos token that is not an AP-REQ": [kerberosToken(REQUEST, OID.kerberos, [4, 0])],
  "bytes after an AP-REQ": [kerberosToken(concat(REQUEST, [0]))],
  "bytes after a token": [concat(TOKEN, [0])],
  "an element after a token": [concat(TOKEN, der(0x30))],
  "an element after an AP-REQ": [kerberosToken(concat(REQUEST, der(0x30)))],
  "SPNEGO inside SPNEGO": [negTokenInit([OID.kerberos], negTokenInit([OID.kerberos], TOKEN))],
  "two names in two steps": [negTokenInit([OID.kerberos], TOKEN), negTokenResp(kerberosToken(OTHER))],
  "a name, and then an invalid token": [
    negTokenInit([OID.kerberos], TOKEN),
    negTokenResp(kerberosToken(OTHER).subarray(0, 40)),
  ],
  "an invalid token, and then a name": [
    negTokenInit([OID.kerberos], kerberosToken(OTHER, OID.kerberos, [1])),
    negTokenResp(TOKEN),
  ],
  "a name without parts": [kerberosToken(apReq([]))],
  "a name without a realm": [kerberosToken(apReq(["HTTP", "web"], ""))],
  "a part that is not UTF-8": [kerberosToken(apReq(["HTTP", [0xff]]))],
  "a realm that is not UTF-8": [kerberosToken(apReq(["HTTP", "web"], [0xc0, 0x80]))],
  "a name of more than 1,024 bytes": [kerberosToken(apReq(["HTTP", "w".repeat(1020)]))],
  "a second mechanism token in one message": [
    framed(
      OID.spnego,
      der(0xa0, der(0x30, der(0xa2, der(4, TOKEN)), der(0xa2, der(4, kerberosToken(OTHER))))),
    ),
  ],
};

for (const [what, tokens] of Object.entries(NOT_READ)) {
  test(`TicketName reads no name from ${what}`, () => assertEquals(asked(...tokens), null));
}

test("TicketName refuses a length with an unnecessary byte, which is not DER", () => {
  const end = negTokenResp();
  assertEquals(asked(end, TOKEN), NAME);
  for (const length of [[0x81, end.length - 2], [0x82, 0, end.length - 2], [0x83, 0, 0, end.length - 2]]) {
    assertEquals(asked(concat([0xa1], length, end.subarray(2)), TOKEN), null);
  }
  // Of indefinite length, which is BER and not DER.
  assertEquals(asked(concat([0xa1, 0x80], end.subarray(2), [0, 0]), TOKEN), null);
});

const seq = (...parts: ArrayLike<number>[]): Uint8Array => der(0x30, ...parts);
const tagged = (number: number, ...parts: ArrayLike<number>[]): Uint8Array => der(0xa0 + number, ...parts);
const int = (...contents: number[]): Uint8Array => der(0x02, contents);
const text = (value: string): Uint8Array => der(0x1b, new TextEncoder().encode(value));

/** The parts of an AP-REQ; each may be replaced, or left out by `null`. */
interface Parts {
  version?: Uint8Array | null;
  type?: Uint8Array | null;
  ticketVersion?: Uint8Array;
  realm?: Uint8Array | null;
  nameType?: Uint8Array;
  names?: Uint8Array;
  enctype?: Uint8Array | null;
  extra?: Uint8Array;
}

function request(
  {
    version = int(5),
    type = int(14),
    ticketVersion = int(5),
    realm = text("EXAMPLE.TEST"),
    nameType = int(2),
    names = seq(text("HTTP"), text("web.example.test")),
    enctype = int(18),
    extra = new Uint8Array(),
  }: Parts,
): Uint8Array {
  const one = (number: number, value: Uint8Array | null) => value === null ? [] : [tagged(number, value)];
  const sealed = seq(...one(0, enctype), tagged(2, der(0x04, [1])));
  const ticket = der(
    0x61,
    seq(
      tagged(0, ticketVersion),
      ...one(1, realm),
      tagged(2, seq(tagged(0, nameType), tagged(1, names))),
      tagged(3, sealed),
    ),
  );
  const body = seq(...one(0, version), ...one(1, type), tagged(3, ticket), tagged(4, sealed), extra);
  return der(0x6e, body);
}

test("TicketName reads no name where one element of the request is missing or another one", () => {
  assertEquals(asked(request({})), NAME);
  const wrong: Record<string, Parts> = {
    "another version": { version: int(4) },
    "no version": { version: null },
    "another message": { type: int(13) },
    "no message type": { type: null },
    "another version of the ticket": { ticketVersion: int(4) },
    "no realm": { realm: null },
    "a realm of another type": { realm: der(0x0c, [0x45]) },
    "a part of another type": { names: seq(text("HTTP"), der(0x0c, [0x77])) },
    "no encryption type": { enctype: null },
    "an encryption type of no bytes": { enctype: int() },
    "an encryption type of five bytes": { enctype: int(0, 0, 0, 0, 18) },
    "a field twice": { extra: tagged(4, seq()) },
    "a field out of order": { extra: tagged(3, seq()) },
    "a tag of two bytes": { extra: der(0xbf, [0x21]) },
    "something that is not a field": { extra: der(0x04, [1]) },
    "a tag of class private": { extra: der(0xe0, [1]) },
  };
  for (const [what, parts] of Object.entries(wrong)) assertEquals(asked(request(parts)), null, what);
});

test("TicketName reads names of up to 1,024 bytes, and lengths in the shortest of three forms", () => {
  const named = (size: number) => asked(apReq(["HTTP", "w".repeat(size)]));
  // "HTTP", the part and the realm "EXAMPLE.TEST", with a byte between them.
  assertEquals(named(1006)?.length, 1024);
  assertEquals(named(1007), null);
  for (const size of [100, 127, 128, 129, 200, 255, 256, 257, 1000]) assert(named(size) !== null, `${size}`);
});

test("TicketName reads no name from a token that ends in a length, or whose length passes its end", () => {
  const none = [[0x60], [0x60, 0x81], [0x60, 0x82], [0x60, 0x82, 1], [0x60, 0x83, 0, 1, 0], [
    0x60,
    0x84,
    0,
    0,
    1,
    0,
  ]];
  for (const bytes of none) assertEquals(asked(Uint8Array.from(bytes)), null, String(bytes));
  const body = TOKEN.subarray(4);
  for (const more of [-1, 1]) {
    const length = body.length + more;
    assertEquals(asked(concat([0x60, 0x82, length >> 8, length & 0xff], body)), null);
  }
  // The longest form that is not the shortest one.
  assertEquals(asked(concat([0x60, 0x83, 0, body.length >> 8, body.length & 0xff], body)), null);
  assertEquals(asked(concat([0x60, 0x82, body.length >> 8, body.length & 0xff], body)), NAME);
});

test("TicketName reads no name from an element whose length is not written in DER", () => {
  const letters = (count: number): Uint8Array => new Uint8Array(count).fill(0x61);
  const named = (length: number[], contents: Uint8Array) =>
    asked(request({ realm: concat([0x1b], length, contents) }));
  assert(named([0x81, 0x80], letters(0x80)) !== null);
  assert(named([0x82, 1, 0], letters(0x100)) !== null);
  assertEquals(named([0x80], letters(0x80)), null);
  assertEquals(named([0x81, 0x7f], letters(0x7f)), null);
  assertEquals(named([0x82, 0, 0xff], letters(0xff)), null);
  assertEquals(named([0x83, 1, 0, 0], letters(0x100)), null);
  // As if the first two bytes of the contents were the length.
  assertEquals(named([0x80], concat([1, 0], letters(254))), null);
});

test("TicketName reads encryption types of up to four bytes, with their sign, and unknown fields", () => {
  const enctype = (...contents: number[]): number | undefined => {
    const name = new TicketName();
    name.add(request({ enctype: int(...contents) }));
    return name.ticket?.enctype;
  };
  const cases: [number[], number][] = [
    [[18], 18],
    [[1, 2], 258],
    [[0, 0, 0, 18], 18],
    [[0x7f, 0xff, 0xff, 0xff], 0x7fffffff],
    [[0xff], -1],
    [[0xff, 0x7c], -132],
    [[0x80, 0, 0, 0], -0x80000000],
  ];
  for (const [contents, expected] of cases) assertEquals(enctype(...contents), expected);
  assertEquals(asked(request({ extra: der(0xbe) })), NAME);
});

test("TicketName reads no name after a framed token that cannot be read", () => {
  const long = new Uint8Array(0x80);
  const bad = [[0x60, 0], [0x60, 1, 6], [0x60, 2, 7, 0], [0x60, 2, 6, 9], [0x60, 3, 6, 2, 0x2a]];
  for (
    const bytes of [...bad, [0x60, 0x81, 0x82, 6, 0x80, ...long], [0x60, 0x81, 0x83, 6, 0x81, 0x80, ...long]]
  ) {
    assertEquals(asked(Uint8Array.from(bytes), TOKEN), null, String(bytes.slice(0, 6)));
  }
});

test("TicketName reads no name from a Kerberos token without a whole token identifier", () => {
  for (const inner of [[], [1], [1, 0], [0, 1, ...REQUEST]]) {
    assertEquals(asked(framed(OID.kerberos, inner)), null, String(inner.length));
  }
});

const part = fc.string({
  unit: fc.constantFrom(..."aB1.:-/@\\ \n\t\b\0äß中\ufeff😀"),
  minLength: 1,
  maxLength: 20,
});
const principal = fc.record({ parts: fc.array(part, { minLength: 1, maxLength: 4 }), realm: part });
/** The wrappings of an AP-REQ. */
const wrapped: readonly ((request: Uint8Array) => Uint8Array)[] = [
  (request) => request,
  (request) => kerberosToken(request),
  (request) => kerberosToken(request, OID.microsoft),
  (request) => kerberosToken(request, OID.iakerb),
  (request) => negTokenInit([OID.kerberos], kerberosToken(request)),
  (request) => negTokenResp(kerberosToken(request)),
];

/** The parts and the realm of a principal's name as text: the inverse of what is tested. */
function split(text: string): { parts: string[]; realm: string } {
  const parts = [""];
  let realm: string | null = null;
  const add = (more: string): void => {
    if (realm === null) parts[parts.length - 1] += more;
    else realm += more;
  };
  for (let at = 0; at < text.length; at++) {
    const character = text[at];
    if (character === "\\") {
      const next = text[++at];
      add({ n: "\n", t: "\t", b: "\b", "0": "\0" }[next] ?? next);
    } else if (character === "@" && realm === null) realm = "";
    else if (character === "/" && realm === null) parts.push("");
    else add(character);
  }
  return { parts, realm: realm! };
}

test("TicketName reads no two names as the same text", () => {
  fc.assert(
    fc.property(principal, fc.nat(wrapped.length - 1), ({ parts, realm }, how) => {
      const text = asked(wrapped[how](apReq(parts, realm)));
      assertEquals(split(text!), { parts, realm });
    }),
    { numRuns: 500 },
  );
});

test("TicketName reads the right name or none from a token that was shortened, changed or extended", () => {
  fc.assert(
    fc.property(
      fc.nat(wrapped.length - 1),
      fc.nat(),
      fc.nat(255),
      fc.constantFrom(0, 1, 2),
      (how, at, byte, change) => {
        const token = wrapped[how](REQUEST);
        const place = at % token.length;
        const [head, tail] = [token.subarray(0, place), token.subarray(place)];
        const name = asked(
          [head, concat(head, [byte], tail.subarray(1)), concat(head, [byte], tail)][change],
        );
        if (change === 0) assertEquals(name, null);
        // The changed byte may be a letter of the name itself, or the length of a part that then holds the next one,
        // with its tag.
        if (name !== null) assert(name.length === NAME.length || /[\\\p{Cc}]/u.test(name), name);
      },
    ),
    { numRuns: 5000 },
  );
});

test("TicketName ends and throws nothing for any bytes", () => {
  const soup = fc.array(
    fc.oneof(
      fc.uint8Array({ maxLength: 20 }),
      fc.constantFrom(
        REQUEST,
        TOKEN,
        NTLM,
        Uint8Array.of(0x60, 0x82),
        Uint8Array.of(0x30, 0x80),
        Uint8Array.of(0xa0, 0),
      ),
    ),
    { maxLength: 5 },
  ).map((pieces) => concat(...pieces));
  fc.assert(
    fc.property(soup, fc.boolean(), (bytes, spnego) => {
      const name = asked(spnego ? negTokenInit([OID.kerberos], bytes) : bytes);
      assert(name === null || name === NAME, String(name));
    }),
    { numRuns: 5000 },
  );
  // The deepest and longest token.
  let deep = new Uint8Array();
  for (let depth = 0; depth < 1000; depth++) deep = der(0x30, deep) as Uint8Array<ArrayBuffer>;
  assertEquals(asked(kerberosToken(deep)), null);
  assertEquals(asked(new Uint8Array(0xffff).fill(0x30)), null);
  assertEquals(asked(kerberosToken(apReq(Array(30000).fill("")))), null);
});

test("clientTargets() reads the targets from authorization data of type 144 among other data", () => {
  const restriction = [141, [0]] as const;
  const target = [144, utf16("HTTP/web.example.test@EXAMPLE.TEST")] as const;
  assertEquals(clientTargets(authorizationData(restriction)), []);
  assertEquals(clientTargets(authorizationData()), []);
  assertEquals(clientTargets(authorizationData(restriction, target)), [NAME]);
  assertEquals(clientTargets(authorizationData([1, authorizationData(target)], restriction, target)), [
    NAME,
    NAME,
  ]);
});

test("clientTargets() distinguishes invalid authorization data from data without targets", () => {
  const target = authorizationData([144, utf16("HTTP/web")]);
  for (let length = 0; length < target.length; length++) {
    assertEquals(clientTargets(target.subarray(0, length)), null);
  }
  assertEquals(clientTargets(concat(target, [0])), null);
  assertEquals(clientTargets(authorizationData([144, [0x48, 0, 0x54]])), null);
  assertEquals(clientTargets(authorizationData([144, [0, 0xd8]])), null);
  assertEquals(clientTargets(authorizationData([1, [0]])), null);
  let deep = target;
  for (let depth = 1; depth <= 10; depth++) {
    deep = authorizationData([1, deep]);
    assertEquals(clientTargets(deep), depth <= 4 ? ["HTTP/web"] : null);
  }
  assertEquals(clientTargets(der(0x30, der(0x31))), null);
  assertEquals(clientTargets(der(0x31)), null);
  assertEquals(clientTargets(authorizationData([144, utf16("\ufeffHTTP/web")])), ["\ufeffHTTP/web"]);
  fc.assert(fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => void clientTargets(bytes)), {
    numRuns: 2000,
  });
});
