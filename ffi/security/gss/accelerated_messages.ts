/**
 * Messages of Kerberos: encrypted with a checksum, or with a checksum alone. The keys of one usage each.
 *
 * @module
 */

import { pinned } from "../../memory/memory.ts";
import { LIBCRYPTO } from "../../raw/libcrypto.ts";
import type { NativeSystem } from "../../system.ts";
import { type Cipher, cryptoFailure, type Mac, RecordCrypto } from "./accelerated_crypto.ts";
import { BLOCK_BYTES, deriveKey, type Enctype, ENCTYPES, PURPOSE } from "./accelerated_keys.ts";

/**
 * Returns libcrypto's algorithms; `null` where it is missing, may not be opened, or is not right: an OpenSSL without these
 * algorithms, or one that computes them otherwise. The system's library then protects the records.
 */
export function openRecordCrypto(system: NativeSystem): RecordCrypto | null {
  if (system.seams.records === "system") return null;
  let crypto: RecordCrypto | undefined;
  try {
    const library = system.optionalLibrary("sspi", LIBCRYPTO);
    if (library === null) return null;
    crypto = new RecordCrypto(library.call);
    for (const type of ENCTYPES.values()) testMessages(crypto, type);
  } catch {
    crypto?.close();
    return null;
  }
  system.beforeClose(() => crypto.close());
  return crypto;
}

/** Returns what `use` returns for a derived key, which is overwritten. */
function useKey<T>(key: Uint8Array, use: (key: Uint8Array) => T): T {
  try {
    return use(key);
  } finally {
    key.fill(0);
  }
}

/** Encrypts or decrypts messages with the keys of one usage, in one direction. */
export class MessageKeys {
  readonly #type: Enctype;
  readonly #cipher: Cipher;
  readonly #mac: Mac;

  constructor(crypto: RecordCrypto, type: Enctype, key: Uint8Array, usage: number, encrypt: boolean) {
    this.#type = type;
    const derive = (purpose: number): Uint8Array => deriveKey(crypto, type, key, usage, purpose);
    this.#mac = useKey(derive(PURPOSE.integrity), (integrity) => crypto.mac(type, integrity));
    try {
      this.#cipher = useKey(
        derive(PURPOSE.encryption),
        (encryption) => crypto.cipher(type, encryption, encrypt),
      );
    } catch (error) {
      this.#mac.close();
      throw error;
    }
  }

  /**
   * Encrypts in place what is from {@linkcode BLOCK_BYTES} to `end`: a confounder and the plain text. Writes the checksum
   * behind it. May overwrite the bytes before it.
   */
  seal(buffer: Uint8Array, end: number): void {
    const message = buffer.subarray(BLOCK_BYTES, end);
    if (this.#type.encryptThenMac) {
      this.#cipher.run(message);
      this.#computeOverCiphertext(buffer, end);
    } else {
      this.#mac.compute(message);
      this.#cipher.run(message);
    }
    writeMac(this.#mac, this.#type, buffer, end);
  }

  /**
   * Decrypts in place what is from {@linkcode BLOCK_BYTES} to `end`, and returns whether the checksum behind it is right.
   * May overwrite the bytes before it. What was decrypted is not to be used where the checksum is wrong.
   */
  open(buffer: Uint8Array, end: number): boolean {
    const message = buffer.subarray(BLOCK_BYTES, end);
    if (this.#type.encryptThenMac) {
      this.#computeOverCiphertext(buffer, end);
      if (!hasMac(this.#mac, this.#type, buffer, end)) return false;
      this.#cipher.run(message);
      return true;
    }
    this.#cipher.run(message);
    this.#mac.compute(message);
    return hasMac(this.#mac, this.#type, buffer, end);
  }

  /** RFC 8009, section 5: the checksum covers the initial vector, which is zeros, and the ciphertext. */
  #computeOverCiphertext(buffer: Uint8Array, end: number): void {
    buffer.fill(0, 0, BLOCK_BYTES);
    this.#mac.compute(buffer.subarray(0, end));
  }

  /** Overwrites and frees the keys. */
  close(): void {
    this.#cipher.close();
    this.#mac.close();
  }
}

/** Computes and verifies checksums without encryption, with the key of one usage. */
export class ChecksumKey {
  readonly #type: Enctype;
  readonly #mac: Mac;

  constructor(crypto: RecordCrypto, type: Enctype, key: Uint8Array, usage: number) {
    this.#type = type;
    const derived = deriveKey(crypto, type, key, usage, PURPOSE.checksum);
    this.#mac = useKey(derived, (checksum) => crypto.mac(type, checksum));
  }

  /** Writes the checksum of `message` and `tail` to `out` at `at`. */
  write(message: Uint8Array, tail: Uint8Array, out: Uint8Array, at: number): void {
    this.#mac.compute(message, tail);
    writeMac(this.#mac, this.#type, out, at);
  }

  /** Returns whether the checksum of `message` and `tail` is in `bytes` at `at`. */
  verify(message: Uint8Array, tail: Uint8Array, bytes: Uint8Array, at: number): boolean {
    this.#mac.compute(message, tail);
    return hasMac(this.#mac, this.#type, bytes, at);
  }

  /** Overwrites and frees the key. */
  close(): void {
    this.#mac.close();
  }
}

function writeMac({ output }: Mac, { macBytes }: Enctype, out: Uint8Array, at: number): void {
  if (at + macBytes > out.length) throw new RangeError("There is no room for the checksum");
  for (let index = 0; index < macBytes; index++) out[at + index] = output[index];
}

/** Compares every byte, so that the time does not tell where the first difference is. */
function hasMac({ output }: Mac, { macBytes }: Enctype, bytes: Uint8Array, at: number): boolean {
  if (at + macBytes > bytes.length) return false;
  let difference = 0;
  for (let index = 0; index < macBytes; index++) difference |= bytes[at + index] ^ output[index];
  return difference === 0;
}

/** Throws where libcrypto's answers are wrong, also where a context is used a second time. */
function testMessages(crypto: RecordCrypto, type: Enctype): void {
  const { usage, ...texts } = KNOWN_ANSWERS[type.number];
  const [key, plain, sealed] = [texts.key, texts.plain, texts.sealed].map(fromHex);
  for (const encrypt of [true, false]) {
    const keys = new MessageKeys(crypto, type, key, usage, encrypt);
    try {
      for (const _ of [1, 2]) {
        const buffer = pinned(BLOCK_BYTES + sealed.length);
        buffer.set(encrypt ? plain : sealed, BLOCK_BYTES);
        const end = BLOCK_BYTES + plain.length;
        if (encrypt) keys.seal(buffer, end);
        else if (!keys.open(buffer, end)) throw cryptoFailure("EVP_MAC_final");
        const expected = encrypt ? sealed : plain;
        if (expected.some((byte, at) => byte !== buffer[BLOCK_BYTES + at])) {
          throw cryptoFailure("EVP_CipherUpdate");
        }
      }
    } finally {
      keys.close();
    }
  }
}

function fromHex(text: string): Uint8Array<ArrayBuffer> {
  const bytes = pinned(text.length / 2);
  for (let at = 0; at < bytes.length; at++) bytes[at] = parseInt(text.slice(at * 2, at * 2 + 2), 16);
  return bytes;
}

/** A message with its confounder, and the same sealed. */
interface KnownAnswer {
  readonly usage: number;
  readonly key: string;
  readonly plain: string;
  readonly sealed: string;
}

/**
 * Known answers: of MIT's tests for those with SHA-1, of RFC 8009 for those with SHA-2.
 *
 * @see https://github.com/krb5/krb5/blob/master/src/lib/crypto/crypto_tests/t_decrypt.c
 * @see https://www.rfc-editor.org/rfc/rfc8009#appendix-A
 */
const KNOWN_ANSWERS: { readonly [enctype: number]: KnownAnswer } = {
  17: {
    usage: 4,
    key: "dceeb70b3de76562e689226c76429148",
    plain: "bd251a0c5c1da48d996e66536ed9d8b8333020627974657320627974657320627974657320627974" +
      "657320627974",
    sealed: "c96081032d5d8eeb7e32b4089f789d0faa481dea74c0f97cbf3146ddfcf8e800156ecb532fc203e3" +
      "0ff600b63b350939fece510f02d7ff1e7bac",
  },
  18: {
    usage: 4,
    key: "f1c795e9248a09338d82c3f8d5b567040b0110736845041347235b1404231398",
    plain: "e45ca518b42e266ad98e165e706ffb60333020627974657320627974657320627974657320627974" +
      "657320627974",
    sealed: "d1137a4d634cfece924dbc3bf6790648bd5cff7de0e7b99460211d0daef3d79a295c688858f3b34b" +
      "9cbd6eebae81daf6b734d4d498b6714f1c1d",
  },
  19: {
    usage: 2,
    key: "3705d96080c17728a0e800eab6e0d23c",
    plain: "a7a4e29a4728ce10664fb64e49ad3fac000102030405060708090a0b0c0d0e0f1011121314",
    sealed: "720f73b18d9859cd6ccb4346115cd336c70f58edc0c4437c5573544c31c813bce1e6d072c186b39a" +
      "413c2f92ca9b8334a287ffcbfc",
  },
  20: {
    usage: 2,
    key: "6d404d37faf79f9df0d33568d320669800eb4836472ea8a026d16b7182460c52",
    plain: "763e65367e864f02f55153c7e3b58af1000102030405060708090a0b0c0d0e0f1011121314",
    sealed: "40013e2df58e8751957d2878bcd2d6fe101ccfd556cb1eae79db3c3ee86429f2b2a602ac86fef6ec" +
      "b647d6295fae077a1feb517508d2c16b4192e01f62",
  },
};
