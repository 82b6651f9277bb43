/**
 * [MS-NLMP] 4.2.1 and 4.2.4: the published example of NTLMv2, whole.
 *
 * @see https://learn.microsoft.com/openspecs/windows_protocols/ms-nlmp/125f7a94-933e-4023-a146-a449e49bf774
 */

/** Hexadecimal, with any white space, as bytes. */
export function bytes(hex: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(hex.match(/[0-9a-f]{2}/gi) ?? [], (pair) => parseInt(pair, 16));
}

/** Text as UTF-16. */
export function utf16(text: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Uint16Array.from(text.split(""), (unit) => unit.charCodeAt(0)).buffer);
}

export const USER = "User";
export const DOMAIN = "Domain";
export const PASSWORD = "Password";
export const WORKSTATION = "COMPUTER";
export const SERVER = "Server";
export const SESSION_KEY: Uint8Array<ArrayBuffer> = bytes("55".repeat(16));
export const CLIENT_CHALLENGE: Uint8Array<ArrayBuffer> = bytes("aa".repeat(8));
export const SERVER_CHALLENGE: Uint8Array<ArrayBuffer> = bytes("0123456789abcdef");
export const CHALLENGE_FLAGS = 0xe28a8233;
export const AUTHENTICATE_FLAGS = 0xe2888235;

/** 4.2.2.1.2, the same in 4.2.4: NTOWFv1. */
export const NT_HASH: Uint8Array<ArrayBuffer> = bytes("a4f49c406510bdcab6824ee7c30fd852");
/** 4.2.4.1.1: NTOWFv2. */
export const RESPONSE_KEY: Uint8Array<ArrayBuffer> = bytes("0c868a403bfd7a93a3001ef22ef02e3f");
/** 4.2.4.1.2. */
export const BASE_KEY: Uint8Array<ArrayBuffer> = bytes("8de40ccadbc14a82f15cb0ad0de95ca3");
/** The AV pairs of 4.2.4 with their end. */
export const TARGET_INFO: Uint8Array<ArrayBuffer> = bytes(`
  0200 0c00 44006f006d00610069006e00
  0100 0c00 530065007200760065007200
  0000 0000
`);
/** 4.2.4.1.3: temp, with the zeros after the pairs. */
export const BLOB: Uint8Array<ArrayBuffer> = bytes(`
  0101 000000000000 0000000000000000 aaaaaaaaaaaaaaaa 00000000
  0200 0c00 44006f006d00610069006e00
  0100 0c00 530065007200760065007200
  0000 0000 00000000
`);
/** 4.2.4.2.2: the first 16 bytes of the answer. */
export const PROOF: Uint8Array<ArrayBuffer> = bytes("68cd0ab851e51c96aabc927bebef6a1c");
/** 4.2.4.2.3. */
export const ENCRYPTED_KEY: Uint8Array<ArrayBuffer> = bytes("c5dad2544fc9799094ce1ce90bc9d03e");

/** 4.2.4.3: CHALLENGE_MESSAGE. */
export const CHALLENGE: Uint8Array<ArrayBuffer> = bytes(`
  4e544c4d53535000 02000000 0c000c0038000000 33828ae2 0123456789abcdef 0000000000000000
  2400240044000000 060070170000000f
  530065007200760065007200
  02000c0044006f006d00610069006e00 01000c00530065007200760065007200 00000000
`);
/** 4.2.4.3: AUTHENTICATE_MESSAGE. It has no message integrity code, and an LMv2 answer beside NTLMv2's. */
export const AUTHENTICATE: Uint8Array<ArrayBuffer> = bytes(`
  4e544c4d53535000 03000000 180018006c000000 5400540084000000 0c000c0048000000 0800080054000000
  100010005c000000 10001000d8000000 358288e2 0501280a0000000f
  44006f006d00610069006e00 5500730065007200 43004f004d0050005500540045005200
  86c35097ac9cec102554764a57cccc19aaaaaaaaaaaaaaaa
  68cd0ab851e51c96aabc927bebef6a1c
  01010000000000000000000000000000aaaaaaaaaaaaaaaa00000000
  02000c0044006f006d00610069006e00 01000c00530065007200760065007200 00000000 00000000
  c5dad2544fc9799094ce1ce90bc9d03e
`);

/** 4.2.4.4: the first sealed message from the client. */
export const SEAL_KEY: Uint8Array<ArrayBuffer> = bytes("59f600973cc4960a25480a7c196e4c58");
export const SIGN_KEY: Uint8Array<ArrayBuffer> = bytes("4788dc861b4782f35d43fd98fe1a2d39");
export const PLAIN: Uint8Array<ArrayBuffer> = utf16("Plaintext");
export const SEALED: Uint8Array<ArrayBuffer> = bytes("54e50165bf1936dc996020c1811b0f06fb5f");
/** HMAC-MD5 of the number and the message, its first 8 bytes, before the cipher. */
export const CHECKSUM: Uint8Array<ArrayBuffer> = bytes("70352851f2564309");
export const SIGNATURE: Uint8Array<ArrayBuffer> = bytes("01000000 7fb38ec5c55d4976 00000000");
