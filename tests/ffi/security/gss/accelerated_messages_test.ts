/** Messages by the vectors of RFC 3962, of MIT's own tests and of RFC 8009, and by another implementation. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { test } from "@test";
import { Buffer } from "node:buffer";
import { createCipheriv, createHmac } from "node:crypto";
import { existsSync } from "node:fs";
import fc from "fast-check";
import { AuthenticationError, type NativeError } from "../../../../errors.ts";
import type { Backend, LibrarySpec } from "../../../../ffi/abi.ts";
import { pinned } from "../../../../ffi/memory/memory.ts";
import { LIBCRYPTO } from "../../../../ffi/raw/libcrypto.ts";
import { type RecordCrypto, takeConfounder } from "../../../../ffi/security/gss/accelerated_crypto.ts";
import {
  BLOCK_BYTES,
  deriveKey,
  type Enctype,
  ENCTYPES,
  PURPOSE,
} from "../../../../ffi/security/gss/accelerated_keys.ts";
import {
  ChecksumKey,
  MessageKeys,
  openRecordCrypto,
} from "../../../../ffi/security/gss/accelerated_messages.ts";
import { NativeSystem } from "../../../../ffi/system.ts";
import { runtimeBackend } from "../../../support/native.ts";

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const unhex = (text: string): Uint8Array => {
  const bytes = pinned(text.length / 2);
  bytes.set(Buffer.from(text, "hex"));
  return bytes;
};

/** Of MIT's t_decrypt.c and RFC 8009, appendix A; the confounders of those with SHA-1 were found by decrypting. */
const MESSAGES: readonly (readonly [
  enctype: number,
  usage: number,
  key: string,
  confounder: string,
  plain: string,
  sealed: string,
])[] = [
  [
    17,
    0,
    "5a5c0f0ba54f3828b2195e66ca24a289",
    "814fc74e38526a9c5922c0ee1677e36d",
    "",
    "49ff8e11c173d9583a3254fbe7b1f1df36c538e8416784a1672e6676",
  ],
  [
    17,
    1,
    "98450e3f3baa13f5c99beb936981b06f",
    "ad7323404be6a6050419afeea869e71d",
    "31",
    "f86742f537b35dc2174a4dbaa920faf9042090b065e1ebb1cad9a65394",
  ],
  [
    17,
    2,
    "9062430c8cda3388922e6d6a509f5b7a",
    "94b491f481485b9a0678cd3c4ea386ad",
    "392062797465737373",
    "68fb9679601f45c78857b2bf820fd6e53eca8d42fd4b1d7024a09205abb7cd2ec26c355d2f",
  ],
  [
    17,
    3,
    "033ee6502c54fd23e27791e987983827",
    "0f3cd5bca51793d06cf4cbf968ff4c09",
    "31332062797465732062797465",
    "ec366d0327a933bf49330e650e49bc6b974637fe80bf532fe51795b4809718e6194724db948d1fd637",
  ],
  [
    17,
    4,
    "dceeb70b3de76562e689226c76429148",
    "bd251a0c5c1da48d996e66536ed9d8b8",
    "333020627974657320627974657320627974657320627974657320627974",
    "c96081032d5d8eeb7e32b4089f789d0faa481dea74c0f97cbf3146ddfcf8e800156ecb532fc203e30ff600b63b350939fece510f02d7ff1e7bac",
  ],
  [
    18,
    0,
    "17f275f2954f2ed1f90c377ba7f4d6a369aa0136e0bf0c927ad6133c693759a9",
    "31f0ae6cf52f6d4546a726fff28cfc2a",
    "",
    "e5094c55ee7b38262e2b044280b069379a95bf95bd8376fb3281b435",
  ],
  [
    18,
    1,
    "b9477e1ff0329c0050e20ce6c72d2dff27e8fe541ab0954429a9cb5b4f7b1e2a",
    "f0ad2bfa4f8793778c7c696984f26cdf",
    "31",
    "406150b97aeb76d43b36b62cc1ecdfbe6f40e95755e0beb5c27825f3a4",
  ],
  [
    18,
    2,
    "b1ae4cd8462aff1677053cc9279aac30b796fb81ce21474dd3ddbcfea4ec76d7",
    "99201e21f348a16c5a0b13a70e7ce5b2",
    "392062797465737373",
    "09957aa25fcaf88f7b39e4406e633012d5fea21853f6478da7065caef41fd454a40824eec5",
  ],
  [
    18,
    3,
    "e5a72be9b7926c1225bafef9c1872e7ba4cdb2b17893d84abd90acdd8764d966",
    "303c559dca743b6a2e4482adf2c4a86c",
    "31332062797465732062797465",
    "d8f1aafeec84587cc3e700a774e56651a6d693e174ec4473b5e6d96f80297a653fb818ad893e719f96",
  ],
  [
    18,
    4,
    "f1c795e9248a09338d82c3f8d5b567040b0110736845041347235b1404231398",
    "e45ca518b42e266ad98e165e706ffb60",
    "333020627974657320627974657320627974657320627974657320627974",
    "d1137a4d634cfece924dbc3bf6790648bd5cff7de0e7b99460211d0daef3d79a295c688858f3b34b9cbd6eebae81daf6b734d4d498b6714f1c1d",
  ],
  [
    19,
    2,
    "3705d96080c17728a0e800eab6e0d23c",
    "7e5895eaf2672435bad817f545a37148",
    "",
    "ef85fb890bb8472f4dab20394dca781dad877eda39d50c870c0d5a0a8e48c718",
  ],
  [
    19,
    2,
    "3705d96080c17728a0e800eab6e0d23c",
    "7bca285e2fd4130fb55b1a5c83bc5b24",
    "000102030405",
    "84d7f30754ed987bab0bf3506beb09cfb55402cef7e6877ce99e247e52d16ed4421dfdf8976c",
  ],
  [
    19,
    2,
    "3705d96080c17728a0e800eab6e0d23c",
    "56ab21713ff62c0a1457200f6fa9948f",
    "000102030405060708090a0b0c0d0e0f",
    "3517d640f50ddc8ad3628722b3569d2ae07493fa8263254080ea65c1008e8fc295fb4852e7d83e1e7c48c37eebe6b0d3",
  ],
  [
    19,
    2,
    "3705d96080c17728a0e800eab6e0d23c",
    "a7a4e29a4728ce10664fb64e49ad3fac",
    "000102030405060708090a0b0c0d0e0f1011121314",
    "720f73b18d9859cd6ccb4346115cd336c70f58edc0c4437c5573544c31c813bce1e6d072c186b39a413c2f92ca9b8334a287ffcbfc",
  ],
  [
    20,
    2,
    "6d404d37faf79f9df0d33568d320669800eb4836472ea8a026d16b7182460c52",
    "f764e9fa15c276478b2c7d0c4e5f58e4",
    "",
    "41f53fa5bfe7026d91faf9be959195a058707273a96a40f0a01960621ac612748b9bbfbe7eb4ce3c",
  ],
  [
    20,
    2,
    "6d404d37faf79f9df0d33568d320669800eb4836472ea8a026d16b7182460c52",
    "b80d3251c1f6471494256ffe712d0b9a",
    "000102030405",
    "4ed7b37c2bcac8f74f23c1cf07e62bc7b75fb3f637b9f559c7f664f69eab7b6092237526ea0d1f61cb20d69d10f2",
  ],
  [
    20,
    2,
    "6d404d37faf79f9df0d33568d320669800eb4836472ea8a026d16b7182460c52",
    "53bf8a0d105265d4e276428624ce5e63",
    "000102030405060708090a0b0c0d0e0f",
    "bc47ffec7998eb91e8115cf8d19dac4bbbe2e163e87dd37f49beca92027764f68cf51f14d798c2273f35df574d1f932e40c4ff255b36a266",
  ],
  [
    20,
    2,
    "6d404d37faf79f9df0d33568d320669800eb4836472ea8a026d16b7182460c52",
    "763e65367e864f02f55153c7e3b58af1",
    "000102030405060708090a0b0c0d0e0f1011121314",
    "40013e2df58e8751957d2878bcd2d6fe101ccfd556cb1eae79db3c3ee86429f2b2a602ac86fef6ecb647d6295fae077a1feb517508d2c16b4192e01f62",
  ],
];

const opened = new NativeSystem({ grants: ["sspi"] });
const available = opened.platform.os !== "windows" && openRecordCrypto(opened) !== null;
opened.close();
// Where the library is installed and is not used, the tests fail.
const installed = ["x86_64", "aarch64"].some((arch) =>
  existsSync(`/usr/lib/${arch}-linux-gnu/libcrypto.so.3`)
);
const skip = available || installed ? null : "OpenSSL 3 is needed: install libssl3";

/** Runs `body` with an open libcrypto. */
function withCrypto(body: (crypto: RecordCrypto) => void): void {
  using system = new NativeSystem({ grants: ["sspi"] });
  body(openRecordCrypto(system)!);
}

/** Runs `body` with the keys of both directions of one usage. */
function withKeys(
  crypto: RecordCrypto,
  type: Enctype,
  key: Uint8Array,
  usage: number,
  body: (sealing: MessageKeys, opening: MessageKeys) => void,
): void {
  const both = [true, false].map((encrypt) => new MessageKeys(crypto, type, key, usage, encrypt));
  try {
    body(both[0], both[1]);
  } finally {
    for (const keys of both) keys.close();
  }
}

function seal(keys: MessageKeys, type: Enctype, message: Uint8Array): Uint8Array {
  const buffer = pinned(BLOCK_BYTES + message.length + type.macBytes);
  buffer.set(message, BLOCK_BYTES);
  keys.seal(buffer, BLOCK_BYTES + message.length);
  return buffer.slice(BLOCK_BYTES);
}

/** The message, or `null` where it is refused. */
function open(keys: MessageKeys, type: Enctype, sealed: Uint8Array): Uint8Array | null {
  const buffer = pinned(BLOCK_BYTES + sealed.length);
  buffer.set(sealed, BLOCK_BYTES);
  const end = buffer.length - type.macBytes;
  return keys.open(buffer, end) ? buffer.slice(BLOCK_BYTES, end) : null;
}

test("MessageKeys has the results of MIT's tests and of RFC 8009, appendix A", () =>
  withCrypto((crypto) => {
    for (const [number, usage, key, confounder, plain, sealed] of MESSAGES) {
      const type = ENCTYPES.get(number)!;
      withKeys(crypto, type, unhex(key), usage, (sealing, opening) => {
        // Twice: contexts are used again.
        for (const _ of [1, 2]) {
          assertEquals(hex(seal(sealing, type, unhex(confounder + plain))), sealed);
          assertEquals(hex(open(opening, type, unhex(sealed))!), confounder + plain);
        }
      });
    }
  }), { skip });

/** RFC 3962, appendix B: AES-128 with ciphertext stealing, by the key "chicken teriyaki". */
const STOLEN: readonly [plain: string, sealed: string][] = [
  ["4920776f756c64206c696b652074686520", "c6353568f2bf8cb4d8a580362da7ff7f97"],
  [
    "4920776f756c64206c696b65207468652047656e6572616c20476175277320",
    "fc00783e0efdb2c1d445d4c8eff7ed2297687268d6ecccc0c07b25e25ecfe5",
  ],
  [
    "4920776f756c64206c696b65207468652047656e6572616c2047617527732043",
    "39312523a78662d5be7fcbcc98ebf5a897687268d6ecccc0c07b25e25ecfe584",
  ],
  [
    "4920776f756c64206c696b65207468652047656e6572616c20476175277320436869636b656e2c20706c656173652c",
    "97687268d6ecccc0c07b25e25ecfe584b3fffd940c16a18c1b5549d2f838029e39312523a78662d5be7fcbcc98ebf5",
  ],
  [
    "4920776f756c64206c696b65207468652047656e6572616c20476175277320436869636b656e2c20706c656173652c20",
    "97687268d6ecccc0c07b25e25ecfe5849dad8bbb96c4cdc03bc103e1a194bbd839312523a78662d5be7fcbcc98ebf5a8",
  ],
  [
    "4920776f756c64206c696b65207468652047656e6572616c20476175277320436869636b656e2c20706c656173652c20616e6420776f6e746f6e20736f75702e",
    "97687268d6ecccc0c07b25e25ecfe58439312523a78662d5be7fcbcc98ebf5a84807efe836ee89a526730dbc2f7bc8409dad8bbb96c4cdc03bc103e1a194bbd8",
  ],
];

test("Cipher has the results of RFC 3962, appendix B", () =>
  withCrypto((crypto) => {
    const key = new TextEncoder().encode("chicken teriyaki");
    const [encrypting, decrypting] = [true, false].map((encrypt) =>
      crypto.cipher(ENCTYPES.get(17)!, key, encrypt)
    );
    for (const [plain, sealed] of STOLEN) {
      const bytes = unhex(plain);
      encrypting.run(bytes);
      assertEquals(hex(bytes), sealed);
      decrypting.run(bytes);
      assertEquals(hex(bytes), plain);
    }
    // Less than a block cannot be encrypted.
    const error = assertThrows(() => encrypting.run(pinned(15)), AuthenticationError, "EVP_CipherUpdate");
    assertEquals((error.cause as NativeError).status, 0);
    encrypting.close();
    decrypting.close();
  }), { skip });

test("ChecksumKey has the results of RFC 8009, appendix A", () =>
  withCrypto((crypto) => {
    const plain = unhex("000102030405060708090a0b0c0d0e0f1011121314");
    for (
      const [number, key, checksum] of [
        [19, "3705d96080c17728a0e800eab6e0d23c", "d78367186643d67b411cba9139fc1dee"],
        [
          20,
          "6d404d37faf79f9df0d33568d320669800eb4836472ea8a026d16b7182460c52",
          "45ee791567eefca37f4ac1e0222de80d43c3bfa06699672a",
        ],
      ] as const
    ) {
      const keys = new ChecksumKey(crypto, ENCTYPES.get(number)!, unhex(key), 2);
      const out = pinned(checksum.length / 2);
      for (const at of [0, 1, plain.length]) {
        keys.write(plain.subarray(0, at), plain.subarray(at), out, 0);
        assertEquals(hex(out), checksum);
        assert(keys.verify(plain.subarray(0, at), plain.subarray(at), out, 0));
      }
      // Nothing is written beside it.
      const wide = pinned(out.length + 2);
      keys.write(plain, pinned(0), wide, 1);
      assertEquals(hex(wide), `00${checksum}00`);
      for (let at = 0; at < out.length; at++) {
        const changed = out.slice();
        changed[at] ^= 0x10;
        assertEquals(keys.verify(plain, pinned(0), changed, 0), false, `byte ${at}`);
      }
      assertEquals(keys.verify(plain, pinned(0), out.subarray(0, -1), 0), false);
      assertThrows(() => keys.write(plain, pinned(0), out, 1), RangeError);
      keys.close();
    }
  }), { skip });

/** Ciphertext stealing by CBC of another library, and HMAC over what RFC 3962 or RFC 8009 says. */
function reference(type: Enctype, key: Uint8Array, usage: number, message: Uint8Array): Uint8Array {
  const inPlace = (bits: number, k: Uint8Array, padded: Uint8Array): Uint8Array => {
    const cipher = createCipheriv(`aes-${bits}-cbc`, k, new Uint8Array(16)).setAutoPadding(false);
    return Buffer.concat([cipher.update(padded), cipher.final()]);
  };
  const primitives = {
    encryptBlock: (t: Enctype, k: Uint8Array, block: Uint8Array) =>
      block.set(inPlace(t.keyBytes * 8, k, block)),
    hmac: (t: Enctype, k: Uint8Array, bytes: Uint8Array): Uint8Array =>
      createHmac(t.digest.toLowerCase(), k).update(bytes).digest(),
  };
  const [ke, ki] = [PURPOSE.encryption, PURPOSE.integrity].map((p) =>
    deriveKey(primitives, type, key, usage, p)
  );
  const padded = new Uint8Array(Math.ceil(message.length / 16) * 16);
  padded.set(message);
  const cbc = inPlace(type.keyBytes * 8, ke, padded);
  const [before, last] = [cbc.subarray(0, -32), cbc.subarray(-16)];
  const tail = message.length - before.length - 16;
  const sealed = message.length === 16
    ? cbc
    : Buffer.concat([before, last, cbc.subarray(-32, -16).subarray(0, tail)]);
  const covered = type.encryptThenMac ? Buffer.concat([new Uint8Array(16), sealed]) : message;
  return Buffer.concat([sealed, primitives.hmac(type, ki, covered).subarray(0, type.macBytes)]);
}

test("MessageKeys seals as another implementation does, in every length", () =>
  withCrypto((crypto) => {
    for (const type of ENCTYPES.values()) {
      const key = unhex("5a".repeat(type.keyBytes));
      withKeys(crypto, type, key, 24, (sealing, opening) => {
        const same = (message: Uint8Array): void => {
          const sealed = seal(sealing, type, message);
          assert(
            Buffer.compare(sealed, reference(type, key, 24, message)) === 0,
            `${type.number} ${message.length}`,
          );
          assert(Buffer.compare(open(opening, type, sealed)!, message) === 0);
        };
        for (let length = 16; length <= 130; length++) same(new Uint8Array(length).fill(length));
        fc.assert(
          fc.property(fc.integer({ min: 16, max: 70_000 }), fc.nat(255), (length, first) => {
            same(Uint8Array.from({ length }, (_, at) => first + at * 7));
          }),
          { numRuns: 25 },
        );
      });
    }
  }), { skip });

test(
  "MessageKeys refuses a message with any bit changed, shortened or extended, or of another usage or key",
  () =>
    withCrypto((crypto) => {
      for (const type of ENCTYPES.values()) {
        const key = unhex("a5".repeat(type.keyBytes));
        withKeys(crypto, type, key, 22, (sealing, opening) => {
          for (const length of [16, 17, 32, 45]) {
            const message = new Uint8Array(length).fill(3);
            const sealed = seal(sealing, type, message);
            for (let bit = 0; bit < sealed.length * 8; bit++) {
              const changed = sealed.slice();
              changed[bit >> 3] ^= 1 << (bit & 7);
              assertEquals(open(opening, type, changed), null, `${type.number} bit ${bit}`);
            }
            if (length > 16) assertEquals(open(opening, type, sealed.slice(0, -1)), null);
            assertEquals(open(opening, type, Uint8Array.from([...sealed, 0])), null);
            const other = unhex("a6" + "a5".repeat(type.keyBytes - 1));
            withKeys(crypto, type, key, 23, (_, wrong) => assertEquals(open(wrong, type, sealed), null));
            withKeys(crypto, type, other, 22, (_, wrong) => assertEquals(open(wrong, type, sealed), null));
            assertEquals(open(opening, type, sealed), message);
          }
        });
      }
    }),
  { skip },
);

test("takeConfounder() never gives the same bytes twice, and changes nothing beside them", () => {
  const seen = new Set<string>();
  for (let count = 0; count < 2000; count++) {
    const out = new Uint8Array(20);
    takeConfounder(out, 2);
    assert(out.some((byte) => byte !== 0));
    assertEquals([out[0], out[1], out[18], out[19]], [0, 0, 0, 0]);
    seen.add(hex(out));
  }
  assertEquals(seen.size, 2000);
});

/** A backend whose libcrypto is changed by `change`; the names of the freed objects are counted. */
function changed(
  change: (name: string, result: unknown, args: unknown[]) => unknown,
  count: Map<string, number>,
): Backend {
  const real = runtimeBackend();
  const open = (path: string, spec: LibrarySpec) => {
    const library = real.open(path, spec);
    if (spec.name !== LIBCRYPTO.name) return library;
    const calls = library.call as unknown as Record<string, (...args: unknown[]) => unknown>;
    const call = Object.fromEntries(
      Object.entries(calls).map(([name, fn]) => [name, (...args: unknown[]) => {
        const result = change(name, fn(...args), args);
        const sign = /_free$/.test(name) && args[0] !== 0n
          ? -1
          : /_new$|_fetch$/.test(name) && result !== 0n
          ? 1
          : 0;
        const kind = name.replace(/_(free|new|fetch)$/, "");
        if (sign !== 0) count.set(kind, (count.get(kind) ?? 0) + sign);
        return result;
      }]),
    );
    return { ...library, call };
  };
  return { ...real, open: open as Backend["open"] };
}

const none = (count: Map<string, number>): boolean => [...count.values()].every((open) => open === 0);

test(
  "openRecordCrypto() uses no libcrypto that lacks something, fails, or computes otherwise, and frees what it had",
  () => {
    let [encrypts, covered] = [false, 0];
    const changeWhere = (direction: boolean, name: string, result: unknown, args: unknown[]): unknown => {
      if (name === "EVP_CipherInit_ex2" && args[4] !== -1) encrypts = args[4] === 1;
      const message = args[1] as Uint8Array;
      // Keys are derived by encrypting single blocks.
      if (name === "EVP_CipherUpdate" && encrypts === direction && message.length > BLOCK_BYTES) {
        message[0] ^= 1;
      }
      return result;
    };
    const faults: Record<string, (name: string, result: unknown, args: unknown[]) => unknown> = {
      "no cipher": (name, result) => name === "EVP_CIPHER_fetch" ? 0n : result,
      "no HMAC": (name, result) => name === "EVP_MAC_fetch" ? 0n : result,
      "no context of a cipher": (name, result) => name === "EVP_CIPHER_CTX_new" ? 0n : result,
      "no context of an HMAC": (name, result) => name === "EVP_MAC_CTX_new" ? 0n : result,
      "no mode": (name, result, args) => name === "EVP_CipherInit_ex2" && args[5] !== null ? 0 : result,
      "a context that cannot be used again": (name, result, args) =>
        name === "EVP_MAC_init" && args[1] === null ? 0 : result,
      "a key that no cipher takes": (name, result, args) => {
        if (name === "EVP_CipherInit_ex2" && args[5] !== null) throw new Error("injected");
        return result;
      },
      "a cipher that cannot be used again": (name, result, args) =>
        name === "EVP_CipherInit_ex2" && args[4] === -1 ? 0 : result,
      "no HMAC at all": (name, result) => {
        if (name === "EVP_MAC_fetch") throw new Error("injected");
        return result;
      },
      "a key that no HMAC takes": (name, result, args) =>
        name === "EVP_MAC_init" && args[1] !== null ? 0 : result,
      "a key for which HMAC fails": (name, result, args) => {
        if (name === "EVP_MAC_init" && args[1] !== null) throw new Error("injected");
        return result;
      },
      "a message that HMAC does not take": (name, result) => name === "EVP_MAC_update" ? 0 : result,
      "a checksum that HMAC does not return": (name, result) => name === "EVP_MAC_final" ? 0 : result,
      "a wrong length": (name, result, args) => {
        if (name === "EVP_CipherUpdate") (args[2] as Uint8Array)[0] ^= 1;
        return result;
      },
      "a wrong cipher": (name, result, args) => {
        if (name === "EVP_CipherUpdate") (args[1] as Uint8Array)[(args[1] as Uint8Array).length - 1] ^= 1;
        return result;
      },
      "a wrong cipher where it encrypts": (name, result, args) => changeWhere(true, name, result, args),
      "a wrong cipher where it decrypts": (name, result, args) => changeWhere(false, name, result, args),
      "a wrong checksum": (name, result, args) => {
        if (name === "EVP_MAC_final") (args[1] as Uint8Array)[11] ^= 1;
        return result;
      },
      "a wrong checksum where it decrypts with SHA-1": (name, result, args) => {
        if (name === "EVP_CipherInit_ex2" && args[4] !== -1) encrypts = args[4] === 1;
        if (name === "EVP_MAC_update") covered = Number(args[2]);
        if (name === "EVP_MAC_final" && !encrypts && covered === 46) (args[1] as Uint8Array)[11] ^= 1;
        return result;
      },
      "an error": (name, result) => {
        if (name === "EVP_MAC_update") throw new Error("injected");
        return result;
      },
    };
    for (const [what, change] of Object.entries(faults)) {
      const count = new Map<string, number>();
      const system = new NativeSystem({ grants: ["sspi"] }, { backend: changed(change, count) });
      assertEquals(openRecordCrypto(system), null, what);
      assert(none(count), `${what}: ${JSON.stringify([...count])}`);
      system.close();
      assert(none(count), what);
    }
  },
  { skip },
);

test("openRecordCrypto() opens libcrypto once, and its system frees and closes it", () => {
  const count = new Map<string, number>();
  const parameters: Uint8Array[] = [];
  const keep = (name: string, result: unknown, args: unknown[]): unknown => {
    const given = name === "EVP_CipherInit_ex2" ? args[5] : name === "EVP_MAC_init" ? args[3] : null;
    if (given !== null) parameters.push(given as Uint8Array);
    return result;
  };
  const system = new NativeSystem({ grants: ["sspi"] }, { backend: changed(keep, count) });
  const crypto = openRecordCrypto(system)!;
  // One parameter, and an empty one at the end.
  assert(parameters.length > 0);
  for (const array of parameters) assertEquals(array.slice(40), new Uint8Array(40));
  assertEquals(Object.fromEntries(count), { EVP_MAC: 1, EVP_CIPHER: 2, EVP_MAC_CTX: 0, EVP_CIPHER_CTX: 0 });
  // What is closed is not freed again.
  const [type, key] = [ENCTYPES.get(18)!, unhex("77".repeat(32))];
  const [mac, cipher] = [crypto.mac(type, key), crypto.cipher(type, key, true)];
  mac.compute(key);
  for (const closed of [mac, mac, cipher, cipher, crypto]) closed.close();
  assert(mac.output.every((byte) => byte === 0));
  system.close();
  assert(none(count));
  assertEquals(openRecordCrypto(system), null, "a closed system opens nothing");
}, { skip });

test(
  "openRecordCrypto() leaves records to the system's library where it has no permission, or is told so",
  () => {
    const real = runtimeBackend();
    const permits = (path: string): boolean => !path.includes("libcrypto") && real.permits(path);
    using denied = new NativeSystem({ grants: ["sspi"] }, { backend: { ...real, permits } });
    assertEquals(openRecordCrypto(denied), null);
    using told = new NativeSystem({ grants: ["sspi"] }, { records: "system" });
    assertEquals(openRecordCrypto(told), null);
    using without = new NativeSystem({ grants: [] });
    assertEquals(openRecordCrypto(without), null);
  },
  { skip },
);

test(
  "ChecksumKey refuses a checksum without its last byte, also where that is zero",
  () =>
    withCrypto((crypto) => {
      const keys = new ChecksumKey(crypto, ENCTYPES.get(18)!, unhex("11".repeat(32)), 23);
      const [out, message] = [pinned(12), pinned(4)];
      for (let count = 0; count === 0 || out[11] !== 0; count++) {
        new DataView(message.buffer).setUint32(0, count);
        keys.write(message, pinned(0), out, 0);
      }
      assert(keys.verify(message, pinned(0), out, 0));
      assertEquals(keys.verify(message, pinned(0), out.subarray(0, 11), 0), false);
      keys.close();
    }),
  { skip },
);

test("MessageKeys and ChecksumKey overwrite the keys that they derive", () =>
  withCrypto((crypto) => {
    const kept: Uint8Array[] = [];
    const keep = (key: Uint8Array): Uint8Array => {
      assert(key.some((byte) => byte !== 0));
      kept.push(key);
      return key;
    };
    const spy = {
      encryptBlock: (...args: Parameters<RecordCrypto["encryptBlock"]>) => crypto.encryptBlock(...args),
      hmac: (...args: Parameters<RecordCrypto["hmac"]>) => crypto.hmac(...args),
      cipher: (type: Enctype, key: Uint8Array, encrypt: boolean) => crypto.cipher(type, keep(key), encrypt),
      mac: (type: Enctype, key: Uint8Array) => crypto.mac(type, keep(key)),
    } as unknown as RecordCrypto;
    for (const type of ENCTYPES.values()) {
      const key = unhex("3c".repeat(type.keyBytes));
      new MessageKeys(spy, type, key, 24, true).close();
      new ChecksumKey(spy, type, key, 25).close();
    }
    assertEquals(kept.length, 12);
    assert(kept.every((key) => key.every((byte) => byte === 0)));
  }), { skip });
