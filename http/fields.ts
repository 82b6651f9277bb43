/**
 * The header fields of HTTP authentication (RFC 9110, section 11): lists of challenges in WWW-Authenticate and
 * Proxy-Authenticate, and credentials in Authorization and Proxy-Authorization. What does not follow the grammar is
 * refused, never repaired.
 *
 * @module
 */

import { ProtocolError } from "../errors.ts";

/** The longest token of a security context, in bytes. */
export const MAX_TOKEN_BYTES = 0xffff;
/** The longest field value that is read, in characters: more than the longest token in base64. */
const MAX_FIELD = 128 * 1024;

const TOKEN = /[!#$%&'*+\-.^_`|~0-9A-Za-z]+/y;
/** Only where the whole list element ends after it; otherwise it is the start of a parameter. */
const TOKEN68 = /([A-Za-z0-9\-._~+/]+=*)(?=[ \t]*(?:,|$))/y;
const QUOTED = /"((?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t \x21-\x7e\x80-\xff])*)"/y;
const SPACE = /[ \t]*/y;
const SEPARATOR = /[ \t]*(?:,[ \t]*)+/y;
const TO_THE_END = /[ \t]*$/y;
const EQUALS = /[ \t]*=[ \t]*/y;
/** A scheme and what follows. Its sender has not signed on yet: no part is read twice, however long it is. */
const CREDENTIALS = /^[ \t]*([!#$%&'*+\-.^_`|~0-9A-Za-z]+)( .*|[ \t]*)$/;
const ONE_TOKEN68 = /^ +([A-Za-z0-9\-._~+/]+=*)[ \t]*$/;
/** The last character before the padding has no bits beyond the last byte, which would be dropped silently. */
const BASE64 =
  /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{4}|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=|[A-Za-z0-9+/][AQgw]==)$/;
/** How many arguments a call of `String.fromCharCode` is given. */
const CHUNK = 0x2000;

/** One challenge of a server or a proxy. */
export interface Challenge {
  /** The authentication scheme in lower case: `negotiate`. */
  readonly scheme: string;
  /** The token68 after the scheme; `null` if there is none. */
  readonly token: string | null;
  /** The parameters by their names in lower case; empty where there is a token. */
  readonly parameters: ReadonlyMap<string, string>;
}

/** The content of Authorization or Proxy-Authorization. */
export interface FieldCredentials {
  /** The authentication scheme in lower case. */
  readonly scheme: string;
  /** The token68 after the scheme; `null` if something else follows, such as the parameters of another scheme. */
  readonly token: string | null;
}

/**
 * Reads the challenges of WWW-Authenticate or Proxy-Authenticate.
 *
 * @param field the value: one line, several lines joined by commas, or a list of lines. `null`: no challenge.
 * @throws ProtocolError if it does not follow the grammar of RFC 9110, section 11.6.1, or is too long.
 */
export function parseChallenges(field: string | readonly string[] | null | undefined): Challenge[] {
  if (field === null || field === undefined) return [];
  const text = typeof field === "string" ? field : field.join(", ");
  refuseLong(text);
  const reader = new Reader(text);
  const challenges: Challenge[] = [];
  reader.take(SEPARATOR);
  for (reader.take(SPACE); !reader.atEnd(); reader.take(SPACE)) {
    challenges.push(challenge(reader));
    if (reader.take(SEPARATOR) === null && reader.take(TO_THE_END) === null) throw malformed();
  }
  return challenges;
}

/**
 * The one challenge of a scheme.
 *
 * @param scheme in lower case.
 * @returns its token, in base64 and unchecked; `null` if the scheme is offered without one; `undefined` if it is not
 * offered.
 * @throws ProtocolError if there are several with a token among them, or parameters: which of them counts would be a
 * guess.
 */
export function tokenOf(challenges: readonly Challenge[], scheme: string): string | null | undefined {
  const own = challenges.filter((challenge) => challenge.scheme === scheme);
  const tokens = own.filter(({ token }) => token !== null);
  if (tokens.length > 0 && own.length > 1) {
    throw new ProtocolError(
      "unexpected-message",
      `The answer has several ${scheme} challenges; one was expected`,
    );
  }
  if (own.some(({ parameters }) => parameters.size > 0)) throw malformed();
  return own.length === 0 ? undefined : own[0].token;
}

/**
 * Reads Authorization or Proxy-Authorization.
 *
 * @throws ProtocolError if the value does not begin with a scheme, or is too long. Of several lines joined by commas
 * `token` is `null`.
 */
export function parseCredentials(field: string): FieldCredentials {
  refuseLong(field);
  const match = CREDENTIALS.exec(field);
  if (match === null) throw malformed();
  const [, scheme, rest] = match;
  return { scheme: scheme.toLowerCase(), token: ONE_TOKEN68.exec(rest)?.[1] ?? null };
}

/**
 * Decodes a token: base64 in the alphabet of RFC 4648, section 4, with padding and without other bits in it.
 *
 * @throws ProtocolError for every other text, and for a token of more than `maxBytes`.
 */
export function decodeToken(text: string, maxBytes: number = MAX_TOKEN_BYTES): Uint8Array {
  if (text.length > Math.ceil(maxBytes / 3) * 4) throw oversized(`token of more than ${maxBytes} bytes`);
  if (!BASE64.test(text)) throw notBase64();
  const units = atob(text);
  const bytes = new Uint8Array(units.length);
  for (let at = 0; at < bytes.length; at++) bytes[at] = units.charCodeAt(at);
  if (bytes.length > maxBytes) throw oversized(`token of more than ${maxBytes} bytes`);
  return bytes;
}

/** Formats a challenge, or credentials: `Negotiate YII...`; without a token the scheme alone. */
export function formatToken(scheme: string, token?: Uint8Array | null): string {
  return token === null || token === undefined ? scheme : `${scheme} ${encodeBase64(token)}`;
}

function encodeBase64(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; at += CHUNK) {
    text += String.fromCharCode(...bytes.subarray(at, at + CHUNK));
  }
  return btoa(text);
}

/** Where the parser is in the text. */
class Reader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  atEnd(): boolean {
    return this.#at === this.#text.length;
  }

  /** Moves beyond what `pattern` matches here, and returns it: its group, or all; `null` if it does not match. */
  take(pattern: RegExp): string | null {
    pattern.lastIndex = this.#at;
    const match = pattern.exec(this.#text);
    if (match === null) return null;
    this.#at = pattern.lastIndex;
    return match[1] ?? match[0];
  }

  /** Moves beyond `patterns` if all of them match one after the other; otherwise it stays. */
  takeAll(...patterns: readonly RegExp[]): readonly string[] | null {
    const start = this.#at;
    const taken: string[] = [];
    for (const pattern of patterns) {
      const part = this.take(pattern);
      if (part === null) {
        this.#at = start;
        return null;
      }
      taken.push(part);
    }
    return taken;
  }
}

function challenge(reader: Reader): Challenge {
  const scheme = reader.take(TOKEN)?.toLowerCase();
  if (scheme === undefined) throw malformed();
  const parameters = new Map<string, string>();
  const space = reader.take(SPACE)!;
  if (space === "") return { scheme, token: null, parameters };
  const token = reader.take(TOKEN68);
  if (token !== null) return { scheme, token, parameters };
  // After a comma, a name without "=" is the next scheme.
  for (let found = reader.takeAll(TOKEN, EQUALS); found !== null;) {
    const name = found[0].toLowerCase();
    const quoted = reader.take(QUOTED);
    const value = quoted === null ? reader.take(TOKEN) : quoted.replace(/\\(.)/g, "$1");
    if (value === null || parameters.has(name)) throw malformed();
    parameters.set(name, value);
    found = reader.takeAll(SEPARATOR, TOKEN, EQUALS)?.slice(1) ?? null;
  }
  return { scheme, token, parameters };
}

function refuseLong(text: string): void {
  if (text.length > MAX_FIELD) {
    throw oversized(`header field of ${text.length} characters; the limit is ${MAX_FIELD}`);
  }
}

function oversized(what: string): ProtocolError {
  return new ProtocolError("oversized", `The peer sent a ${what}; it is not read`);
}

function malformed(): ProtocolError {
  return new ProtocolError(
    "malformed",
    "The peer's authentication header does not follow RFC 9110, section 11",
  );
}

function notBase64(): ProtocolError {
  return new ProtocolError(
    "malformed",
    "The peer's token is not base64 with its padding (RFC 4648, section 4)",
  );
}
