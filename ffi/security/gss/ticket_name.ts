/**
 * Reads the target that a Kerberos client requested from its tokens: the ticket of an AP-REQ contains realm and
 * service name in clear text. libgssapi itself names the key table's entry that decrypted the ticket. That is a
 * different name where several names share a key, as the names of every Active Directory account do.
 *
 * Nothing in a ticket protects this name: a client that has a ticket for one name of an account can write any other
 * of its names there. Windows clients repeat the name inside the authenticator, which is protected ({@linkcode
 * clientTargets}).
 *
 * @see https://www.rfc-editor.org/rfc/rfc4120#section-5.3 Ticket; 5.5.1 AP-REQ
 * @see https://www.rfc-editor.org/rfc/rfc4178#section-4.2 NegTokenInit and NegTokenResp
 * @module
 */

import { nameText } from "../../memory/text.ts";

/** The longest name that is read, in bytes: providers must not report a longer one. */
const MAX_NAME_BYTES = 1024;

const SEQUENCE = 0x30;
const INTEGER = 0x02;
const OCTET_STRING = 0x04;
const OID = 0x06;
const GENERAL_STRING = 0x1b;
/** `[n]`, constructed. */
const FIELD = 0xa0;
const TICKET = 0x61;
const AP_REQ = 0x6e;
const FRAMED = 0x60;
const NEG_TOKEN_RESP = 0xa1;
const TOK_AP_REQ = 0x0100;
const AD_IF_RELEVANT = 1;
const AD_TARGET_PRINCIPAL = 144;

const SPNEGO = [0x2b, 6, 1, 5, 5, 2];
/**
 * The OIDs that MIT's acceptor accepts as Kerberos: RFC 4121's, Microsoft's, the one before RFC 1964, and IAKERB's.
 */
const KERBEROS = [
  [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 1, 2, 2],
  [0x2a, 0x86, 0x48, 0x82, 0xf7, 0x12, 1, 2, 2],
  [0x2b, 5, 1, 5, 2],
  [0x2b, 6, 1, 5, 2, 5],
];

/** The bytes are not DER, or not the expected element. */
class Malformed extends Error {}

/** The clear-text part of a ticket; it is not authenticated. */
export interface Ticket {
  /** The service it is for, as libkrb5 writes a principal. */
  readonly name: string;
  /** The encryption type of the key that encrypts it. */
  readonly enctype: number;
}

/** The target that one client's tokens request. */
export class TicketName {
  /** The tokens that were not read yet: most servers ask for the name once, or never. */
  #tokens: Uint8Array[] = [];
  #ticket: Ticket | null = null;
  #readable = true;

  /** Takes a client's token, which must not change any more. Called with each token. */
  add(token: Uint8Array): void {
    this.#tokens.push(token);
  }

  /** The clear-text part of the ticket; `null` where no token had a ticket, one could not be read, or two differ. */
  get ticket(): Ticket | null {
    for (const token of this.#tokens.splice(0)) this.#read(token);
    return this.#readable ? this.#ticket : null;
  }

  #read(token: Uint8Array): void {
    try {
      const ticket = ticketIn(token);
      if (ticket === null) return;
      const { name, enctype } = this.#ticket ??= ticket;
      // Which of two tickets the library uses is not known here.
      if (name !== ticket.name || enctype !== ticket.enctype) this.#readable = false;
    } catch {
      this.#readable = false;
    }
  }
}

/**
 * Returns the targets that a Windows client wrote into its authenticator (authorization data of type 144), from the
 * contents of an AD-IF-RELEVANT; `null` where they cannot be read.
 */
export function clientTargets(ifRelevant: Uint8Array): string[] | null {
  try {
    return targetsIn(ifRelevant, 0);
  } catch {
    return null;
  }
}

function targetsIn(authorizationData: Uint8Array, depth: number): string[] {
  if (depth > 4) throw new Malformed();
  return elements(only(authorizationData, SEQUENCE)).flatMap(({ tag, contents }) => {
    if (tag !== SEQUENCE) throw new Malformed();
    const entry = fields(contents);
    const type = integer(field(entry, 0));
    const data = only(field(entry, 1), OCTET_STRING);
    if (type === AD_IF_RELEVANT) return targetsIn(data, depth + 1);
    return type === AD_TARGET_PRINCIPAL ? [utf16(data)] : [];
  });
}

function utf16(bytes: Uint8Array): string {
  return new TextDecoder("utf-16le", { fatal: true, ignoreBOM: true }).decode(bytes);
}

/** Returns the ticket in a token; `null` where it has none; throws where it cannot be read. */
function ticketIn(token: Uint8Array): Ticket | null {
  if (token[0] !== FRAMED) {
    return token[0] === NEG_TOKEN_RESP
      ? inNegotiation(fieldsOf(only(token, NEG_TOKEN_RESP)))
      : inMechanism(token);
  }
  const { oid, inner } = unframe(token);
  if (!isSame(oid, SPNEGO)) return inMechanism(token);
  return inNegotiation(fieldsOf(only(inner, FIELD)));
}

/** The mechanism's token is field 2 both of a NegTokenInit (mechToken) and of a NegTokenResp (responseToken). */
function inNegotiation(message: Map<number, Uint8Array>): Ticket | null {
  const token = message.get(2);
  return token === undefined ? null : inMechanism(only(token, OCTET_STRING));
}

function inMechanism(token: Uint8Array): Ticket | null {
  if (token[0] === AP_REQ) return inApReq(token);
  // A mechanism whose tokens are not ASN.1, such as NTLM; Kerberos accepts only these two forms.
  if (token[0] !== FRAMED) return null;
  const { oid, inner } = unframe(token);
  if (!KERBEROS.some((known) => isSame(oid, known))) return null;
  if (inner.length < 2 || (inner[0] << 8 | inner[1]) !== TOK_AP_REQ) throw new Malformed();
  return inApReq(inner.subarray(2));
}

function inApReq(bytes: Uint8Array): Ticket {
  const request = fieldsOf(only(bytes, AP_REQ));
  if (integer(field(request, 0)) !== 5 || integer(field(request, 1)) !== 14) throw new Malformed();
  const ticket = fieldsOf(only(field(request, 3), TICKET));
  if (integer(field(ticket, 0)) !== 5) throw new Malformed();
  const realm = only(field(ticket, 1), GENERAL_STRING);
  const name = fieldsOf(field(ticket, 2));
  const parts = elements(only(field(name, 1), SEQUENCE));
  const size = parts.reduce((sum, { contents }) => sum + contents.length + 1, realm.length);
  if (parts.length === 0 || realm.length === 0 || size > MAX_NAME_BYTES) throw new Malformed();
  const texts = parts.map(({ tag, contents }) => {
    if (tag !== GENERAL_STRING) throw new Malformed();
    return escaped(contents);
  });
  const enctype = integer(field(fieldsOf(field(ticket, 3)), 0));
  return { name: `${texts.join("/")}@${escaped(realm)}`, enctype };
}

const ESCAPES: { readonly [character: string]: string } = {
  "\n": "\\n",
  "\t": "\\t",
  "\b": "\\b",
  "\0": "\\0",
};

/** A component of a principal's name as libkrb5 writes it: `/`, `@` and `\` in it are escaped. */
function escaped(part: Uint8Array): string {
  return nameText(part).replace(/[/@\\\n\t\b\0]/g, (character) => ESCAPES[character] ?? `\\${character}`);
}

interface Element {
  readonly tag: number;
  readonly contents: Uint8Array;
}

/** Returns the elements of these bytes, up to the last byte: DER, with tags of one byte. */
function elements(bytes: Uint8Array): Element[] {
  const found: Element[] = [];
  for (let at = 0; at < bytes.length;) {
    const tag = bytes[at++];
    let length = bytes[at++];
    if ((tag & 0x1f) === 0x1f || length === undefined) throw new Malformed();
    if (length >= 0x80) {
      const size = length & 0x7f;
      // A token has 65,535 bytes at most.
      if (size < 1 || size > 2 || at + size > bytes.length) throw new Malformed();
      length = size === 1 ? bytes[at] : bytes[at] << 8 | bytes[at + 1];
      if (length < (size === 1 ? 0x80 : 0x100)) throw new Malformed();
      at += size;
    }
    if (length > bytes.length - at) throw new Malformed();
    found.push({ tag, contents: bytes.subarray(at, at += length) });
  }
  return found;
}

/** Returns the contents of the single element of these bytes. */
function only(bytes: Uint8Array, tag: number): Uint8Array {
  const [element, ...rest] = elements(bytes);
  if (element?.tag !== tag || rest.length > 0) throw new Malformed();
  return element.contents;
}

/** Returns the fields `[n]` of a SEQUENCE's contents, which must be in order, each once. */
function fields(contents: Uint8Array): Map<number, Uint8Array> {
  const found = new Map<number, Uint8Array>();
  let last = -1;
  for (const { tag, contents: value } of elements(contents)) {
    const number = tag - FIELD;
    if (number <= last || number > 0x1e) throw new Malformed();
    found.set(last = number, value);
  }
  return found;
}

function fieldsOf(bytes: Uint8Array): Map<number, Uint8Array> {
  return fields(only(bytes, SEQUENCE));
}

function field(found: Map<number, Uint8Array>, number: number): Uint8Array {
  const value = found.get(number);
  if (value === undefined) throw new Malformed();
  return value;
}

/** An INTEGER of at most four bytes. */
function integer(bytes: Uint8Array): number {
  const contents = only(bytes, INTEGER);
  if (contents.length === 0 || contents.length > 4) throw new Malformed();
  return contents.reduce((value, byte) => value << 8 | byte, contents[0] & 0x80 ? -1 : 0);
}

/** RFC 2743, 3.1: returns a mechanism's OID, and the bytes after it. */
function unframe(token: Uint8Array): { readonly oid: Uint8Array; readonly inner: Uint8Array } {
  const contents = only(token, FRAMED);
  const length = contents[1];
  if (contents[0] !== OID || length === undefined || length >= 0x80 || 2 + length > contents.length) {
    throw new Malformed();
  }
  return { oid: contents.subarray(2, 2 + length), inner: contents.subarray(2 + length) };
}

function isSame(oid: Uint8Array, known: readonly number[]): boolean {
  return oid.length === known.length && known.every((byte, index) => oid[index] === byte);
}
