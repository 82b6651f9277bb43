/**
 * Channel bindings: data that ties an authentication to the TLS connection that carries it (RFC 5056, RFC 5929).
 *
 * @module
 */

import type { ChannelBindings } from "../contract.ts";

const PREFIX = new TextEncoder().encode("tls-server-end-point:");

/** The hash of each signature algorithm, by its object identifier in hexadecimal; MD5 and SHA-1 become SHA-256. */
const HASHES: { readonly [oid: string]: "SHA-256" | "SHA-384" | "SHA-512" } = {
  // md5, sha1, sha256, sha384 and sha512 with RSA (RFC 8017)
  "2a864886f70d010104": "SHA-256",
  "2a864886f70d010105": "SHA-256",
  "2a864886f70d01010b": "SHA-256",
  "2a864886f70d01010c": "SHA-384",
  "2a864886f70d01010d": "SHA-512",
  // ECDSA with SHA-1, SHA-256, SHA-384 and SHA-512 (RFC 5758)
  "2a8648ce3d0401": "SHA-256",
  "2a8648ce3d040302": "SHA-256",
  "2a8648ce3d040303": "SHA-384",
  "2a8648ce3d040304": "SHA-512",
};
const RSA_PSS = "2a864886f70d01010a";
/** The hash that RSASSA-PSS-params names. */
const PSS_HASHES: typeof HASHES = {
  "2b0e03021a": "SHA-256",
  "608648016503040201": "SHA-256",
  "608648016503040202": "SHA-384",
  "608648016503040203": "SHA-512",
};
const SEQUENCE = 0x30;
const OBJECT_IDENTIFIER = 0x06;
const HASH_ALGORITHM = 0xa0;

/**
 * Returns the application data of channel bindings.
 *
 * @throws TypeError if they are neither bytes nor a certificate whose signature has one hash: Ed25519 and Ed448
 * have none, so RFC 5929 defines no `tls-server-end-point` for them.
 */
export async function bindingBytes(bindings: ChannelBindings): Promise<Uint8Array> {
  if (bindings instanceof Uint8Array) return bindings;
  const { certificate } = bindings;
  const hash = await crypto.subtle.digest(hashOf(certificate), new Uint8Array(certificate));
  const bytes = new Uint8Array(PREFIX.length + hash.byteLength);
  bytes.set(PREFIX);
  bytes.set(new Uint8Array(hash), PREFIX.length);
  return bytes;
}

/** Checks channel bindings and returns a copy of them; `name` is the argument's name in the error. */
export function checkBindings(bindings: unknown, name: string): ChannelBindings {
  if (bindings instanceof Uint8Array && bindings.length > 0) return new Uint8Array(bindings);
  const { type, certificate } = (bindings ?? {}) as { type?: unknown; certificate?: unknown };
  if (type === "tls-server-end-point" && certificate instanceof Uint8Array) {
    hashOf(certificate);
    return { type, certificate: new Uint8Array(certificate) };
  }
  throw new TypeError(
    `${name} must be a Uint8Array that is not empty (RFC 5929 application data), or { type: ` +
      '"tls-server-end-point", certificate } with the certificate in DER; leave it out if there are ' +
      "none",
  );
}

interface Element {
  readonly tag: number;
  readonly content: Uint8Array;
  /** Where the next element starts. */
  readonly end: number;
}

/** The DER element at `at`. Lengths beyond the bytes, or longer than four bytes, are refused. */
function element(bytes: Uint8Array, at: number): Element {
  const tag = bytes[at];
  let length = bytes[at + 1];
  let start = at + 2;
  if (length > 0x80 && length <= 0x84) {
    const count = length - 0x80;
    length = 0;
    for (let index = 0; index < count; index++) length = length * 256 + bytes[start + index];
    start += count;
  } else if (length === undefined || length >= 0x80) {
    throw malformed();
  }
  const end = start + length;
  // Also refuses NaN, the result of reading beyond the bytes.
  if (!(end <= bytes.length)) throw malformed();
  return { tag, content: bytes.subarray(start, end), end };
}

function expect(bytes: Uint8Array, at: number, tag: number): Element {
  const found = element(bytes, at);
  if (found.tag !== tag) throw malformed();
  return found;
}

function malformed(): TypeError {
  return new TypeError("certificate is not an X.509 certificate in DER; PEM text must be decoded first");
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * The hash of RFC 5929, section 4.1: the hash of the certificate's signature, and SHA-256 in place of MD5 and
 * SHA-1.
 */
function hashOf(certificate: Uint8Array): "SHA-256" | "SHA-384" | "SHA-512" {
  const outer = expect(certificate, 0, SEQUENCE);
  if (outer.end !== certificate.length) throw malformed();
  const signed = expect(outer.content, 0, SEQUENCE);
  const algorithm = expect(outer.content, signed.end, SEQUENCE).content;
  const identifier = expect(algorithm, 0, OBJECT_IDENTIFIER);
  const oid = hex(identifier.content);
  const hash = oid === RSA_PSS ? pssHash(algorithm, identifier.end) : HASHES[oid];
  if (hash !== undefined) return hash;
  throw new TypeError(
    "certificate is signed by an algorithm without one hash function, such as Ed25519: RFC 5929 does " +
      "not define tls-server-end-point for it. Use a certificate signed with RSA or ECDSA, or leave " +
      "channelBindings out",
  );
}

function pssHash(algorithm: Uint8Array, at: number): ReturnType<typeof hashOf> | undefined {
  const parameters = expect(algorithm, at, SEQUENCE).content;
  // If left out, the hash is SHA-1 (RFC 4055), which SHA-256 replaces.
  if (parameters.length === 0 || parameters[0] !== HASH_ALGORITHM) return "SHA-256";
  const hash = expect(element(parameters, 0).content, 0, SEQUENCE).content;
  return PSS_HASHES[hex(expect(hash, 0, OBJECT_IDENTIFIER).content)];
}
