/**
 * Which mechanism a client's first token is of.
 *
 * @module
 */

/** What a first token is of; `other`: a third party's, or nobody's. */
export type TokenKind = "spnego" | "kerberos" | "ntlm" | "other";

const NTLM = [0x4e, 0x54, 0x4c, 0x4d, 0x53, 0x53, 0x50, 0x00];
/** The object identifiers of RFC 4178 and RFC 4121, and Microsoft's older one of Kerberos, with their tags. */
const MECHANISMS: readonly (readonly [kind: TokenKind, bytes: readonly number[]])[] = [
  ["spnego", [0x06, 0x06, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x02]],
  ["kerberos", [0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 0x01, 0x02, 0x02]],
  ["kerberos", [0x06, 0x09, 0x2a, 0x86, 0x48, 0x82, 0xf7, 0x12, 0x01, 0x02, 0x02]],
];
/** The tag of RFC 2743's framing of an initial token. */
const INITIAL = 0x60;

/** Looks at the framing of a client's first token; what is in it is not judged. */
export function tokenKind(token: Uint8Array): TokenKind {
  if (startsWith(token, 0, NTLM)) return "ntlm";
  if (token[0] !== INITIAL) return "other";
  const at = token[1] > 0x80 ? 2 + (token[1] - 0x80) : 2;
  return MECHANISMS.find(([, bytes]) => startsWith(token, at, bytes))?.[0] ?? "other";
}

function startsWith(token: Uint8Array, at: number, bytes: readonly number[]): boolean {
  return bytes.every((byte, index) => token[at + index] === byte);
}
