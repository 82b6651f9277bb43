/**
 * Names of Kerberos' encryption types.
 *
 * @see https://www.iana.org/assignments/kerberos-parameters
 * @module
 */

const NAMES: Readonly<Record<number, string>> = {
  1: "des-cbc-crc",
  3: "des-cbc-md5",
  16: "des3-cbc-sha1",
  17: "aes128-cts-hmac-sha1-96",
  18: "aes256-cts-hmac-sha1-96",
  19: "aes128-cts-hmac-sha256-128",
  20: "aes256-cts-hmac-sha384-192",
  23: "rc4-hmac",
  24: "rc4-hmac-exp",
  25: "camellia128-cts-cmac",
  26: "camellia256-cts-cmac",
};

/** Returns the registered name of an encryption type. */
export function enctypeName(enctype: number): string {
  return NAMES[enctype] ?? `enctype ${enctype}`;
}

/** Whether an encryption type is deprecated (RFC 6649, RFC 8429). */
export function isWeak(enctype: number): boolean {
  return [1, 2, 3, 16, 23, 24].includes(enctype);
}
