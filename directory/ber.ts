/**
 * The BER of LDAP messages (RFC 4511, 5.1): elements, and whole messages out of a stream of bytes.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { ProtocolError } from "../errors.ts";

/** The longest message to take from a server. Active Directory's own limit for a request is 10 MiB. */
const MAX_MESSAGE = 64 * 1024 * 1024;
/** LDAP's deepest structure that a client receives has 6 levels. */
const MAX_DEPTH = 16;
const CONSTRUCTED = 0x20;
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
    const next = elementAt(bytes, at);
    if (next === null) throw malformed();
    found.push(next);
    at = next.end;
  }
  return found;
}

/** The element at `at`; `null` where the bytes end before it does. */
function elementAt(bytes: Uint8Array, at: number): Element | null {
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
  if (length > MAX_MESSAGE) throw oversized();
  const end = start + length;
  return end <= bytes.length ? { tag: bytes[at], content: bytes.subarray(start, end), end } : null;
}

/** Checks that every constructed element consists of whole elements, so that a decoder cannot run past one. */
function checkNested(bytes: Uint8Array, depth = 0): void {
  if (depth > MAX_DEPTH) throw malformed();
  for (const { tag, content } of elements(bytes)) {
    if ((tag & CONSTRUCTED) !== 0) checkNested(content, depth + 1);
  }
}

/** Cuts a stream of bytes into LDAP messages. */
export class MessageReader {
  #parts: Uint8Array[] = [];
  #size = 0;
  /** How many bytes the message takes whose beginning is here; 0: not known yet. */
  #wanted = 0;

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
      const message = elementAt(all, at);
      if (message === null) break;
      checkNested(message.content);
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

function malformed(): ProtocolError {
  return new ProtocolError(
    "malformed",
    "The server sent bytes that are not an LDAP message; the connection was ended. Check that its port is LDAP's, " +
      "and that TLS is used on 636 and 3269 only",
  );
}

function oversized(): ProtocolError {
  return new ProtocolError(
    "oversized",
    `The server sent a message of more than ${MAX_MESSAGE} bytes; the connection was ended. Ask for fewer ` +
      "attributes",
  );
}
