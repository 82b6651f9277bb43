/** What the bench measures: an echo, and arithmetic of the kinds a provider has. Speaks no ABI but the exports'. */

const REQUEST = memory.data(131072);
const RESPONSE = memory.data(131072);
const STATE = memory.data(256);
const SCHEDULE = memory.data(256);

export function abi_version(): i32 {
  return 1;
}

export function alloc(_len: u32): usize {
  return REQUEST;
}

/** The operation in the first word: 4 echo, 5 SHA-256, 6 RC4, 7 hashing without memory. */
export function call(ptr: usize, len: u32): u64 {
  const operation = load<u32>(ptr);
  store<u32>(RESPONSE, 0);
  if (operation == 5) {
    store<u32>(RESPONSE + 4, sha256(ptr + 4, len - 4));
    return ((<u64> RESPONSE) << 32) | 8;
  }
  if (operation == 6) {
    rc4(ptr + 4, RESPONSE + 4, len - 4);
  } else if (operation == 7) {
    store<u32>(RESPONSE + 4, mix(len));
    return ((<u64> RESPONSE) << 32) | 8;
  } else {
    memory.copy(RESPONSE + 4, ptr + 4, len - 4);
  }
  return ((<u64> RESPONSE) << 32) | len;
}

function mix(rounds: u32): u32 {
  let value: u32 = rounds;
  for (let i: u32 = 0; i < rounds; i++) value = rotl((value ^ i) * 0x9e3779b1, 13);
  return value;
}

function rc4(from: usize, to: usize, len: u32): void {
  for (let i: u32 = 0; i < 256; i++) store<u8>(STATE + i, i);
  let j: u32 = 0;
  for (let i: u32 = 0; i < 256; i++) {
    const t: u32 = load<u8>(STATE + i);
    j = (j + t + i * 7) & 255;
    store<u8>(STATE + i, load<u8>(STATE + j));
    store<u8>(STATE + j, t);
  }
  let i: u32 = 0;
  j = 0;
  for (let at: u32 = 0; at < len; at++) {
    i = (i + 1) & 255;
    const t: u32 = load<u8>(STATE + i);
    j = (j + t) & 255;
    const u: u32 = load<u8>(STATE + j);
    store<u8>(STATE + i, u);
    store<u8>(STATE + j, t);
    store<u8>(to + at, load<u8>(from + at) ^ load<u8>(STATE + ((t + u) & 255)));
  }
}

// deno-fmt-ignore
const K: StaticArray<u32> = [
  0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
  0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
  0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
  0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
  0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
  0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
  0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
  0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
];

/** The first word of the SHA-256 state over the whole blocks of the input. */
function sha256(from: usize, len: u32): u32 {
  let h0: u32 = 0x6a09e667, h1: u32 = 0xbb67ae85, h2: u32 = 0x3c6ef372, h3: u32 = 0xa54ff53a;
  let h4: u32 = 0x510e527f, h5: u32 = 0x9b05688c, h6: u32 = 0x1f83d9ab, h7: u32 = 0x5be0cd19;
  for (let at: u32 = 0; at + 64 <= len; at += 64) {
    schedule(from + at);
    let a = h0, b = h1, c = h2, d = h3, e = h4, f = h5, g = h6, h = h7;
    for (let i: u32 = 0; i < 64; i++) {
      const s1 = rotr(e, 6) ^ rotr(e, 11) ^ rotr(e, 25);
      const t1 = h + s1 + ((e & f) ^ (~e & g)) + unchecked(K[i]) + load<u32>(SCHEDULE + (i << 2));
      const t2 = (rotr(a, 2) ^ rotr(a, 13) ^ rotr(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
      h = g;
      g = f;
      f = e;
      e = d + t1;
      d = c;
      c = b;
      b = a;
      a = t1 + t2;
    }
    h0 += a;
    h1 += b;
    h2 += c;
    h3 += d;
    h4 += e;
    h5 += f;
    h6 += g;
    h7 += h;
  }
  return h0;
}

function schedule(block: usize): void {
  for (let i: u32 = 0; i < 16; i++) store<u32>(SCHEDULE + (i << 2), bswap(load<u32>(block + (i << 2))));
  for (let i: u32 = 16; i < 64; i++) {
    const a = load<u32>(SCHEDULE + ((i - 15) << 2)), b = load<u32>(SCHEDULE + ((i - 2) << 2));
    const s0 = rotr(a, 7) ^ rotr(a, 18) ^ (a >> 3), s1 = rotr(b, 17) ^ rotr(b, 19) ^ (b >> 10);
    const sum = load<u32>(SCHEDULE + ((i - 16) << 2)) + s0 + load<u32>(SCHEDULE + ((i - 7) << 2)) + s1;
    store<u32>(SCHEDULE + (i << 2), sum);
  }
}
