/**
 * Reads AuthIP policies from the memory in which an application passes them to the Windows Filtering Platform.
 *
 * @module
 */

import {
  FWPM_IPSEC,
  IKEEXT,
  IKEEXT_AUTHENTICATION_METHOD1,
  IKEEXT_EM_POLICY1,
  IKEEXT_POLICY1,
  IPSEC_AUTH_AND_CIPHER_TRANSFORM0,
  IPSEC_AUTH_TRANSFORM0,
  IPSEC_CIPHER_TRANSFORM0,
  IPSEC_PROPOSAL0,
  IPSEC_SA_TRANSFORM0,
  IPSEC_TRANSFORM,
  IPSEC_TRANSPORT_POLICY1,
} from "../../ffi/raw/wfp.ts";
import type { Fields, Struct, Values } from "../../ffi/memory/struct.ts";
import type { KnownPolicy } from "./host.ts";
import type { AddressSpace } from "./memory.ts";
import type { AlgorithmId, Proposal, TransformId } from "./quick_mode.ts";

/** The policy of a provider context; `null`: its kind is not used by sockets. */
export function readPolicy(memory: AddressSpace, type: number, at: bigint): KnownPolicy | null {
  const read = <F extends Fields>(layout: Struct<F>, address: bigint, index = 0): Values<F> =>
    layout.read(memory.view(address + BigInt(index * layout.size), layout.size));
  const list = <F extends Fields>(layout: Struct<F>, address: bigint, count: number): Values<F>[] =>
    Array.from({ length: count }, (_, index) => read(layout, address, index));

  const auth = ({ authTransformId }: Values<typeof IPSEC_AUTH_TRANSFORM0["fields"]>): AlgorithmId => ({
    type: authTransformId.authType,
    config: authTransformId.authConfig,
  });
  const cipher = ({ cipherTransformId }: Values<typeof IPSEC_CIPHER_TRANSFORM0["fields"]>): AlgorithmId => ({
    type: cipherTransformId.cipherType,
    config: cipherTransformId.cipherConfig,
  });
  const transform = (kind: number, address: bigint): TransformId => {
    if (kind === IPSEC_TRANSFORM.ESP_CIPHER) {
      return { type: kind, cipher: cipher(read(IPSEC_CIPHER_TRANSFORM0, address)) };
    }
    if (kind !== IPSEC_TRANSFORM.ESP_AUTH_AND_CIPHER) {
      return { type: kind, auth: auth(read(IPSEC_AUTH_TRANSFORM0, address)) };
    }
    const { authTransform, cipherTransform } = read(IPSEC_AUTH_AND_CIPHER_TRANSFORM0, address);
    return { type: kind, auth: auth(authTransform), cipher: cipher(cipherTransform) };
  };
  const proposal = (given: Values<typeof IPSEC_PROPOSAL0["fields"]>): Proposal => ({
    lifetime: given.lifetime,
    transforms: list(IPSEC_SA_TRANSFORM0, given.saTransforms, given.numSaTransforms)
      .map((each) => transform(each.ipsecTransformType, each.espAuthAndCipherTransform)),
  });

  if (type === FWPM_IPSEC.AUTHIP_MM_CONTEXT) {
    const { authenticationMethods, numAuthenticationMethods } = read(IKEEXT_POLICY1, at);
    const [first] = list(IKEEXT_AUTHENTICATION_METHOD1, authenticationMethods, numAuthenticationMethods);
    const kerberos = first.authenticationMethodType === IKEEXT.KERBEROS;
    return { authentication: kerberos ? "kerberos" : "anonymous", impersonation: false };
  }
  if (type !== FWPM_IPSEC.AUTHIP_QM_TRANSPORT_CONTEXT) return null;
  const { emPolicy, ipsecProposals, numIpsecProposals } = read(IPSEC_TRANSPORT_POLICY1, at);
  return {
    authentication: "anonymous",
    impersonation: emPolicy !== 0n && read(IKEEXT_EM_POLICY1, emPolicy).initiatorImpersonationType ===
        IKEEXT.IMPERSONATION_SOCKET_PRINCIPAL,
    proposals: list(IPSEC_PROPOSAL0, ipsecProposals, numIpsecProposals).map(proposal),
  };
}
