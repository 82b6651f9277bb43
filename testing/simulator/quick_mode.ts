/**
 * Quick mode's proposals, and what two ends have in common. Pure.
 *
 * @see https://learn.microsoft.com/windows/win32/api/ws2tcpip/nf-ws2tcpip-wsasetsocketsecurity
 *
 * @module
 */

import {
  IPSEC_AUTH,
  IPSEC_AUTH_CONFIG,
  IPSEC_CIPHER_CONFIG,
  IPSEC_CIPHER_TYPE,
  IPSEC_TRANSFORM,
} from "../../ffi/raw/wfp.ts";

/** An algorithm, as in `IPSEC_AUTH_TRANSFORM_ID0` and `IPSEC_CIPHER_TRANSFORM_ID0`. */
export interface AlgorithmId {
  /** `IPSEC_AUTH_TYPE` or `IPSEC_CIPHER_TYPE`. */
  readonly type: number;
  /** `IPSEC_AUTH_CONFIG` or `IPSEC_CIPHER_CONFIG`. */
  readonly config: number;
}

/** One transform. */
export interface TransformId {
  /** `IPSEC_TRANSFORM_TYPE` */
  readonly type: number;
  /** The integrity algorithm. */
  readonly auth?: AlgorithmId;
  /** The encryption algorithm. */
  readonly cipher?: AlgorithmId;
}

/** How packets may be protected, and for how long. */
export interface Proposal {
  /** `IPSEC_SA_LIFETIME0` */
  readonly lifetime: {
    readonly lifetimeSeconds: number;
    readonly lifetimeKilobytes: number;
    readonly lifetimePackets: number;
  };
  /** One transform, or ESP and AH. */
  readonly transforms: readonly TransformId[];
}

const SHA_1: AlgorithmId = { type: IPSEC_AUTH.SHA_1, config: IPSEC_AUTH_CONFIG.HMAC_SHA_1_96 };
const { AH, ESP_AUTH, ESP_AUTH_AND_CIPHER } = IPSEC_TRANSFORM;
/** An hour, or 55 GB. */
const LIFETIME: Proposal["lifetime"] = {
  lifetimeSeconds: 3600,
  lifetimeKilobytes: 57_671_680,
  lifetimePackets: 0x7fff_ffff,
};
const propose = (transform: TransformId): Proposal => ({ lifetime: LIFETIME, transforms: [transform] });

/** The proposals of the system's own policy, in the order of the page of WSASetSocketSecurity. */
export const DEFAULT_PROPOSALS: readonly Proposal[] = [
  propose({ type: ESP_AUTH, auth: SHA_1 }),
  propose({
    type: ESP_AUTH_AND_CIPHER,
    auth: SHA_1,
    cipher: { type: IPSEC_CIPHER_TYPE.AES_128, config: IPSEC_CIPHER_CONFIG.CBC_AES_128 },
  }),
  propose({
    type: ESP_AUTH_AND_CIPHER,
    auth: SHA_1,
    cipher: { type: IPSEC_CIPHER_TYPE["3DES"], config: IPSEC_CIPHER_CONFIG.CBC_3DES },
  }),
  propose({ type: AH, auth: SHA_1 }),
];

/** Whether a proposal encrypts. */
export function encrypts({ transforms }: Proposal): boolean {
  return transforms.some(({ cipher }) => cipher !== undefined);
}

/** The initiator's first proposal that the responder has too; `null`: they have none in common. */
export function inCommon(
  initiator: readonly Proposal[],
  responder: readonly Proposal[],
  encrypted: boolean,
): Proposal | null {
  const form = ({ transforms }: Proposal) => JSON.stringify(transforms);
  const known = new Set(responder.map(form));
  return initiator.find((each) => known.has(form(each)) && (!encrypted || encrypts(each))) ?? null;
}
