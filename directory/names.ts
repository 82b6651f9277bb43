/**
 * Distinguished names (RFC 4514).
 *
 * @module
 */

import { messageText } from "../ffi/memory/text.ts";
import { checkText } from "./check.ts";
import { quoted } from "./results.ts";

/**
 * Escapes a value for a distinguished name, so that nothing in it has a meaning there (RFC 4514, 2.4). For a filter
 * nothing is escaped: its values are data.
 *
 * @throws TypeError where the value is not text, or contains a lone surrogate.
 *
 * @example
 * ```ts
 * import { escapeDn } from "@winsock/secure-sockets/directory";
 *
 * console.log(`CN=${escapeDn("Sales, EMEA")},DC=example,DC=test`);
 * // => CN=Sales\, EMEA,DC=example,DC=test
 * ```
 *
 * @see https://www.rfc-editor.org/rfc/rfc4514#section-2.4
 */
export function escapeDn(value: string): string {
  return checkText(value, "value")
    .replace(/["+,;<=>\\]/g, "\\$&")
    .replace(/\p{Cc}/gu, (character) => {
      const code = character.charCodeAt(0);
      return code < 0x80 ? `\\${code.toString(16).padStart(2, "0")}` : character;
    })
    .replace(/(?<=.) $/s, "\\ ")
    .replace(/^[ #]/, "\\$&");
}

/** One `type=value` of a distinguished name. */
export interface NamePart {
  /** The attribute's name, as written. */
  readonly type: string;
  /** The value, without escapes. */
  readonly value: string;
}

const HEX = /^[0-9a-fA-F]{2}/;

/**
 * The parts of a distinguished name, the object's own first. Parts with several values (`CN=a+UID=b`) give each of them.
 *
 * @throws TypeError where the text is not a distinguished name.
 */
export function parseDn(dn: string): NamePart[] {
  const parts: NamePart[] = [];
  let rest = checkText(dn, "dn");
  while (rest !== "") {
    const type = /^\s*([A-Za-z][A-Za-z0-9-]*|[0-9]+(?:\.[0-9]+)*)\s*=[ ]*/.exec(rest);
    if (!type) throw invalid(dn);
    rest = rest.slice(type[0].length);
    const bytes: number[] = [];
    const encoder = new TextEncoder();
    // Unescaped spaces at the end do not belong to the value.
    let kept = 0;
    let at = 0;
    for (; at < rest.length && !/[,;+]/.test(rest[at]);) {
      if (rest[at] !== "\\") {
        const character = String.fromCodePoint(rest.codePointAt(at)!);
        if (character === '"') throw invalid(dn);
        bytes.push(...encoder.encode(character));
        at += character.length;
        if (character !== " ") kept = bytes.length;
        continue;
      }
      const hex = HEX.exec(rest.slice(at + 1));
      if (hex) bytes.push(parseInt(hex[0], 16));
      else if (at + 1 < rest.length) bytes.push(...encoder.encode(rest[at + 1]));
      else throw invalid(dn);
      at += hex ? 3 : 2;
      kept = bytes.length;
    }
    parts.push({ type: type[1], value: messageText(Uint8Array.from(bytes.slice(0, kept))) });
    if (at === rest.length) break;
    rest = rest.slice(at + 1);
    if (rest === "") throw invalid(dn);
  }
  return parts;
}

function invalid(dn: string): TypeError {
  return new TypeError(
    `${quoted(dn)} is not a distinguished name, such as CN=web1,DC=example,DC=test`,
  );
}

/** The DNS name of the domain that a distinguished name lies in; empty where it names none. */
export function domainOf(dn: string): string {
  const parts = parseDn(dn);
  const last = parts.findLastIndex(({ type }) => type.toUpperCase() !== "DC");
  return parts.slice(last + 1).map(({ value }) => value.toLowerCase()).join(".");
}

/** The distinguished name of a domain: `DC=example,DC=test`. */
export function domainDn(domain: string): string {
  return domain.split(".").map((label) => `DC=${escapeDn(label)}`).join(",");
}
