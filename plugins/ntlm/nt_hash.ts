/**
 * The NT hash of a password, which an application keeps for each account and `ntlm({ accounts })` needs.
 *
 * @module
 */

/** The rotations of the three rounds of MD4 (RFC 1320), and the constants they add. */
const TURNS = [[3, 7, 11, 19], [3, 5, 9, 13], [3, 9, 11, 15]];
const CONSTANTS = [0, 0x5a827999, 0x6ed9eba1];
/** The order in which the third round uses the words. */
const THIRD = [0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15];

/**
 * Computes the NT hash of `password`: MD4 over its UTF-16, 16 bytes. The caller zeroes it.
 *
 * A peer that has the hash can authenticate as the account, just as with the password: protect it like a password.
 * It is not salted, so equal passwords have equal hashes.
 *
 * @example
 * ```ts
 * import { ntHash } from "@winsock/secure-sockets/plugins";
 *
 * const alice = ntHash("correct horse battery staple");
 * ```
 *
 * @throws TypeError if `password` is not a string, or contains a lone surrogate.
 */
export function ntHash(password: string): Uint8Array {
  if (typeof password !== "string") throw new TypeError("password must be a string");
  if (!password.isWellFormed()) {
    throw new TypeError(
      "password holds half of a surrogate pair, which no keyboard types; check where it is from",
    );
  }
  const bits = password.length * 16;
  const padded = new Uint8Array(((bits + 64 >>> 9) + 1) * 64);
  const view = new DataView(padded.buffer);
  for (let i = 0; i < password.length; i++) view.setUint16(i * 2, password.charCodeAt(i), true);
  padded[password.length * 2] = 0x80;
  view.setBigUint64(padded.length - 8, BigInt(bits), true);
  const state = Uint32Array.of(0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476);
  for (let at = 0; at < padded.length; at += 64) block(state, view, at);
  padded.fill(0);
  const hash = new Uint8Array(16), out = new DataView(hash.buffer);
  state.forEach((value, i) => out.setUint32(i * 4, value, true));
  state.fill(0);
  return hash;
}

/** Processes one block of 64 bytes. */
function block(state: Uint32Array, view: DataView, at: number): void {
  let [a, b, c, d] = state;
  for (let i = 0; i < 48; i++) {
    const round = i >> 4, step = i & 15;
    const index = round === 0 ? step : round === 1 ? (step & 3) * 4 + (step >> 2) : THIRD[step];
    const mixed = round === 0 ? (b & c) | (~b & d) : round === 1 ? (b & c) | (b & d) | (c & d) : b ^ c ^ d;
    const sum = a + mixed + view.getUint32(at + index * 4, true) + CONSTANTS[round] | 0;
    const turn = TURNS[round][i & 3];
    [a, b, c, d] = [d, (sum << turn) | (sum >>> 32 - turn), b, c];
  }
  state[0] += a;
  state[1] += b;
  state[2] += c;
  state[3] += d;
}
