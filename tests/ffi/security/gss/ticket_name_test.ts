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
        // The changed byte may be a letter of the name itself.
        if (name !== null) assert(name.length === NAME.length || /\\/.test(name), name);
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
  for (let depth = 0; depth < 10; depth++) deep = authorizationData([1, deep]);
  assertEquals(clientTargets(deep), null);
  fc.assert(fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => void clientTargets(bytes)), {
    numRuns: 2000,
  });
});
