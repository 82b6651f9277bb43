/**
 * Recognises the mechanism of a client's first token.
 *
 * @module
 */

/** The mechanism of a first token; `other`: none of those known here. */
export type TokenKind = "spnego" | "kerberos" | "ntlm" | "other";

const NTLM = [0x4e, 0x54, 0x4c, 0x4d, 0x53, 0x53, 0x50, 0x00];
/** The object identifiers of RFC 4178 and RFC 4121, and Microsoft's older one of Kerberos, with their tags. */
const MECHANISMS: readonly (readonly [kind: TokenKind, bytes: readonly number[]])[] = [
  ["spnego", [0x06, 0x06, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x02]],
  ["kerberos", [0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 0x01, 0x02, 0x02]],
  ["kerberos", [0x06, 0x09, 0x2a, 0x86, 0x48, 0x82, 0xf7, 0x12, 0x01, 0x02, 0x02]],
];
/** The tag of an initial token's framing (RFC 2743). */
const INITIAL = 0x60;

/** Returns the mechanism that the framing of a client's first token names. The content is not checked. */
export function tokenKind(token: Uint8Array): TokenKind {
  if (startsWith(token, 0, NTLM)) return "ntlm";
  if (token[0] !== INITIAL) return "other";
  const at = token[1] > 0x80 ? 2 + (token[1] - 0x80) : 2;
  return MECHANISMS.find(([, bytes]) => startsWith(token, at, bytes))?.[0] ?? "other";
}

function startsWith(token: Uint8Array, at: number, bytes: readonly number[]): boolean {
  return bytes.every((byte, index) => token[at + index] === byte);
}
