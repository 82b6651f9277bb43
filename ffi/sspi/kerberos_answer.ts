/**
 * Tells the server's answer of Kerberos from every other token: what a client does with it asks nobody.
 *
 * @see https://www.rfc-editor.org/rfc/rfc4120#section-3.2.5
 * @see https://www.rfc-editor.org/rfc/rfc4121#section-4.1
 * @see https://www.rfc-editor.org/rfc/rfc4178#section-4.2.2
 * @module
 */

/** 1.2.840.113554.1.2.2, which RFC 4121 names. */
const KERBEROS = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 0x01, 0x02, 0x02];
/** 1.2.840.48018.1.2.2, as which Windows 2000 wrote it, and everybody since. */
const MS_KERBEROS = [0x2a, 0x86, 0x48, 0x82, 0xf7, 0x12, 0x01, 0x02, 0x02];
/** TOK_ID of KRB_AP_REP; that of KRB_ERROR, which may send the client to a Kerberos server again, is 03 00. */
const AP_REP_ID = [0x02, 0x00];

const TAG = {
  octets: 0x04,
  oid: 0x06,
  enumerated: 0x0a,
  sequence: 0x30,
  /** `[APPLICATION 0]`, InitialContextToken of RFC 2743. */
  gss: 0x60,
  /** `[APPLICATION 15]`, AP-REP. */
  apRep: 0x6f,
  negState: 0xa0,
  supportedMech: 0xa1,
  responseToken: 0xa2,
  mechListMic: 0xa3,
  /** NegTokenResp, as negotiation's choice. */
  response: 0xa1,
} as const;

/** accept-completed and accept-incomplete. */
const ACCEPTING = [0, 1];

/**
 * Whether a token is an AP-REP and nothing else, bare or as SPNEGO's answer. Checked whole and strictly: what is only
 * nearly one is none.
 */
export function isKerberosAnswer(token: Uint8Array): boolean {
  return isApRep(spnegoResponse(token) ?? token);
}

/** The mechanism's token in a NegTokenResp that settles on Kerberos; `null` where it is none. */
function spnegoResponse(token: Uint8Array): Uint8Array | null {
  const fields = whole(whole(token, TAG.response), TAG.sequence);
  if (fields === null) return null;
  const rest = new Fields(fields);
  const state = whole(rest.next(TAG.negState), TAG.enumerated);
  const mechanism = rest.next(TAG.supportedMech);
  const response = whole(rest.next(TAG.responseToken), TAG.octets);
  rest.next(TAG.mechListMic);
  if (!rest.ended || state?.length !== 1 || !ACCEPTING.includes(state[0])) return null;
  const named = mechanism === null ? null : whole(mechanism, TAG.oid);
  if (mechanism !== null && !equal(named, KERBEROS) && !equal(named, MS_KERBEROS)) return null;
  return response;
}

function isApRep(token: Uint8Array): boolean {
  const inside = whole(token, TAG.gss);
  if (inside === null) return false;
  const rest = new Fields(inside);
  return equal(rest.next(TAG.oid), KERBEROS) && equal(rest.take(AP_REP_ID.length), AP_REP_ID) &&
    rest.next(TAG.apRep) !== null && rest.ended;
}

/** DER elements, one behind the other. */
class Fields {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** Whether nothing is left. */
  get ended(): boolean {
    return this.#at === this.#bytes.length;
  }

  /** The content of the next element where it has this tag; else `null`, and it stays the next. */
  next(tag: number): Uint8Array | null {
    const rest = this.#bytes.subarray(this.#at);
    const found = rest[0] === tag ? extent(rest) : null;
    if (found === null) return null;
    this.#at += found.end;
    return rest.subarray(found.start, found.end);
  }

  /** The next bytes, whatever they are. */
  take(count: number): Uint8Array {
    return this.#bytes.subarray(this.#at, this.#at += Math.min(count, this.#bytes.length - this.#at));
  }
}

/** The content of the one element that `bytes` is; `null` where it is not that element, or more than it. */
function whole(bytes: Uint8Array | null, tag: number): Uint8Array | null {
  if (bytes === null) return null;
  const rest = new Fields(bytes);
  const content = rest.next(tag);
  return rest.ended ? content : null;
}

/** Where the content of the element in front begins and ends; `null` where its length is not DER or is too much. */
function extent(bytes: Uint8Array): { readonly start: number; readonly end: number } | null {
  let length = bytes[1];
  let start = 2;
  if (length === undefined || length === 0x80) return null;
  if (length > 0x80) {
    const digits = bytes.subarray(2, start += length & 0x7f);
    // A token has 64 KiB at most.
    if (digits.length !== (length & 0x7f) || digits.length > 2) return null;
    length = digits.reduce((sum, digit) => sum * 256 + digit, 0);
    if (length < 0x80 || digits[0] === 0) return null;
  }
  const end = start + length;
  return end <= bytes.length ? { start, end } : null;
}

function equal(bytes: Uint8Array | null, expected: readonly number[]): boolean {
  return bytes?.length === expected.length && expected.every((byte, index) => bytes[index] === byte);
}
