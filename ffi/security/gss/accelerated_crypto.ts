/**
 * The ciphers and checksums of Kerberos records by libcrypto, which uses the processor's instructions for them; MIT's
 * libk5crypto does not.
 *
 * @module
 */

import { AuthenticationError, NativeError } from "../../../errors.ts";
import type { Calls } from "../../abi.ts";
import { cString, type Memory, memoryOf, pinned } from "../../memory/memory.ts";
import { struct } from "../../memory/struct.ts";
import {
  EVP_MAX_MD_SIZE,
  type LIBCRYPTO,
  OSSL_PARAM_FIELDS,
  OSSL_PARAM_UTF8_STRING,
} from "../../raw/libcrypto.ts";
import { BLOCK_BYTES, type DerivationPrimitives, type Enctype, ENCTYPES } from "./accelerated_keys.ts";

type CryptoCalls = Calls<typeof LIBCRYPTO>;

const OSSL_PARAM = struct("OSSL_PARAM", OSSL_PARAM_FIELDS);
/** The initial vector of every message: Kerberos has a confounder instead. */
const ZERO_IV = pinned(BLOCK_BYTES);
/** `EVP_CipherUpdate` writes the length of its output here. */
const OUTPUT_LENGTH = new Uint32Array(pinned(4).buffer);
const OUTPUT_LENGTH_BYTES = new Uint8Array(OUTPUT_LENGTH.buffer);

/** Returns the error for a function of libcrypto that failed. */
export function cryptoFailure(fn: string): AuthenticationError {
  const cause = new NativeError(fn, 0, "0", "");
  return new AuthenticationError(
    "other",
    `Cannot protect or open a record: ${cause.message}. Connect again`,
    {
      cause,
    },
  );
}

/** AES with ciphertext stealing, in one direction with one key. */
export class Cipher {
  readonly #call: CryptoCalls;
  #context: bigint;

  constructor(call: CryptoCalls, cipher: bigint, parameters: Uint8Array, key: Uint8Array, encrypt: boolean) {
    this.#call = call;
    this.#context = call.EVP_CIPHER_CTX_new();
    if (this.#context === 0n) throw cryptoFailure("EVP_CIPHER_CTX_new");
    const direction = encrypt ? 1 : 0;
    let ready = false;
    try {
      ready = call.EVP_CipherInit_ex2(this.#context, cipher, key, ZERO_IV, direction, parameters) === 1;
    } finally {
      if (!ready) this.close();
    }
    if (!ready) throw cryptoFailure("EVP_CipherInit_ex2");
  }

  /** Encrypts or decrypts one message in place; it has at least one block. */
  run(message: Uint8Array): void {
    // The key, the direction and the mode stay as they are.
    if (this.#call.EVP_CipherInit_ex2(this.#context, 0n, null, ZERO_IV, KEEP, null) !== 1) {
      throw cryptoFailure("EVP_CipherInit_ex2");
    }
    const { length } = message;
    const result = this.#call.EVP_CipherUpdate(this.#context, message, OUTPUT_LENGTH_BYTES, message, length);
    if (result !== 1 || OUTPUT_LENGTH[0] !== length) throw cryptoFailure("EVP_CipherUpdate");
  }

  /** Overwrites and frees the key. */
  close(): void {
    this.#call.EVP_CIPHER_CTX_free(this.#context);
    this.#context = 0n;
  }
}

/** The value of `enc` that keeps the direction. */
const KEEP = -1;
const OUTPUT_BYTES = BigInt(EVP_MAX_MD_SIZE);

/** HMAC with one key. */
export class Mac {
  readonly #call: CryptoCalls;
  #context: bigint;
  /** The last checksum, not truncated. */
  readonly output: Uint8Array = pinned(EVP_MAX_MD_SIZE);

  constructor(call: CryptoCalls, mac: bigint, parameters: Uint8Array, key: Uint8Array) {
    this.#call = call;
    this.#context = call.EVP_MAC_CTX_new(mac);
    if (this.#context === 0n) throw cryptoFailure("EVP_MAC_CTX_new");
    let ready = false;
    try {
      ready = call.EVP_MAC_init(this.#context, key, BigInt(key.length), parameters) === 1;
    } finally {
      if (!ready) this.close();
    }
    if (!ready) throw cryptoFailure("EVP_MAC_init");
  }

  /** Computes the checksum of `message` and `tail` into {@linkcode Mac.output}. */
  compute(message: Uint8Array, tail?: Uint8Array): void {
    // Without a key it starts again with the same one.
    if (this.#call.EVP_MAC_init(this.#context, null, 0n, null) !== 1) throw cryptoFailure("EVP_MAC_init");
    this.#update(message);
    if (tail !== undefined) this.#update(tail);
    if (this.#call.EVP_MAC_final(this.#context, this.output, null, OUTPUT_BYTES) !== 1) {
      throw cryptoFailure("EVP_MAC_final");
    }
  }

  #update(part: Uint8Array): void {
    if (this.#call.EVP_MAC_update(this.#context, part, BigInt(part.length)) !== 1) {
      throw cryptoFailure("EVP_MAC_update");
    }
  }

  /** Overwrites and frees the key. */
  close(): void {
    this.#call.EVP_MAC_CTX_free(this.#context);
    this.#context = 0n;
    this.output.fill(0);
  }
}

/** The algorithms of an open libcrypto; one for each system. */
export class RecordCrypto implements DerivationPrimitives {
  readonly #call: CryptoCalls;
  readonly #memory: Memory;
  readonly #ciphers = new Map<string, bigint>();
  #hmac = 0n;
  readonly #ctsMode: Uint8Array;
  readonly #digests = new Map<string, Uint8Array>();
  /** What the parameters point to. */
  readonly #held: Uint8Array[] = [];

  constructor(call: CryptoCalls) {
    this.#call = call;
    this.#memory = memoryOf(call);
    // Kerberos always swaps the last two blocks (RFC 3962, section 5).
    this.#ctsMode = this.#textParameter("cts_mode", "CS3");
    try {
      this.#hmac = call.EVP_MAC_fetch(0n, cString("HMAC"), null);
      if (this.#hmac === 0n) throw cryptoFailure("EVP_MAC_fetch");
      for (const { cipher, digest } of ENCTYPES.values()) {
        if (!this.#digests.has(digest)) this.#digests.set(digest, this.#textParameter("digest", digest));
        if (this.#ciphers.has(cipher)) continue;
        const fetched = call.EVP_CIPHER_fetch(0n, cString(cipher), null);
        if (fetched === 0n) throw cryptoFailure("EVP_CIPHER_fetch");
        this.#ciphers.set(cipher, fetched);
      }
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** An array of one `OSSL_PARAM` with a text. */
  #textParameter(name: string, text: string): Uint8Array {
    const [key, data] = [cString(name), cString(text)];
    const bytes = pinned(OSSL_PARAM.size * 2);
    OSSL_PARAM.write(new DataView(bytes.buffer), {
      key: this.#memory.addressOf(key),
      data_type: OSSL_PARAM_UTF8_STRING,
      data: this.#memory.addressOf(data),
      data_size: BigInt(text.length),
    });
    this.#held.push(key, data);
    return bytes;
  }

  /** Returns a cipher with a copy of `key`; the caller closes it. */
  cipher(type: Enctype, key: Uint8Array, encrypt: boolean): Cipher {
    return new Cipher(this.#call, this.#ciphers.get(type.cipher)!, this.#ctsMode, key, encrypt);
  }

  /** Returns an HMAC with a copy of `key`; the caller closes it. */
  mac(type: Enctype, key: Uint8Array): Mac {
    return new Mac(this.#call, this.#hmac, this.#digests.get(type.digest)!, key);
  }

  encryptBlock(type: Enctype, key: Uint8Array, block: Uint8Array): void {
    const cipher = this.cipher(type, key, true);
    try {
      cipher.run(block);
    } finally {
      cipher.close();
    }
  }

  hmac(type: Enctype, key: Uint8Array, message: Uint8Array): Uint8Array {
    const mac = this.mac(type, key);
    try {
      mac.compute(message);
      return mac.output.slice();
    } finally {
      mac.close();
    }
  }

  /** Frees the algorithms. */
  close(): void {
    for (const cipher of this.#ciphers.values()) this.#call.EVP_CIPHER_free(cipher);
    this.#ciphers.clear();
    this.#call.EVP_MAC_free(this.#hmac);
    this.#hmac = 0n;
  }
}

/** Random bytes for confounders, taken in a row. */
const RANDOM = pinned(4096);
let used = RANDOM.length;

/** Writes a new confounder to `out` at `at`. */
export function takeConfounder(out: Uint8Array, at: number): void {
  if (used === RANDOM.length) {
    crypto.getRandomValues(RANDOM);
    used = 0;
  }
  for (let index = 0; index < BLOCK_BYTES; index++, used++) {
    out[at + index] = RANDOM[used];
  }
}
