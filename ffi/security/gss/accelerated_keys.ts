/**
 * The encryption types whose records libcrypto can protect, and how they derive keys: RFC 3961 and RFC 3962 for those
 * with SHA-1, RFC 8009 for those with SHA-2. Others, such as RC4 and DES, are not implemented.
 *
 * @see https://www.rfc-editor.org/rfc/rfc3961#section-5.1
 * @see https://www.rfc-editor.org/rfc/rfc8009#section-3
 * @module
 */

import { pinned } from "../../memory/memory.ts";

/** One encryption type. All use AES with ciphertext stealing, and a confounder of one block. */
export interface Enctype {
  /** Its number in Kerberos. */
  readonly number: number;
  /** libcrypto's name of its cipher. */
  readonly cipher: "AES-128-CBC-CTS" | "AES-256-CBC-CTS";
  /** libcrypto's name of its hash. */
  readonly digest: "SHA1" | "SHA256" | "SHA384";
  /** The length of its keys. */
  readonly keyBytes: number;
  /** The length of the keys of its checksums. */
  readonly macKeyBytes: number;
  /** The length of its checksums. */
  readonly macBytes: number;
  /** Whether the checksum covers the ciphertext (RFC 8009) instead of the plain text (RFC 3961). */
  readonly encryptThenMac: boolean;
}

/** The encryption types, by their numbers. */
export const ENCTYPES: ReadonlyMap<number, Enctype> = new Map<number, Enctype>([
  enctype(17, "AES-128-CBC-CTS", "SHA1", 16, 16, 12),
  enctype(18, "AES-256-CBC-CTS", "SHA1", 32, 32, 12),
  enctype(19, "AES-128-CBC-CTS", "SHA256", 16, 16, 16),
  enctype(20, "AES-256-CBC-CTS", "SHA384", 32, 24, 24),
]);

function enctype(
  number: number,
  cipher: Enctype["cipher"],
  digest: Enctype["digest"],
  keyBytes: number,
  macKeyBytes: number,
  macBytes: number,
): [number, Enctype] {
  const encryptThenMac = digest !== "SHA1";
  return [number, { number, cipher, digest, keyBytes, macKeyBytes, macBytes, encryptThenMac }];
}

/** What a derived key is for: the last byte of its constant. */
export const PURPOSE = { checksum: 0x99, encryption: 0xaa, integrity: 0x55 } as const;

/** The key usage numbers of RFC 4121, section 2. */
export const USAGE = { acceptorSeal: 22, acceptorSign: 23, initiatorSeal: 24, initiatorSign: 25 } as const;

/** The primitives that derivation needs. */
export interface DerivationPrimitives {
  /** Encrypts one block in place, with a key and an initial vector of zeros. */
  encryptBlock(type: Enctype, key: Uint8Array, block: Uint8Array): void;
  /** Returns the whole HMAC of a message; the caller overwrites it. */
  hmac(type: Enctype, key: Uint8Array, message: Uint8Array): Uint8Array;
}

/** Derives the key of one usage and purpose; the caller overwrites it. */
export function deriveKey(
  primitives: DerivationPrimitives,
  type: Enctype,
  key: Uint8Array,
  usage: number,
  purpose: number,
): Uint8Array<ArrayBuffer> {
  const constant = Uint8Array.of(usage >>> 24, usage >>> 16, usage >>> 8, usage, purpose);
  if (!type.encryptThenMac) {
    const encrypt = (block: Uint8Array): void => primitives.encryptBlock(type, key, block);
    return deriveRandom(encrypt, BLOCK_BYTES, constant, type.keyBytes);
  }
  const length = purpose === PURPOSE.encryption ? type.keyBytes : type.macKeyBytes;
  const bits = length * 8;
  // RFC 8009, section 3: a counter, the label, a zero, and the length in bits.
  const input = pinned(14);
  input.set([0, 0, 0, 1, ...constant, 0, 0, 0, bits >>> 8, bits]);
  const output = primitives.hmac(type, key, input);
  const derived = pinned(length);
  derived.set(output.subarray(0, length));
  output.fill(0);
  return derived;
}

/** The bytes of an AES block. */
export const BLOCK_BYTES = 16;

/**
 * DR of RFC 3961, section 5.1: `length` bytes from the encrypted chain of an n-folded constant.
 *
 * @param encrypt encrypts one block in place, with an initial vector of zeros.
 */
export function deriveRandom(
  encrypt: (block: Uint8Array) => void,
  blockBytes: number,
  constant: Uint8Array,
  length: number,
): Uint8Array<ArrayBuffer> {
  const output = pinned(length);
  const block = pinned(blockBytes);
  block.set(nFold(constant, blockBytes));
  try {
    for (let at = 0; at < length; at += blockBytes) {
      encrypt(block);
      output.set(block.subarray(0, length - at), at);
    }
    return output;
  } finally {
    block.fill(0);
  }
}

/**
 * The n-fold of RFC 3961, section 5.1: `length` bytes that depend on every bit of `input`. Copies of the input, each
 * rotated by 13 bits more than the one before, are added in one's complement.
 */
export function nFold(input: Uint8Array, length: number): Uint8Array {
  const bits = input.length * 8;
  const rotatedByte = (at: number): number => {
    const copy = Math.floor(at / input.length);
    // The first bit of this byte, in the input that is not rotated.
    const first = (((at % input.length) * 8 - 13 * copy) % bits + bits) % bits;
    const byte = first >>> 3;
    const pair = (input[byte] << 8) | input[(byte + 1) % input.length];
    return (pair >>> (8 - (first & 7))) & 0xff;
  };
  const output = new Uint8Array(length);
  const total = lcm(input.length, length);
  let carry = 0;
  for (let at = total - 1; at >= 0; at--) {
    const sum = output[at % length] + rotatedByte(at) + carry;
    output[at % length] = sum;
    carry = sum >>> 8;
  }
  for (let at = length - 1; carry > 0; at = (at + length - 1) % length) {
    const sum = output[at] + carry;
    output[at] = sum;
    carry = sum >>> 8;
  }
  return output;
}

function lcm(a: number, b: number): number {
  let [x, y] = [a, b];
  while (y !== 0) [x, y] = [y, x % y];
  return a / x * b;
}
