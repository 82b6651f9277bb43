/**
 * Reads the transforms of an IPsec security association and returns the standard names of their algorithms.
 *
 * @see https://learn.microsoft.com/windows/win32/api/ipsectypes/ns-ipsectypes-ipsec_sa0
 * @see https://learn.microsoft.com/windows/win32/api/ipsectypes/ns-ipsectypes-ipsec_cipher_transform_id0
 * @see https://learn.microsoft.com/windows/win32/api/ipsectypes/ns-ipsectypes-ipsec_auth_transform_id0
 * @module
 */

import { malformed, type Memory, structAt } from "../memory/memory.ts";
import {
  IPSEC_AUTH,
  IPSEC_AUTH_CONFIG,
  IPSEC_CIPHER_CONFIG,
  IPSEC_CIPHER_TYPE,
  type IPSEC_SA0,
  IPSEC_SA_AUTH_AND_CIPHER_INFORMATION0,
  IPSEC_SA_AUTH_INFORMATION0,
  IPSEC_SA_CIPHER_INFORMATION0,
  IPSEC_TRANSFORM,
} from "../raw/wfp.ts";
import type { Values } from "../memory/struct.ts";

/** What is done to each packet. */
export interface Transform {
  /** The protocol and its service. */
  readonly type: "ah" | "esp-auth" | "esp-cipher" | "esp-auth-and-cipher" | "esp-auth-fw";
  /** The cipher with its mode of operation, `aes-256-gcm`; left out: none. */
  readonly cipher?: string;
  /** The length of its key in bits, where the cipher's name determines it. */
  readonly cipherKeyBits?: number;
  /** The integrity algorithm, `hmac-sha-256-128` or `aes-256-gcm`; left out: none. */
  readonly integrity?: string;
  /** The length of its key in bits, in the same way. */
  readonly integrityKeyBits?: number;
}

interface Algorithm {
  readonly type: number;
  readonly config: number;
  readonly name: string;
  readonly keyBits?: number;
}

/** The pairs of type and configuration that the headers define (`IPSEC_CIPHER_TRANSFORM_ID_*`). */
const CIPHERS: readonly Algorithm[] = [
  { type: IPSEC_CIPHER_TYPE.DES, config: IPSEC_CIPHER_CONFIG.CBC_DES, name: "des-cbc" },
  { type: IPSEC_CIPHER_TYPE["3DES"], config: IPSEC_CIPHER_CONFIG.CBC_3DES, name: "3des-cbc" },
  ...([128, 192, 256] as const).flatMap((keyBits) => {
    const type = IPSEC_CIPHER_TYPE[`AES_${keyBits}`];
    return [
      { type, config: IPSEC_CIPHER_CONFIG[`CBC_AES_${keyBits}`], name: `aes-${keyBits}-cbc`, keyBits },
      { type, config: IPSEC_CIPHER_CONFIG[`GCM_AES_${keyBits}`], name: `aes-${keyBits}-gcm`, keyBits },
    ];
  }),
];

/** The same for `IPSEC_AUTH_TRANSFORM_ID_*`. */
const INTEGRITY: readonly Algorithm[] = [
  { type: IPSEC_AUTH.MD5, config: IPSEC_AUTH_CONFIG.HMAC_MD5_96, name: "hmac-md5-96" },
  { type: IPSEC_AUTH.SHA_1, config: IPSEC_AUTH_CONFIG.HMAC_SHA_1_96, name: "hmac-sha-1-96" },
  { type: IPSEC_AUTH.SHA_256, config: IPSEC_AUTH_CONFIG.HMAC_SHA_256_128, name: "hmac-sha-256-128" },
  ...([128, 192, 256] as const).map((keyBits) => ({
    type: IPSEC_AUTH[`AES_${keyBits}`],
    config: IPSEC_AUTH_CONFIG[`GCM_AES_${keyBits}`],
    name: `aes-${keyBits}-gcm`,
    keyBits,
  })),
];

function known(algorithms: readonly Algorithm[], type: number, config: number): Omit<Algorithm, "type"> {
  return algorithms.find((each) => each.type === type && each.config === config) ??
    { config, name: `unknown (type ${type}, configuration ${config})` };
}

/** Reads the transform of a security association. Never reads its keys. */
export function readTransform(memory: Memory, sa: Values<typeof IPSEC_SA0["fields"]>): Transform {
  const { saTransformType, espAuthAndCipherInformation: at } = sa;
  switch (saTransformType) {
    case IPSEC_TRANSFORM.AH:
      return { type: "ah", ...integrityOf(structAt(memory, at, IPSEC_SA_AUTH_INFORMATION0)) };
    case IPSEC_TRANSFORM.ESP_AUTH:
      return { type: "esp-auth", ...integrityOf(structAt(memory, at, IPSEC_SA_AUTH_INFORMATION0)) };
    case IPSEC_TRANSFORM.ESP_AUTH_FW:
      return { type: "esp-auth-fw", ...integrityOf(structAt(memory, at, IPSEC_SA_AUTH_INFORMATION0)) };
    case IPSEC_TRANSFORM.ESP_CIPHER:
      return { type: "esp-cipher", ...cipherOf(structAt(memory, at, IPSEC_SA_CIPHER_INFORMATION0)) };
    case IPSEC_TRANSFORM.ESP_AUTH_AND_CIPHER: {
      const both = structAt(memory, at, IPSEC_SA_AUTH_AND_CIPHER_INFORMATION0);
      return {
        type: "esp-auth-and-cipher",
        ...cipherOf(both.saCipherInformation),
        ...integrityOf(both.saAuthInformation),
      };
    }
    default:
      throw malformed(`a transform of type ${saTransformType}`);
  }
}

function integrityOf(
  { authTransform }: Values<typeof IPSEC_SA_AUTH_INFORMATION0["fields"]>,
): Pick<Transform, "integrity" | "integrityKeyBits"> {
  const { authType, authConfig } = authTransform.authTransformId;
  const { name, keyBits } = known(INTEGRITY, authType, authConfig);
  return { integrity: name, ...(keyBits === undefined ? {} : { integrityKeyBits: keyBits }) };
}

function cipherOf(
  { cipherTransform }: Values<typeof IPSEC_SA_CIPHER_INFORMATION0["fields"]>,
): Pick<Transform, "cipher" | "cipherKeyBits"> {
  const { cipherType, cipherConfig } = cipherTransform.cipherTransformId;
  const { name, keyBits } = known(CIPHERS, cipherType, cipherConfig);
  return { cipher: name, ...(keyBits === undefined ? {} : { cipherKeyBits: keyBits }) };
}
