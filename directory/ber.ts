/**
 * The BER of LDAP messages (RFC 4511, 5.1): elements, and whole messages out of a stream of bytes.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { ProtocolError } from "../errors.ts";

/** The longest message to take from a server. Active Directory's own limit for a request is 10 MiB. */
const MAX_MESSAGE = 64 * 1024 * 1024;
/** The most elements of one list. Active Directory returns at most 5,000 values at a time. */
const MAX_ELEMENTS = 1_000_000;
const SEQUENCE = 0x30;

/** One element. */
export interface Element {
  /** Its tag, one byte. */
  readonly tag: number;
  /** Its content: a view. */
  readonly content: Uint8Array;
  /** Where the next element begins. */
  readonly end: number;
}

/** Writes an element. */
export function element(tag: number, ...content: readonly Uint8Array[]): Uint8Array {
  const body = Buffer.concat(content);
  if (body.length < 0x80) return Buffer.concat([Uint8Array.of(tag, body.length), body]);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(body.length);
  const from = length.findIndex((byte) => byte !== 0);
  return Buffer.concat([Uint8Array.of(tag, 0x80 + 4 - from), length.subarray(from), body]);
}

/** The elements that `bytes` consist of. @throws ProtocolError where they do not consist of elements. */
export function elements(bytes: Uint8Array): Element[] {
  const found: Element[] = [];
  for (let at = 0; at < bytes.length;) {
    const next = elementAt(bytes, at, MAX_MESSAGE);
    if (next === null) throw malformed();
    if (found.push(next) > MAX_ELEMENTS) {
      throw new ProtocolError(
        "oversized",
        `The server sent more than ${MAX_ELEMENTS} values in one message; the connection was ended. Ask for fewer ` +
          "by valuesPerRequest",
      );
    }
    at = next.end;
  }
  return found;
}

/** The element at `at`; `null` where the bytes end before it does. */
function elementAt(bytes: Uint8Array, at: number, most: number): Element | null {
  let length = bytes[at + 1];
  let start = at + 2;
  if (length >= 0x80) {
    const count = length - 0x80;
    // 0x80 is the indefinite form, which LDAP excludes.
    if (count < 1 || count > 4) throw malformed();
    length = 0;
    for (let index = 0; index < count; index++) length = length * 256 + bytes[start + index];
    start += count;
  }
  // Where the bytes end within the length, it is undefined or NaN here.
  if (length > most) throw oversized(most);
  const end = start + length;
  return end <= bytes.length ? { tag: bytes[at], content: bytes.subarray(start, end), end } : null;
}

/** A whole number that is not negative. @throws ProtocolError where the element is none, or of another tag. */
export function integerOf(element: Element | undefined, tag: number): number {
  const content = element?.tag === tag ? element.content : new Uint8Array();
  if (content.length < 1 || content.length > 4 || content[0] >= 0x80) throw malformed();
  return content.reduce((value, byte) => value * 256 + byte, 0);
}

/** Cuts a stream of bytes into LDAP messages. */
export class MessageReader {
  readonly #most: number;
  #parts: Uint8Array[] = [];
  #size = 0;
  /** How many bytes the message takes whose beginning is here; 0: not known yet. */
  #wanted = 0;

  /** Takes messages of at most `most` bytes. */
  constructor(most: number = MAX_MESSAGE) {
    this.#most = most;
  }

  /** The bytes that belong to a message that is not whole yet. */
  get pending(): number {
    return this.#size;
  }

  /** Takes the next bytes and returns the messages that are whole now. @throws ProtocolError where they are not LDAP. */
  push(bytes: Uint8Array): Uint8Array[] {
    this.#parts.push(bytes);
    this.#size += bytes.length;
    // Nothing is copied before a message can be whole.
    if (this.#size < this.#wanted) return [];
    const all = this.#parts.length === 1 ? this.#parts[0] : Buffer.concat(this.#parts);
    const messages: Uint8Array[] = [];
    let at = 0;
    for (; at < all.length;) {
      if (all[at] !== SEQUENCE) throw malformed();
      const message = elementAt(all, at, this.#most);
      if (message === null) break;
      messages.push(all.subarray(at, message.end));
      at = message.end;
    }
    const rest = all.subarray(at);
    this.#parts = rest.length === 0 ? [] : [rest];
    this.#size = rest.length;
    this.#wanted = wholeSize(rest);
    return messages;
  }

  /** Gives back what has arrived of the next message. */
  rest(): Uint8Array {
    return Buffer.concat(this.#parts);
  }
}

/** The size of the message that begins with `bytes`; 0 where its length has not arrived. */
function wholeSize(bytes: Uint8Array): number {
  const first = bytes[1];
  if (first === undefined) return 0;
  if (first < 0x80) return 2 + first;
  const count = first - 0x80;
  if (bytes.length < 2 + count) return 0;
  return bytes.subarray(2, 2 + count).reduce((length, byte) => length * 256 + byte, 0) + 2 + count;
}

/** The error for bytes that are not LDAP. */
export function malformed(cause?: unknown): ProtocolError {
  return new ProtocolError(
    "malformed",
    "The server sent bytes that are not an LDAP message; the connection was ended. Check that its port is LDAP's, " +
      "and that TLS is used on 636 and 3269 only",
    { cause },
  );
}

function oversized(most: number): ProtocolError {
  return new ProtocolError(
    "oversized",
    `The server sent a message of more than ${most} bytes${
      most < MAX_MESSAGE ? " before it was authenticated" : ""
    }; the connection was ended. ` +
      (most < MAX_MESSAGE ? "Check that it is a directory server" : "Ask for fewer attributes"),
  );
}
