/**
 * libcrypto of OpenSSL 3: the functions, layouts and constants that protect Kerberos records. No logic.
 *
 * @see https://docs.openssl.org/3.0/man3/EVP_EncryptInit/
 * @see https://docs.openssl.org/3.0/man3/EVP_MAC/
 * @module
 */

import type { LibrarySpec } from "../abi.ts";
import { MEMORY_FNS } from "../memory/memory.ts";
import type { Fields } from "../memory/struct.ts";

/**
 * The ciphers and message authentication codes of OpenSSL 3. Objects of the library are `usize`. Functions with the
 * result `i32` return 1 for success.
 */
export const LIBCRYPTO = {
  name: "libcrypto",
  instead:
    "Install OpenSSL 3: Debian libssl3, Fedora openssl-libs, Alpine libcrypto3, macOS `brew install openssl@3`",
  files: {
    linux: [
      "/usr/lib/{multiarch}/libcrypto.so.3",
      "/usr/lib64/libcrypto.so.3",
      "/usr/lib/libcrypto.so.3",
    ],
    darwin: [
      "/opt/homebrew/opt/openssl@3/lib/libcrypto.3.dylib",
      "/usr/local/opt/openssl@3/lib/libcrypto.3.dylib",
    ],
  },
  inNode: true,
  fns: {
    ...MEMORY_FNS,
    EVP_CIPHER_fetch: {
      params: [["ctx", "usize"], ["algorithm", "buf"], ["properties", "buf"]],
      result: "usize",
    },
    EVP_CIPHER_free: { params: [["cipher", "usize"]], result: "void" },
    EVP_CIPHER_CTX_new: { params: [], result: "usize" },
    EVP_CIPHER_CTX_free: { params: [["ctx", "usize"]], result: "void" },
    EVP_CipherInit_ex2: {
      params: [
        ["ctx", "usize"],
        ["type", "usize"],
        ["key", "buf"],
        ["iv", "buf"],
        ["enc", "i32"],
        ["params", "buf"],
      ],
      result: "i32",
    },
    EVP_CipherUpdate: {
      params: [["ctx", "usize"], ["out", "buf"], ["outl", "buf"], ["in", "buf"], ["inl", "i32"]],
      result: "i32",
    },
    EVP_MAC_fetch: {
      params: [["libctx", "usize"], ["algorithm", "buf"], ["properties", "buf"]],
      result: "usize",
    },
    EVP_MAC_free: { params: [["mac", "usize"]], result: "void" },
    EVP_MAC_CTX_new: { params: [["mac", "usize"]], result: "usize" },
    EVP_MAC_CTX_free: { params: [["ctx", "usize"]], result: "void" },
    EVP_MAC_init: {
      params: [["ctx", "usize"], ["key", "buf"], ["keylen", "usize"], ["params", "buf"]],
      result: "i32",
    },
    EVP_MAC_update: { params: [["ctx", "usize"], ["data", "buf"], ["datalen", "usize"]], result: "i32" },
    EVP_MAC_final: {
      params: [["ctx", "usize"], ["out", "buf"], ["outl", "buf"], ["outsize", "usize"]],
      result: "i32",
    },
  },
} as const satisfies LibrarySpec;

/** `OSSL_PARAM`. An array of them ends with one whose `key` is 0. */
export const OSSL_PARAM_FIELDS = {
  key: "ptr",
  data_type: "u32",
  data: "ptr",
  data_size: "usize",
  return_size: "usize",
} as const satisfies Fields;

/** `OSSL_PARAM_UTF8_STRING` */
export const OSSL_PARAM_UTF8_STRING = 4;
/** `EVP_MAX_MD_SIZE` */
export const EVP_MAX_MD_SIZE = 64;
