/** MD4 (RFC 1320), in one piece: all that NTLM hashes with it is a password. */

const STATE: usize = memory.data(16, 16);
const TAIL: usize = memory.data(128, 16);

function first(a: u32, b: u32, c: u32, d: u32, word: u32, turn: u32): u32 {
  return rotl<u32>(a + ((b & c) | (~b & d)) + word, turn);
}

function second(a: u32, b: u32, c: u32, d: u32, word: u32, turn: u32): u32 {
  return rotl<u32>(a + ((b & c) | (b & d) | (c & d)) + word + 0x5a827999, turn);
}

function third(a: u32, b: u32, c: u32, d: u32, word: u32, turn: u32): u32 {
  return rotl<u32>(a + (b ^ c ^ d) + word + 0x6ed9eba1, turn);
}

function block(at: usize): void {
  let a = load<u32>(STATE), b = load<u32>(STATE, 4), c = load<u32>(STATE, 8), d = load<u32>(STATE, 12);
  for (let i: usize = 0; i < 64; i += 16) {
    a = first(a, b, c, d, load<u32>(at + i), 3);
    d = first(d, a, b, c, load<u32>(at + i, 4), 7);
    c = first(c, d, a, b, load<u32>(at + i, 8), 11);
    b = first(b, c, d, a, load<u32>(at + i, 12), 19);
  }
  for (let i: usize = 0; i < 16; i += 4) {
    a = second(a, b, c, d, load<u32>(at + i), 3);
    d = second(d, a, b, c, load<u32>(at + i, 16), 5);
    c = second(c, d, a, b, load<u32>(at + i, 32), 9);
    b = second(b, c, d, a, load<u32>(at + i, 48), 13);
  }
  // The third round takes the words in the order 0 8 4 12, then the same from 2, 1 and 3.
  for (let i: usize = 0; i < 4; i++) {
    const from = at + ((((i & 1) << 1) | (i >> 1)) << 2);
    a = third(a, b, c, d, load<u32>(from), 3);
    d = third(d, a, b, c, load<u32>(from, 32), 9);
    c = third(c, d, a, b, load<u32>(from, 16), 11);
    b = third(b, c, d, a, load<u32>(from, 48), 15);
  }
  store<u32>(STATE, load<u32>(STATE) + a);
  store<u32>(STATE, load<u32>(STATE, 4) + b, 4);
  store<u32>(STATE, load<u32>(STATE, 8) + c, 8);
  store<u32>(STATE, load<u32>(STATE, 12) + d, 12);
}

/** Writes the 16 bytes of the digest of `length` bytes at `from` to `to`. */
export function md4(from: usize, length: usize, to: usize): void {
  store<u32>(STATE, 0x67452301);
  store<u32>(STATE, 0xefcdab89, 4);
  store<u32>(STATE, 0x98badcfe, 8);
  store<u32>(STATE, 0x10325476, 12);
  const whole = length & ~63, rest = length & 63;
  for (let at: usize = 0; at < whole; at += 64) block(from + at);
  memory.fill(TAIL, 0, 128);
  memory.copy(TAIL, from + whole, rest);
  store<u8>(TAIL + rest, 0x80);
  const last: usize = rest < 56 ? 64 : 128;
  store<u64>(TAIL + last - 8, (<u64> length) << 3);
  for (let at: usize = 0; at < last; at += 64) block(TAIL + at);
  memory.copy(to, STATE, 16);
  memory.fill(STATE, 0, 16);
  memory.fill(TAIL, 0, 128);
}
