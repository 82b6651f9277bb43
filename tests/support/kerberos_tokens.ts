/** Tokens of Kerberos and SPNEGO, written byte by byte: valid and invalid ones. */

type Bytes = ArrayLike<number>;

const ascii = (text: string): Uint8Array => new TextEncoder().encode(text);

/** One DER element. */
export function der(tag: number, ...parts: Bytes[]): Uint8Array {
  const contents = concat(...parts);
  const { length } = contents;
  const size = length < 0x80
    ? [length]
    : length < 0x100
    ? [0x81, length]
    : [0x82, length >> 8, length & 0xff];
  return concat([tag, ...size], contents);
}

/** Concatenates bytes. */
export function concat(...parts: Bytes[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => Array.from(part)));
}

const sequence = (...parts: Bytes[]): Uint8Array => der(0x30, ...parts);
const field = (number: number, ...parts: Bytes[]): Uint8Array => der(0xa0 + number, ...parts);
const integer = (value: number): Uint8Array => der(0x02, [value]);
const generalString = (text: string | Bytes): Uint8Array =>
  der(0x1b, typeof text === "string" ? ascii(text) : text);

/** Object identifiers in DER. */
export const OID = {
  kerberos: [0x06, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 1, 2, 2],
  microsoft: [0x06, 9, 0x2a, 0x86, 0x48, 0x82, 0xf7, 0x12, 1, 2, 2],
  userToUser: [0x06, 10, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 1, 2, 2, 3],
  iakerb: [0x06, 6, 0x2b, 6, 1, 5, 2, 5],
  ntlm: [0x06, 10, 0x2b, 6, 1, 4, 1, 0x82, 0x37, 2, 2, 10],
  spnego: [0x06, 6, 0x2b, 6, 1, 5, 5, 2],
} as const;

/** A ticket for `parts` in `realm`, not encrypted. */
export function ticket(parts: readonly (string | Bytes)[], realm: string | Bytes): Uint8Array {
  const name = sequence(field(0, integer(2)), field(1, sequence(...parts.map(generalString))));
  const sealed = sequence(field(0, integer(18)), field(1, integer(1)), field(2, der(0x04, [1, 2, 3])));
  return der(
    0x61,
    sequence(field(0, integer(5)), field(1, generalString(realm)), field(2, name), field(3, sealed)),
  );
}

/** An AP-REQ with such a ticket. */
export function apReq(
  parts: readonly (string | Bytes)[],
  realm: string | Bytes = "EXAMPLE.TEST",
): Uint8Array {
  const sealed = sequence(field(0, integer(18)), field(2, der(0x04, new Uint8Array(300))));
  return der(
    0x6e,
    sequence(
      field(0, integer(5)),
      field(1, integer(14)),
      field(2, der(0x03, [0, 0x20, 0, 0, 0])),
      field(3, ticket(parts, realm)),
      field(4, sealed),
    ),
  );
}

/** RFC 2743, 3.1. */
export const framed = (oid: Bytes, ...inner: Bytes[]): Uint8Array => der(0x60, oid, ...inner);
/** A Kerberos token: framed, with RFC 4121's token identifier of an AP-REQ. */
export const kerberosToken = (request: Bytes, oid: Bytes = OID.kerberos, id: Bytes = [1, 0]): Uint8Array =>
  framed(oid, id, request);
/** A NegTokenInit that offers `mechanisms`, and contains `token` where one is given. */
export const negTokenInit = (mechanisms: readonly Bytes[], token?: Bytes): Uint8Array =>
  framed(
    OID.spnego,
    field(
      0,
      sequence(field(0, sequence(...mechanisms)), token === undefined ? [] : field(2, der(0x04, token))),
    ),
  );
/** A NegTokenResp that contains `token` and a signature over the list of mechanisms, where they are given. */
export const negTokenResp = (token?: Bytes, mic?: Bytes): Uint8Array =>
  field(
    1,
    sequence(
      field(0, der(0x0a, [1])),
      token === undefined ? [] : field(2, der(0x04, token)),
      mic === undefined ? [] : field(3, der(0x04, mic)),
    ),
  );

/** An AuthorizationData of these types and contents. */
export const authorizationData = (
  ...entries: readonly (readonly [type: number, data: Bytes])[]
): Uint8Array =>
  sequence(
    ...entries.map(([type, data]) =>
      sequence(
        field(0, der(0x02, type < 0x80 ? [type] : [type >> 8, type & 0xff])),
        field(1, der(0x04, data)),
      )
    ),
  );

/** A text as UTF-16, little-endian. */
export const utf16 = (text: string): Uint8Array =>
  Uint8Array.from([...Array(text.length).keys()].flatMap((at) => {
    const unit = text.charCodeAt(at);
    return [unit & 0xff, unit >> 8];
  }));
