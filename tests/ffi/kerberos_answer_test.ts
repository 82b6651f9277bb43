/** Which tokens a client takes in on its own thread: the answer of Kerberos and nothing that only resembles it. */

import { assertEquals } from "@std/assert";
import { test } from "@test";
import fc from "fast-check";
import { isKerberosAnswer } from "../../ffi/sspi/kerberos_answer.ts";

/** A DER element: its length in as few bytes as there can be. */
function der(tag: number, ...content: number[]): number[] {
  const { length } = content;
  if (length < 0x80) return [tag, length, ...content];
  if (length < 0x100) return [tag, 0x81, length, ...content];
  return [tag, 0x82, length >> 8, length & 0xff, ...content];
}

const oid = (...bytes: number[]): number[] => der(6, ...bytes);
const KERBEROS = oid(0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 1, 2, 2);
const MS_KERBEROS = oid(0x2a, 0x86, 0x48, 0x82, 0xf7, 0x12, 1, 2, 2);
const NTLM = oid(0x2b, 6, 1, 4, 1, 0x82, 0x37, 2, 2, 10);
const [AP_REQ, AP_REP, KRB_ERROR] = [[1, 0], [2, 0], [3, 0]];

/** A token of RFC 4121 around a message of Kerberos. */
function bare({ mechanism = KERBEROS, id = AP_REP, tag = 0x6f, body = [1, 2, 3] } = {}): number[] {
  return der(0x60, ...mechanism, ...id, ...der(tag, ...body));
}

interface Reply {
  state?: number[];
  mechanism?: number[];
  token?: number[];
  mic?: number[];
}

/** SPNEGO's NegTokenResp of these fields, each already an element. */
function reply({ state = der(0x0a, 0), mechanism, token = der(4, ...bare()), mic }: Reply): number[] {
  const field = (tag: number, content?: number[]) => content === undefined ? [] : der(tag, ...content);
  const fields = [
    ...field(0xa0, state),
    ...field(0xa1, mechanism),
    ...field(0xa2, token),
    ...field(0xa3, mic),
  ];
  return der(0xa1, ...der(0x30, ...fields));
}

const is = (token: number[]): boolean => isKerberosAnswer(Uint8Array.from(token));
const body = fc.array(fc.nat(255), { maxLength: 700 });
const answer = fc.oneof(
  body.map((body) => bare({ body })),
  fc.record({
    body,
    state: fc.constantFrom(0, 1),
    mechanism: fc.constantFrom(undefined, KERBEROS, MS_KERBEROS),
    mic: fc.option(body.map((mic) => der(4, ...mic)), { nil: undefined }),
  }).map(({ body, state, mechanism, mic }) =>
    reply({ state: der(0x0a, state), mechanism, token: der(4, ...bare({ body })), mic })
  ),
);

test("Kerberos' answer is one, bare and in SPNEGO, under both names of the mechanism", () => {
  fc.assert(fc.property(answer, (token) => assertEquals(is(token), true)));
});

test("What is shorter or longer than the answer by anything is none", () => {
  fc.assert(fc.property(answer, fc.nat(), body, (token, cut, more) => {
    assertEquals(is(token.slice(0, cut % token.length)), false);
    assertEquals(is([...token, 0, ...more]), false);
  }));
});

test("Bytes of no meaning are no answer and do no harm", () => {
  fc.assert(fc.property(fc.uint8Array(), (token) => assertEquals(isKerberosAnswer(token), false)));
  const shapes = fc.array(
    fc.constantFrom(...bare(), ...reply({ mechanism: KERBEROS }), 0x80, 0x81, 0x82, 0x84),
  );
  fc.assert(fc.property(shapes, (token) => assertEquals(is([...token, 0]), false)));
});

test("An error, which may ask for another ticket, is no answer", () => {
  for (const token of [bare({ id: KRB_ERROR, tag: 0x7e }), bare({ id: KRB_ERROR }), bare({ tag: 0x7e })]) {
    assertEquals([is(token), is(reply({ token: der(4, ...token) }))], [false, false]);
  }
});

test("Nothing else of a handshake is an answer", () => {
  const others = {
    request: bare({ id: AP_REQ, tag: 0x6e }),
    "another mechanism": bare({ mechanism: NTLM }),
    "bare message": der(0x6f, 1, 2, 3),
    "answer behind an answer": [...bare(), ...bare()],
    "answer in front of something": der(0x60, ...KERBEROS, ...AP_REP, ...der(0x6f, 1), 0),
    NTLM: [..."NTLMSSP\0\x02"].map((letter) => letter.charCodeAt(0)),
    nothing: [],
  };
  for (const [name, token] of Object.entries(others)) {
    assertEquals([is(token), is(reply({ token: der(4, ...token) }))], [false, false], name);
  }
});

test("SPNEGO's reply that settles on nothing, or on something else, is no answer", () => {
  const replies = {
    rejected: reply({ state: der(0x0a, 2) }),
    "wants a signature": reply({ state: der(0x0a, 3) }),
    "no state": der(0xa1, ...der(0x30, ...der(0xa2, ...der(4, ...bare())))),
    "two states": der(0xa1, ...der(0x30, ...der(0xa0, ...der(0x0a, 0)), ...reply({}).slice(4))),
    "a state of two bytes": reply({ state: der(0x0a, 0, 0) }),
    "no token": der(0xa1, ...der(0x30, ...der(0xa0, ...der(0x0a, 0)))),
    NTLM: reply({ mechanism: NTLM }),
    "a mechanism that is no name": reply({ mechanism: der(4, ...KERBEROS.slice(2)) }),
    "a token that is no octets": reply({ token: bare() }),
    "two tokens": der(
      0xa1,
      ...der(0x30, ...der(0xa0, ...der(0x0a, 0)), ...der(0xa2, ...der(4, ...bare())), ...der(0xa2, 4, 0)),
    ),
    "out of order": der(
      0xa1,
      ...der(0x30, ...der(0xa2, ...der(4, ...bare())), ...der(0xa0, ...der(0x0a, 0))),
    ),
    "an offer": der(0xa0, ...der(0x30, ...der(0xa0, ...der(0x0a, 0)), ...der(0xa2, ...der(4, ...bare())))),
  };
  for (const [name, token] of Object.entries(replies)) assertEquals(is(token), false, name);
});

test("Lengths are as short as they can be, and said", () => {
  const [, length, ...rest] = bare();
  assertEquals(is([0x60, length, ...rest]), true);
  for (
    const written of [[0x80], [0x81, length], [0x82, 0, length], [0x83, 0, 0, length], [
      0x84,
      0,
      0,
      0,
      length,
    ]]
  ) {
    assertEquals(is([0x60, ...written, ...rest]), false, written.join());
  }
});
