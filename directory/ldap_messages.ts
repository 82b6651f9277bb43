/**
 * Reads the messages of an LDAP server (RFC 4511, 4). Each has exactly the form of its kind, or is refused: what is cut
 * short must not be taken for success, nor for the end of a search.
 *
 * @module
 */

import { messageText, nameText } from "../ffi/memory/text.ts";
import { type Element, elements, integerOf, malformed } from "./ber.ts";
import type { RawAttribute } from "./entries.ts";
import type { Result } from "./results.ts";

const [SEQUENCE, SET, INTEGER, OCTET_STRING, ENUMERATED] = [0x30, 0x31, 0x02, 0x04, 0x0a];
/** The tags of answers. */
export const [ENTRY, REFERENCE, EXTENDED] = [0x64, 0x73, 0x78];
const CONTROLS = 0xa0;
const PAGED_RESULTS = "1.2.840.113556.1.4.319";

/** A message, before its operation is read. */
export interface Message {
  /** The number of the request that it answers; 0 where the server speaks unasked. */
  readonly id: number;
  /** What it is. */
  readonly operation: Element;
  /** The controls, where there are some. */
  readonly controls?: Element;
}

/** An object, as a message holds it. */
export interface RawEntry {
  /** Its distinguished name. */
  readonly dn: string;
  /** Its attributes. */
  readonly attributes: readonly RawAttribute[];
}

/** Reads the frame of a whole message. @throws ProtocolError where it has another form; so do the other functions. */
export function readMessage(bytes: Uint8Array): Message {
  const [message] = elements(bytes);
  const [id, operation, controls, ...more] = elements(message.content);
  if (operation === undefined || more.length > 0) throw malformed();
  return { id: integerOf(id, INTEGER), operation, controls };
}

/** Reads a result, and what follows it: a referral, or what its kind adds. */
export function readResult({ content }: Element): Result & { readonly rest: readonly Element[] } {
  const [code, matched, words, ...rest] = elements(content);
  octets(matched);
  return { status: integerOf(code, ENUMERATED), errorMessage: messageText(octets(words)), rest };
}

/** Reads an object. Its values are copied: a view would keep the page that it came with. */
export function readEntry({ content }: Element): RawEntry {
  const [dn, list, ...more] = elements(content);
  if (list?.tag !== SEQUENCE || more.length > 0) throw malformed();
  const attributes = elements(list.content).map(({ tag, content }) => {
    const [type, values] = elements(content);
    if (tag !== SEQUENCE || values?.tag !== SET) throw malformed();
    return {
      type: textOf(type),
      values: elements(values.content).map((value) => new Uint8Array(octets(value))),
    };
  });
  return { dn: textOf(dn), attributes };
}

/** Reads where a search goes on. */
export function readReference({ content }: Element): string[] {
  return elements(content).map(textOf);
}

/** The cookie of the control of paged results: empty where that was the last page, `null` where there is no control. */
export function readCookie(controls: Element | undefined): Uint8Array | null {
  if (controls === undefined) return null;
  if (controls.tag !== CONTROLS) throw malformed();
  for (const { content } of elements(controls.content)) {
    const [type, ...parts] = elements(content);
    if (textOf(type) !== PAGED_RESULTS) continue;
    const [value] = elements(octets(parts.at(-1)));
    if (value?.tag !== SEQUENCE) throw malformed();
    const [size, cookie] = elements(value.content);
    integerOf(size, INTEGER);
    return new Uint8Array(octets(cookie));
  }
  return null;
}

function octets(element: Element | undefined): Uint8Array {
  if (element?.tag !== OCTET_STRING) throw malformed();
  return element.content;
}

function textOf(element: Element | undefined): string {
  try {
    return nameText(octets(element));
  } catch (cause) {
    throw malformed(cause);
  }
}
