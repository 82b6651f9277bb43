/**
 * RC4 and MD5 in one pass. Each waits for its own last result most of the time; taken in turns, a step and a byte, one
 * works while the other waits, and both together take half again as long as RC4 alone. Values that would not fit into the
 * processor's registers stand in memory.
 */

import { f, g, h, i as last, MD5_STATE, md5Skip, md5Update } from "./md5";
import { rc4 } from "./rc4";

const BLOCK: usize = 64;

/** The cipher's table during a pass: at a constant place it takes fewer instructions to find an entry. */
const TABLE: usize = memory.data(1024, 16);

/** The entry at an index. */
function at(index: u32): u32 {
  return load<u32>(<usize> (index & 255) << 2, TABLE);
}

/** Exchanges the entries `x` at `i` and `y` at `j`, and yields the byte of the key stream that they choose. */
function exchange(i: u32, j: u32, x: u32, y: u32): u32 {
  store<u32>(<usize> (j & 255) << 2, x, TABLE);
  store<u32>(<usize> (i & 255) << 2, y, TABLE);
  return at(x + y);
}

/** Encrypts or decrypts whole blocks from `from` to `to`, and takes in as many bytes at `hashed`. */
function both(cipher: usize, from: usize, to: usize, hashed: usize, length: usize): void {
  let a = load<u32>(MD5_STATE), b = load<u32>(MD5_STATE, 4), c = load<u32>(MD5_STATE, 8);
  let d = load<u32>(MD5_STATE, 12), word: u64;
  memory.copy(TABLE, cipher, 1024);
  let i = load<u32>(cipher, 1024), j = load<u32>(cipher, 1028);
  let x: u32;
  for (const end = from + length; from < end; from += BLOCK) {
    a = f(a, b, c, d, load<u32>(hashed), 7, 0xd76aa478);
    j += x = at(i + 1);
    word = <u64> exchange(i + 1, j, x, at(j));
    d = f(d, a, b, c, load<u32>(hashed, 4), 12, 0xe8c7b756);
    j += x = at(i + 2);
    word |= <u64> exchange(i + 2, j, x, at(j)) << 8;
    c = f(c, d, a, b, load<u32>(hashed, 8), 17, 0x242070db);
    j += x = at(i + 3);
    word |= <u64> exchange(i + 3, j, x, at(j)) << 16;
    b = f(b, c, d, a, load<u32>(hashed, 12), 22, 0xc1bdceee);
    j += x = at(i + 4);
    word |= <u64> exchange(i + 4, j, x, at(j)) << 24;
    a = f(a, b, c, d, load<u32>(hashed, 16), 7, 0xf57c0faf);
    j += x = at(i + 5);
    word |= <u64> exchange(i + 5, j, x, at(j)) << 32;
    d = f(d, a, b, c, load<u32>(hashed, 20), 12, 0x4787c62a);
    j += x = at(i + 6);
    word |= <u64> exchange(i + 6, j, x, at(j)) << 40;
    c = f(c, d, a, b, load<u32>(hashed, 24), 17, 0xa8304613);
    j += x = at(i + 7);
    word |= <u64> exchange(i + 7, j, x, at(j)) << 48;
    b = f(b, c, d, a, load<u32>(hashed, 28), 22, 0xfd469501);
    j += x = at(i + 8);
    word |= <u64> exchange(i + 8, j, x, at(j)) << 56;
    store<u64>(to, load<u64>(from) ^ word);
    i += 8;
    a = f(a, b, c, d, load<u32>(hashed, 32), 7, 0x698098d8);
    j += x = at(i + 1);
    word = <u64> exchange(i + 1, j, x, at(j));
    d = f(d, a, b, c, load<u32>(hashed, 36), 12, 0x8b44f7af);
    j += x = at(i + 2);
    word |= <u64> exchange(i + 2, j, x, at(j)) << 8;
    c = f(c, d, a, b, load<u32>(hashed, 40), 17, 0xffff5bb1);
    j += x = at(i + 3);
    word |= <u64> exchange(i + 3, j, x, at(j)) << 16;
    b = f(b, c, d, a, load<u32>(hashed, 44), 22, 0x895cd7be);
    j += x = at(i + 4);
    word |= <u64> exchange(i + 4, j, x, at(j)) << 24;
    a = f(a, b, c, d, load<u32>(hashed, 48), 7, 0x6b901122);
    j += x = at(i + 5);
    word |= <u64> exchange(i + 5, j, x, at(j)) << 32;
    d = f(d, a, b, c, load<u32>(hashed, 52), 12, 0xfd987193);
    j += x = at(i + 6);
    word |= <u64> exchange(i + 6, j, x, at(j)) << 40;
    c = f(c, d, a, b, load<u32>(hashed, 56), 17, 0xa679438e);
    j += x = at(i + 7);
    word |= <u64> exchange(i + 7, j, x, at(j)) << 48;
    b = f(b, c, d, a, load<u32>(hashed, 60), 22, 0x49b40821);
    j += x = at(i + 8);
    word |= <u64> exchange(i + 8, j, x, at(j)) << 56;
    store<u64>(to, load<u64>(from, 8) ^ word, 8);
    i += 8;
    a = g(a, b, c, d, load<u32>(hashed, 4), 5, 0xf61e2562);
    j += x = at(i + 1);
    word = <u64> exchange(i + 1, j, x, at(j));
    d = g(d, a, b, c, load<u32>(hashed, 24), 9, 0xc040b340);
    j += x = at(i + 2);
    word |= <u64> exchange(i + 2, j, x, at(j)) << 8;
    c = g(c, d, a, b, load<u32>(hashed, 44), 14, 0x265e5a51);
    j += x = at(i + 3);
    word |= <u64> exchange(i + 3, j, x, at(j)) << 16;
    b = g(b, c, d, a, load<u32>(hashed), 20, 0xe9b6c7aa);
    j += x = at(i + 4);
    word |= <u64> exchange(i + 4, j, x, at(j)) << 24;
    a = g(a, b, c, d, load<u32>(hashed, 20), 5, 0xd62f105d);
    j += x = at(i + 5);
    word |= <u64> exchange(i + 5, j, x, at(j)) << 32;
    d = g(d, a, b, c, load<u32>(hashed, 40), 9, 0x02441453);
    j += x = at(i + 6);
    word |= <u64> exchange(i + 6, j, x, at(j)) << 40;
    c = g(c, d, a, b, load<u32>(hashed, 60), 14, 0xd8a1e681);
    j += x = at(i + 7);
    word |= <u64> exchange(i + 7, j, x, at(j)) << 48;
    b = g(b, c, d, a, load<u32>(hashed, 16), 20, 0xe7d3fbc8);
    j += x = at(i + 8);
    word |= <u64> exchange(i + 8, j, x, at(j)) << 56;
    store<u64>(to, load<u64>(from, 16) ^ word, 16);
    i += 8;
    a = g(a, b, c, d, load<u32>(hashed, 36), 5, 0x21e1cde6);
    j += x = at(i + 1);
    word = <u64> exchange(i + 1, j, x, at(j));
    d = g(d, a, b, c, load<u32>(hashed, 56), 9, 0xc33707d6);
    j += x = at(i + 2);
    word |= <u64> exchange(i + 2, j, x, at(j)) << 8;
    c = g(c, d, a, b, load<u32>(hashed, 12), 14, 0xf4d50d87);
    j += x = at(i + 3);
    word |= <u64> exchange(i + 3, j, x, at(j)) << 16;
    b = g(b, c, d, a, load<u32>(hashed, 32), 20, 0x455a14ed);
    j += x = at(i + 4);
    word |= <u64> exchange(i + 4, j, x, at(j)) << 24;
    a = g(a, b, c, d, load<u32>(hashed, 52), 5, 0xa9e3e905);
    j += x = at(i + 5);
    word |= <u64> exchange(i + 5, j, x, at(j)) << 32;
    d = g(d, a, b, c, load<u32>(hashed, 8), 9, 0xfcefa3f8);
    j += x = at(i + 6);
    word |= <u64> exchange(i + 6, j, x, at(j)) << 40;
    c = g(c, d, a, b, load<u32>(hashed, 28), 14, 0x676f02d9);
    j += x = at(i + 7);
    word |= <u64> exchange(i + 7, j, x, at(j)) << 48;
    b = g(b, c, d, a, load<u32>(hashed, 48), 20, 0x8d2a4c8a);
    j += x = at(i + 8);
    word |= <u64> exchange(i + 8, j, x, at(j)) << 56;
    store<u64>(to, load<u64>(from, 24) ^ word, 24);
    i += 8;
    a = h(a, b, c, d, load<u32>(hashed, 20), 4, 0xfffa3942);
    j += x = at(i + 1);
    word = <u64> exchange(i + 1, j, x, at(j));
    d = h(d, a, b, c, load<u32>(hashed, 32), 11, 0x8771f681);
    j += x = at(i + 2);
    word |= <u64> exchange(i + 2, j, x, at(j)) << 8;
    c = h(c, d, a, b, load<u32>(hashed, 44), 16, 0x6d9d6122);
    j += x = at(i + 3);
    word |= <u64> exchange(i + 3, j, x, at(j)) << 16;
    b = h(b, c, d, a, load<u32>(hashed, 56), 23, 0xfde5380c);
    j += x = at(i + 4);
    word |= <u64> exchange(i + 4, j, x, at(j)) << 24;
    a = h(a, b, c, d, load<u32>(hashed, 4), 4, 0xa4beea44);
    j += x = at(i + 5);
    word |= <u64> exchange(i + 5, j, x, at(j)) << 32;
    d = h(d, a, b, c, load<u32>(hashed, 16), 11, 0x4bdecfa9);
    j += x = at(i + 6);
    word |= <u64> exchange(i + 6, j, x, at(j)) << 40;
    c = h(c, d, a, b, load<u32>(hashed, 28), 16, 0xf6bb4b60);
    j += x = at(i + 7);
    word |= <u64> exchange(i + 7, j, x, at(j)) << 48;
    b = h(b, c, d, a, load<u32>(hashed, 40), 23, 0xbebfbc70);
    j += x = at(i + 8);
    word |= <u64> exchange(i + 8, j, x, at(j)) << 56;
    store<u64>(to, load<u64>(from, 32) ^ word, 32);
    i += 8;
    a = h(a, b, c, d, load<u32>(hashed, 52), 4, 0x289b7ec6);
    j += x = at(i + 1);
    word = <u64> exchange(i + 1, j, x, at(j));
    d = h(d, a, b, c, load<u32>(hashed), 11, 0xeaa127fa);
    j += x = at(i + 2);
    word |= <u64> exchange(i + 2, j, x, at(j)) << 8;
    c = h(c, d, a, b, load<u32>(hashed, 12), 16, 0xd4ef3085);
    j += x = at(i + 3);
    word |= <u64> exchange(i + 3, j, x, at(j)) << 16;
    b = h(b, c, d, a, load<u32>(hashed, 24), 23, 0x04881d05);
    j += x = at(i + 4);
    word |= <u64> exchange(i + 4, j, x, at(j)) << 24;
    a = h(a, b, c, d, load<u32>(hashed, 36), 4, 0xd9d4d039);
    j += x = at(i + 5);
    word |= <u64> exchange(i + 5, j, x, at(j)) << 32;
    d = h(d, a, b, c, load<u32>(hashed, 48), 11, 0xe6db99e5);
    j += x = at(i + 6);
    word |= <u64> exchange(i + 6, j, x, at(j)) << 40;
    c = h(c, d, a, b, load<u32>(hashed, 60), 16, 0x1fa27cf8);
    j += x = at(i + 7);
    word |= <u64> exchange(i + 7, j, x, at(j)) << 48;
    b = h(b, c, d, a, load<u32>(hashed, 8), 23, 0xc4ac5665);
    j += x = at(i + 8);
    word |= <u64> exchange(i + 8, j, x, at(j)) << 56;
    store<u64>(to, load<u64>(from, 40) ^ word, 40);
    i += 8;
    a = last(a, b, c, d, load<u32>(hashed), 6, 0xf4292244);
    j += x = at(i + 1);
    word = <u64> exchange(i + 1, j, x, at(j));
    d = last(d, a, b, c, load<u32>(hashed, 28), 10, 0x432aff97);
    j += x = at(i + 2);
    word |= <u64> exchange(i + 2, j, x, at(j)) << 8;
    c = last(c, d, a, b, load<u32>(hashed, 56), 15, 0xab9423a7);
    j += x = at(i + 3);
    word |= <u64> exchange(i + 3, j, x, at(j)) << 16;
    b = last(b, c, d, a, load<u32>(hashed, 20), 21, 0xfc93a039);
    j += x = at(i + 4);
    word |= <u64> exchange(i + 4, j, x, at(j)) << 24;
    a = last(a, b, c, d, load<u32>(hashed, 48), 6, 0x655b59c3);
    j += x = at(i + 5);
    word |= <u64> exchange(i + 5, j, x, at(j)) << 32;
    d = last(d, a, b, c, load<u32>(hashed, 12), 10, 0x8f0ccc92);
    j += x = at(i + 6);
    word |= <u64> exchange(i + 6, j, x, at(j)) << 40;
    c = last(c, d, a, b, load<u32>(hashed, 40), 15, 0xffeff47d);
    j += x = at(i + 7);
    word |= <u64> exchange(i + 7, j, x, at(j)) << 48;
    b = last(b, c, d, a, load<u32>(hashed, 4), 21, 0x85845dd1);
    j += x = at(i + 8);
    word |= <u64> exchange(i + 8, j, x, at(j)) << 56;
    store<u64>(to, load<u64>(from, 48) ^ word, 48);
    i += 8;
    a = last(a, b, c, d, load<u32>(hashed, 32), 6, 0x6fa87e4f);
    j += x = at(i + 1);
    word = <u64> exchange(i + 1, j, x, at(j));
    d = last(d, a, b, c, load<u32>(hashed, 60), 10, 0xfe2ce6e0);
    j += x = at(i + 2);
    word |= <u64> exchange(i + 2, j, x, at(j)) << 8;
    c = last(c, d, a, b, load<u32>(hashed, 24), 15, 0xa3014314);
    j += x = at(i + 3);
    word |= <u64> exchange(i + 3, j, x, at(j)) << 16;
    b = last(b, c, d, a, load<u32>(hashed, 52), 21, 0x4e0811a1);
    j += x = at(i + 4);
    word |= <u64> exchange(i + 4, j, x, at(j)) << 24;
    a = last(a, b, c, d, load<u32>(hashed, 16), 6, 0xf7537e82);
    j += x = at(i + 5);
    word |= <u64> exchange(i + 5, j, x, at(j)) << 32;
    d = last(d, a, b, c, load<u32>(hashed, 44), 10, 0xbd3af235);
    j += x = at(i + 6);
    word |= <u64> exchange(i + 6, j, x, at(j)) << 40;
    c = last(c, d, a, b, load<u32>(hashed, 8), 15, 0x2ad7d2bb);
    j += x = at(i + 7);
    word |= <u64> exchange(i + 7, j, x, at(j)) << 48;
    b = last(b, c, d, a, load<u32>(hashed, 36), 21, 0xeb86d391);
    j += x = at(i + 8);
    word |= <u64> exchange(i + 8, j, x, at(j)) << 56;
    store<u64>(to, load<u64>(from, 56) ^ word, 56);
    i += 8;
    a += load<u32>(MD5_STATE);
    b += load<u32>(MD5_STATE, 4);
    c += load<u32>(MD5_STATE, 8);
    d += load<u32>(MD5_STATE, 12);
    store<u32>(MD5_STATE, a);
    store<u32>(MD5_STATE, b, 4);
    store<u32>(MD5_STATE, c, 8);
    store<u32>(MD5_STATE, d, 12);
    to += BLOCK;
    hashed += BLOCK;
  }

  store<u32>(MD5_STATE, a);
  store<u32>(MD5_STATE, b, 4);
  store<u32>(MD5_STATE, c, 8);
  store<u32>(MD5_STATE, d, 12);
  memory.copy(cipher, TABLE, 1024);
  memory.fill(TABLE, 0, 1024);
  store<u32>(cipher, i, 1024);
  store<u32>(cipher, j, 1028);
  md5Skip(length);
}

/**
 * Encrypts `length` bytes from `from` to `to`, and takes the plain text into the digest under way, which has taken
 * in `before` bytes of a block. The two ranges must not overlap.
 */
export function encryptAndDigest(cipher: usize, from: usize, to: usize, length: usize, before: usize): void {
  const head = min(BLOCK - before, length), whole = (length - head) & ~63;
  md5Update(from, head);
  rc4(cipher, from, to, head);
  if (whole != 0) both(cipher, from + head, to + head, from + head, whole);
  const done = head + whole;
  md5Update(from + done, length - done);
  rc4(cipher, from + done, to + done, length - done);
}

/** Decrypts `length` bytes from `from` to `to`, and takes the plain text into the digest, as `encryptAndDigest` does. */
export function decryptAndDigest(cipher: usize, from: usize, to: usize, length: usize, before: usize): void {
  const head = min(BLOCK - before, length), whole = (length - head) & ~63;
  rc4(cipher, from, to, head);
  md5Update(to, head);
  if (whole != 0) {
    // The digest is one block behind.
    rc4(cipher, from + head, to + head, BLOCK);
    const second = head + BLOCK;
    if (whole > BLOCK) both(cipher, from + second, to + second, to + head, whole - BLOCK);
    md5Update(to + head + whole - BLOCK, BLOCK);
  }
  const done = head + whole;
  rc4(cipher, from + done, to + done, length - done);
  md5Update(to + done, length - done);
}
