/** Key derivation by the vectors of RFC 3961, of MIT's own tests and of RFC 8009. */

import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { test } from "@test";
import { Buffer } from "node:buffer";
import { createCipheriv, createHmac } from "node:crypto";
import fc from "fast-check";
import {
  BLOCK_BYTES,
  type DerivationPrimitives,
  deriveKey,
  deriveRandom,
  ENCTYPES,
  nFold,
  PURPOSE,
  USAGE,
} from "../../../../ffi/security/gss/accelerated_keys.ts";

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const unhex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, "hex"));
const ascii = (text: string): Uint8Array => new TextEncoder().encode(text);

function encryptInPlace(algorithm: string, key: Uint8Array, block: Uint8Array): void {
  const cipher = createCipheriv(algorithm, key, new Uint8Array(block.length)).setAutoPadding(false);
  block.set(cipher.update(block));
  cipher.final();
}

/** The primitives of another library. */
const NODE: DerivationPrimitives = {
  encryptBlock(type, key, block) {
    encryptInPlace(`aes-${type.keyBytes * 8}-cbc`, key, block);
  },
  hmac: (type, key, message) => createHmac(type.digest.toLowerCase(), key).update(message).digest(),
};

const FOLDED: readonly [text: string, length: number, folded: string][] = [
  ["012345", 8, "be072631276b1955"],
  ["password", 7, "78a07b6caf85fa"],
  ["Rough Consensus, and Running Code", 8, "bb6ed30870b7f0e0"],
  ["password", 21, "59e4a8ca7c0385c3c37b3f6d2000247cb6e6bd5b3e"],
  ["MASSACHVSETTS INSTITVTE OF TECHNOLOGY", 24, "db3b0d8f0b061e603282b308a50841229ad798fab9540c1b"],
  ["Q", 21, "518a54a215a8452a518a54a215a8452a518a54a215"],
  ["ba", 21, "fb25d531ae8974499f52fd92ea9857c4ba24cf297e"],
  ["kerberos", 8, "6b65726265726f73"],
  ["kerberos", 16, "6b65726265726f737b9b5b2b93132b93"],
  ["kerberos", 21, "8372c236344e5f1550cd0747e15d62ca7a5a3bcea4"],
  ["kerberos", 32, "6b65726265726f737b9b5b2b93132b935c9bdcdad95c9899c4cae4dee6d6cae4"],
];

test("nFold() has the results of RFC 3961, A.1", () => {
  for (const [text, length, folded] of FOLDED) assertEquals(hex(nFold(ascii(text), length)), folded, text);
});

test("nFold() depends on every bit of its input, and of a length that is its own returns it", () => {
  const input = fc.uint8Array({ minLength: 1, maxLength: 40 });
  fc.assert(fc.property(input, (bytes) => assertEquals(hex(nFold(bytes, bytes.length)), hex(bytes))));
  fc.assert(fc.property(input, fc.nat(), fc.integer({ min: 8, max: 40 }), (bytes, at, length) => {
    const changed = bytes.slice();
    changed[at % bytes.length] ^= 1 << (at % 8);
    // In one's complement, zero has two forms.
    fc.pre(bytes.length <= length && bytes.some((byte) => byte !== 0 && byte !== 0xff));
    fc.pre(changed.some((byte) => byte !== 0 && byte !== 0xff));
    assertNotEquals(hex(nFold(bytes, length)), hex(nFold(changed, length)));
  }));
});

/** RFC 3961, A.3: with the cipher that its vectors have. */
const DERIVED: readonly [key: string, constant: string, derived: string][] = [
  [
    "dce06b1f64c857a11c3db57c51899b2cc1791008ce973b92",
    "0000000155",
    "935079d14490a75c3093c4a6e8c3b049c71e6ee705",
  ],
  [
    "5e13d31c70ef765746578531cb51c15bf11ca82c97cee9f2",
    "00000001aa",
    "9f58e5a047d894101c469845d67ae3c5249ed812f2",
  ],
  [
    "98e6fd8a04a4b6859b75a176540b9752bad3ecd610a252bc",
    "0000000155",
    "12fff90c773f956d13fc2ca0d0840349dbd39908eb",
  ],
  [
    "622aec25a2fe2cad7094680b7c64940280084c1a7cec92b5",
    "00000001aa",
    "f8debf05b097e7dc0603686aca35d91fd9a5516a70",
  ],
  [
    "d3f8298ccb166438dcb9b93ee5a7629286a491f838f802fb",
    "6b65726265726f73",
    "2270db565d2a3d64cfbfdc5305d4f778a6de42d9da",
  ],
  [
    "c1081649ada74362e6a1459d01dfd30d67c2234c940704da",
    "0000000155",
    "348056ec98fcc517171d2b4d7a9493af482d999175",
  ],
];

test("deriveRandom() has the results of RFC 3961, A.3", () => {
  for (const [key, constant, derived] of DERIVED) {
    const encrypt = (block: Uint8Array): void => {
      encryptInPlace("des-ede3-cbc", unhex(key), block);
    };
    assertEquals(hex(deriveRandom(encrypt, 8, unhex(constant), 21)), derived);
  }
});

/** Of MIT's t_derive.c; those of the encryption types with SHA-2 are also in RFC 8009, appendix A. */
const KEYS: readonly [enctype: number, key: string, byPurpose: Record<keyof typeof PURPOSE, string>][] = [
  [17, "42263c6e89f4fc28b8df68ee09799f15", {
    checksum: "34280a382bc92769b2da2f9ef066854b",
    encryption: "5b14fc4e250e14ddf9dccf1af6674f53",
    integrity: "4ed31063621684f09ae8d89991af3e8f",
  }],
  [18, "fe697b52bc0d3ce14432ba036a92e65bbb52280990a2fa27883998d72af30161", {
    checksum: "bfab388bdcb238e9f9c98d6a878304f04d30c82556375ac507a7a852790f4674",
    encryption: "c7cfd9cd75fe793a586a542d87e0d1396f1134a104bb1a9190b8c90ada3ddf37",
    integrity: "97151b4c76945063e2eb0529dc067d97d7bba90776d8126d91f34f3101aea8ba",
  }],
  [19, "3705d96080c17728a0e800eab6e0d23c", {
    checksum: "b31a018a48f54776f403e9a396325dc3",
    encryption: "9b197dd1e8c5609d6e67c3e37c62c72e",
    integrity: "9fda0e56ab2d85e1569a688696c26a6c",
  }],
  [20, "6d404d37faf79f9df0d33568d320669800eb4836472ea8a026d16b7182460c52", {
    checksum: "ef5718be86cc84963d8bbb5031e9f5c4ba41f28faf69e73d",
    encryption: "56ab22bee63d82d7bc5227f6773f8ea7a5eb1c825160c38312980c442e5c7e49",
    integrity: "69b16514e3cd8e56b82010d5c73012b622c4d00ffc23ed1f",
  }],
];

test("deriveKey() has the results of MIT's tests and of RFC 8009, appendix A", () => {
  for (const [number, key, byPurpose] of KEYS) {
    for (const [purpose, derived] of Object.entries(byPurpose)) {
      const code = PURPOSE[purpose as keyof typeof PURPOSE];
      assertEquals(
        hex(deriveKey(NODE, ENCTYPES.get(number)!, unhex(key), 2, code)),
        derived,
        `${number} ${purpose}`,
      );
    }
  }
});

test("deriveKey() gives each usage and purpose another key", () => {
  for (const [number, key] of KEYS) {
    const seen = new Set<string>();
    for (const usage of [0, 1, 22, 23, 24, 25, 256, 0x1000016, 0xffffffff]) {
      for (const purpose of Object.values(PURPOSE)) {
        seen.add(hex(deriveKey(NODE, ENCTYPES.get(number)!, unhex(key), usage, purpose)));
      }
    }
    assertEquals(seen.size, 27);
  }
});

test("ENCTYPES has AES alone: neither RC4 nor DES", () => {
  assertEquals([...ENCTYPES.keys()], [17, 18, 19, 20]);
  for (const [number, type] of ENCTYPES) {
    assertEquals(type.number, number);
    assert(type.cipher.startsWith("AES-") && type.cipher.includes(String(type.keyBytes * 8)));
  }
});

/** The sum of the rotated copies in one's complement, by large integers. */
function foldedByIntegers(input: Uint8Array, length: number): string {
  const [bits, width] = [BigInt(input.length * 8), BigInt(length * 8)];
  const value = BigInt(`0x${hex(input)}`);
  let copies = "";
  for (let copy = 0; copies.length % (length * 2) !== 0 || copy === 0; copy++) {
    const right = BigInt(13 * copy) % bits;
    const rotated = ((value >> right) | (value << (bits - right))) & ((1n << bits) - 1n);
    copies += rotated.toString(16).padStart(input.length * 2, "0");
  }
  let sum = 0n;
  for (let at = 0; at < copies.length; at += length * 2) {
    sum += BigInt(`0x${copies.slice(at, at + length * 2)}`);
  }
  while (sum >> width !== 0n) sum = (sum & ((1n << width) - 1n)) + (sum >> width);
  return sum.toString(16).padStart(length * 2, "0");
}

test("nFold() adds in one's complement, with every carry", () => {
  const byte = fc.oneof(fc.nat(255), fc.constantFrom(0, 0xff, 0x80, 0x7f));
  fc.assert(
    fc.property(
      fc.array(byte, { minLength: 1, maxLength: 20 }),
      fc.integer({ min: 1, max: 24 }),
      (bytes, length) => {
        const input = Uint8Array.from(bytes);
        assertEquals(hex(nFold(input, length)), foldedByIntegers(input, length));
      },
    ),
    { numRuns: 3000 },
  );
});

test("deriveKey() writes the usage with its highest byte first, and overwrites what it does not return", () => {
  const kept: Uint8Array[] = [];
  const primitives: DerivationPrimitives = {
    encryptBlock(type, key, block) {
      kept.push(block);
      NODE.encryptBlock(type, key, block);
    },
    hmac(type, key, message) {
      const output = NODE.hmac(type, key, message).slice();
      kept.push(output);
      return output;
    },
  };
  for (const [number, key] of KEYS) {
    const type = ENCTYPES.get(number)!;
    for (const usage of [22, 0x1234_5678, 0xfedc_ba98]) {
      kept.length = 0;
      const constant = Buffer.from([0, 0, 0, 0, PURPOSE.encryption]);
      constant.writeUInt32BE(usage);
      const derived = deriveKey(primitives, type, unhex(key), usage, PURPOSE.encryption);
      const blocks = type.encryptThenMac ? 1 : type.keyBytes / BLOCK_BYTES;
      assertEquals(kept.length, blocks);
      assert(kept.every((bytes) => bytes.every((byte) => byte === 0)));
      const expected = type.encryptThenMac
        ? NODE.hmac(
          type,
          unhex(key),
          Buffer.from([0, 0, 0, 1, ...constant, 0, 0, 0, type.keyBytes >> 5, type.keyBytes * 8 & 0xff]),
        )
          .subarray(0, type.keyBytes)
        : deriveRandom(
          (block) => NODE.encryptBlock(type, unhex(key), block),
          BLOCK_BYTES,
          constant,
          type.keyBytes,
        );
      assertEquals(hex(derived), hex(expected));
    }
  }
});

test("ENCTYPES and USAGE have the lengths and numbers of RFC 3962, RFC 8009 and RFC 4121", () => {
  const lengths = [...ENCTYPES.values()].map((
    { keyBytes, macKeyBytes, macBytes },
  ) => [keyBytes, macKeyBytes, macBytes]);
  assertEquals(lengths, [[16, 16, 12], [32, 32, 12], [16, 16, 16], [32, 24, 24]]);
  assertEquals(Object.entries(USAGE), [
    ["acceptorSeal", 22],
    ["acceptorSign", 23],
    ["initiatorSeal", 24],
    ["initiatorSign", 25],
  ]);
});
