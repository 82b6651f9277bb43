/**
 * MD5 (RFC 1321), piece by piece. One digest is under way at a time, which is all that NTLM needs, so its state
 * stands in one place and is overwritten when it ends.
 */

/** Bytes of a digest, and of the state between two blocks. */
export const MD5_SIZE: usize = 16;

/** Where the state of the digest under way stands: four words. */
export const MD5_STATE: usize = memory.data(16, 16);
const TAIL: usize = memory.data(64, 16);
let total: usize = 0;

/** The step of the first round. */
export function f(a: u32, b: u32, c: u32, d: u32, word: u32, turn: u32, constant: u32): u32 {
  return b + rotl<u32>(a + (d ^ (b & (c ^ d))) + word + constant, turn);
}

/** The step of the second round. */
// The halves of its function share no bit, and added they leave less of the work to wait for `b`.
export function g(a: u32, b: u32, c: u32, d: u32, word: u32, turn: u32, constant: u32): u32 {
  return b + rotl<u32>(a + (~d & c) + word + constant + (d & b), turn);
}

/** The step of the third round. */
export function h(a: u32, b: u32, c: u32, d: u32, word: u32, turn: u32, constant: u32): u32 {
  return b + rotl<u32>(a + (b ^ (c ^ d)) + word + constant, turn);
}

/** The step of the fourth round. */
export function i(a: u32, b: u32, c: u32, d: u32, word: u32, turn: u32, constant: u32): u32 {
  return b + rotl<u32>(a + (c ^ (b | ~d)) + word + constant, turn);
}

function blocks(from: usize, end: usize): void {
  let a = load<u32>(MD5_STATE),
    b = load<u32>(MD5_STATE, 4),
    c = load<u32>(MD5_STATE, 8),
    d = load<u32>(MD5_STATE, 12);
  for (; from < end; from += 64) {
    const a0 = a, b0 = b, c0 = c, d0 = d;
    a = f(a, b, c, d, load<u32>(from), 7, 0xd76aa478);
    d = f(d, a, b, c, load<u32>(from, 4), 12, 0xe8c7b756);
    c = f(c, d, a, b, load<u32>(from, 8), 17, 0x242070db);
    b = f(b, c, d, a, load<u32>(from, 12), 22, 0xc1bdceee);
    a = f(a, b, c, d, load<u32>(from, 16), 7, 0xf57c0faf);
    d = f(d, a, b, c, load<u32>(from, 20), 12, 0x4787c62a);
    c = f(c, d, a, b, load<u32>(from, 24), 17, 0xa8304613);
    b = f(b, c, d, a, load<u32>(from, 28), 22, 0xfd469501);
    a = f(a, b, c, d, load<u32>(from, 32), 7, 0x698098d8);
    d = f(d, a, b, c, load<u32>(from, 36), 12, 0x8b44f7af);
    c = f(c, d, a, b, load<u32>(from, 40), 17, 0xffff5bb1);
    b = f(b, c, d, a, load<u32>(from, 44), 22, 0x895cd7be);
    a = f(a, b, c, d, load<u32>(from, 48), 7, 0x6b901122);
    d = f(d, a, b, c, load<u32>(from, 52), 12, 0xfd987193);
    c = f(c, d, a, b, load<u32>(from, 56), 17, 0xa679438e);
    b = f(b, c, d, a, load<u32>(from, 60), 22, 0x49b40821);
    a = g(a, b, c, d, load<u32>(from, 4), 5, 0xf61e2562);
    d = g(d, a, b, c, load<u32>(from, 24), 9, 0xc040b340);
    c = g(c, d, a, b, load<u32>(from, 44), 14, 0x265e5a51);
    b = g(b, c, d, a, load<u32>(from), 20, 0xe9b6c7aa);
    a = g(a, b, c, d, load<u32>(from, 20), 5, 0xd62f105d);
    d = g(d, a, b, c, load<u32>(from, 40), 9, 0x02441453);
    c = g(c, d, a, b, load<u32>(from, 60), 14, 0xd8a1e681);
    b = g(b, c, d, a, load<u32>(from, 16), 20, 0xe7d3fbc8);
    a = g(a, b, c, d, load<u32>(from, 36), 5, 0x21e1cde6);
    d = g(d, a, b, c, load<u32>(from, 56), 9, 0xc33707d6);
    c = g(c, d, a, b, load<u32>(from, 12), 14, 0xf4d50d87);
    b = g(b, c, d, a, load<u32>(from, 32), 20, 0x455a14ed);
    a = g(a, b, c, d, load<u32>(from, 52), 5, 0xa9e3e905);
    d = g(d, a, b, c, load<u32>(from, 8), 9, 0xfcefa3f8);
    c = g(c, d, a, b, load<u32>(from, 28), 14, 0x676f02d9);
    b = g(b, c, d, a, load<u32>(from, 48), 20, 0x8d2a4c8a);
    a = h(a, b, c, d, load<u32>(from, 20), 4, 0xfffa3942);
    d = h(d, a, b, c, load<u32>(from, 32), 11, 0x8771f681);
    c = h(c, d, a, b, load<u32>(from, 44), 16, 0x6d9d6122);
    b = h(b, c, d, a, load<u32>(from, 56), 23, 0xfde5380c);
    a = h(a, b, c, d, load<u32>(from, 4), 4, 0xa4beea44);
    d = h(d, a, b, c, load<u32>(from, 16), 11, 0x4bdecfa9);
    c = h(c, d, a, b, load<u32>(from, 28), 16, 0xf6bb4b60);
    b = h(b, c, d, a, load<u32>(from, 40), 23, 0xbebfbc70);
    a = h(a, b, c, d, load<u32>(from, 52), 4, 0x289b7ec6);
    d = h(d, a, b, c, load<u32>(from), 11, 0xeaa127fa);
    c = h(c, d, a, b, load<u32>(from, 12), 16, 0xd4ef3085);
    b = h(b, c, d, a, load<u32>(from, 24), 23, 0x04881d05);
    a = h(a, b, c, d, load<u32>(from, 36), 4, 0xd9d4d039);
    d = h(d, a, b, c, load<u32>(from, 48), 11, 0xe6db99e5);
    c = h(c, d, a, b, load<u32>(from, 60), 16, 0x1fa27cf8);
    b = h(b, c, d, a, load<u32>(from, 8), 23, 0xc4ac5665);
    a = i(a, b, c, d, load<u32>(from), 6, 0xf4292244);
    d = i(d, a, b, c, load<u32>(from, 28), 10, 0x432aff97);
    c = i(c, d, a, b, load<u32>(from, 56), 15, 0xab9423a7);
    b = i(b, c, d, a, load<u32>(from, 20), 21, 0xfc93a039);
    a = i(a, b, c, d, load<u32>(from, 48), 6, 0x655b59c3);
    d = i(d, a, b, c, load<u32>(from, 12), 10, 0x8f0ccc92);
    c = i(c, d, a, b, load<u32>(from, 40), 15, 0xffeff47d);
    b = i(b, c, d, a, load<u32>(from, 4), 21, 0x85845dd1);
    a = i(a, b, c, d, load<u32>(from, 32), 6, 0x6fa87e4f);
    d = i(d, a, b, c, load<u32>(from, 60), 10, 0xfe2ce6e0);
    c = i(c, d, a, b, load<u32>(from, 24), 15, 0xa3014314);
    b = i(b, c, d, a, load<u32>(from, 52), 21, 0x4e0811a1);
    a = i(a, b, c, d, load<u32>(from, 16), 6, 0xf7537e82);
    d = i(d, a, b, c, load<u32>(from, 44), 10, 0xbd3af235);
    c = i(c, d, a, b, load<u32>(from, 8), 15, 0x2ad7d2bb);
    b = i(b, c, d, a, load<u32>(from, 36), 21, 0xeb86d391);
    a += a0;
    b += b0;
    c += c0;
    d += d0;
  }
  store<u32>(MD5_STATE, a);
  store<u32>(MD5_STATE, b, 4);
  store<u32>(MD5_STATE, c, 8);
  store<u32>(MD5_STATE, d, 12);
}

/** Begins a digest. */
export function md5Begin(): void {
  store<u32>(MD5_STATE, 0x67452301);
  store<u32>(MD5_STATE, 0xefcdab89, 4);
  store<u32>(MD5_STATE, 0x98badcfe, 8);
  store<u32>(MD5_STATE, 0x10325476, 12);
  total = 0;
}

/** Goes on from the state at `state`, which `length` bytes (a multiple of 64) have led to. */
export function md5Resume(state: usize, length: usize): void {
  memory.copy(MD5_STATE, state, MD5_SIZE);
  total = length;
}

/** Copies the state to `state`; only after a multiple of 64 bytes. */
export function md5Suspend(state: usize): void {
  memory.copy(state, MD5_STATE, MD5_SIZE);
}

/** Notes that whole blocks of `length` bytes were taken into {@link MD5_STATE} elsewhere. */
export function md5Skip(length: usize): void {
  total += length;
}

/** Takes in `length` bytes at `from`. */
export function md5Update(from: usize, length: usize): void {
  const held = total & 63;
  total += length;
  if (held != 0) {
    const missing: usize = 64 - held;
    if (length < missing) {
      memory.copy(TAIL + held, from, length);
      return;
    }
    memory.copy(TAIL + held, from, missing);
    blocks(TAIL, TAIL + 64);
    from += missing;
    length -= missing;
  }
  const whole = length & ~63;
  if (whole != 0) blocks(from, from + whole);
  if (length > whole) memory.copy(TAIL, from + whole, length - whole);
}

/** Ends the digest: its 16 bytes go to `to`, and nothing of it is left. */
export function md5End(to: usize): void {
  const held = total & 63;
  store<u8>(TAIL + held, 0x80);
  memory.fill(TAIL + held + 1, 0, 63 - held);
  if (held >= 56) {
    blocks(TAIL, TAIL + 64);
    memory.fill(TAIL, 0, 56);
  }
  store<u64>(TAIL + 56, (<u64> total) << 3);
  blocks(TAIL, TAIL + 64);
  memory.copy(to, MD5_STATE, MD5_SIZE);
  memory.fill(MD5_STATE, 0, MD5_SIZE);
  memory.fill(TAIL, 0, 64);
}
