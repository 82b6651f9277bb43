/**
 * Writes associations to memory as the Windows Filtering Platform does for the functions that return them.
 *
 * @module
 */

import { wideString } from "../../ffi/memory/memory.ts";
import {
  IKEEXT,
  IKEEXT_CREDENTIAL_PAIR1,
  IKEEXT_SA_DETAILS1,
  IPSEC_SA0,
  IPSEC_SA_AUTH_AND_CIPHER_INFORMATION0,
  IPSEC_SA_AUTH_INFORMATION0,
  IPSEC_SA_CIPHER_INFORMATION0,
  IPSEC_SA_CONTEXT1,
  IPSEC_SA_DETAILS1,
  IPSEC_TRAFFIC_TYPE,
  IPSEC_TRANSFORM,
} from "../../ffi/raw/wfp.ts";
import type { Fields, Struct, Values } from "../../ffi/memory/struct.ts";
import { type Association, peerOf } from "./association.ts";
import type { Host } from "./host.ts";
import type { AddressSpace } from "./memory.ts";
import type { AlgorithmId, TransformId } from "./quick_mode.ts";

/** The lifetime of main mode on the page of WSASetSocketSecurity: two hours. */
const MAIN_MODE_SECONDS = 7200;
/** The address of keys. Nothing is there, so reading them fails. */
const KEYS = 0xdead_0000_0000n;
const KEY_BYTES = 32;

/** Structures that refer to each other, in one allocation, which is freed as a whole by the address of the first. */
class Block {
  readonly #bytes: Uint8Array;
  readonly address: bigint;
  #used = 0;

  constructor(memory: AddressSpace, size: number) {
    const { address, bytes } = memory.allocate(size);
    this.address = address;
    this.#bytes = bytes;
  }

  /** Takes room in the block; returns it and its address. */
  room(size: number): { at: bigint; view: DataView } {
    const offset = this.#used;
    this.#used = Math.ceil((offset + size) / 8) * 8;
    const view = new DataView(this.#bytes.buffer, this.#bytes.byteOffset + offset, size);
    return { at: this.address + BigInt(offset), view };
  }

  /** Writes structures one after the other; returns their address. */
  put<F extends Fields>(layout: Struct<F>, ...values: readonly Partial<Values<F>>[]): bigint {
    const { at, view } = this.room(layout.size * values.length);
    values.forEach((each, index) => layout.write(view, each, index * layout.size));
    return at;
  }
}

/** What `IkeextSaGetById1` returns. */
export function writeMainMode(memory: AddressSpace, association: Association, host: Host): bigint {
  const { mutual, mainModeSa } = association;
  const [name] = peerOf(association, host).principals;
  const text = wideString(name);
  const size = IKEEXT_SA_DETAILS1.size + IKEEXT_CREDENTIAL_PAIR1.size + 8 + text.length;
  const block = new Block(memory, size + 4 * 8);
  const details = block.room(IKEEXT_SA_DETAILS1.size);
  const none = {
    authenticationMethodType: mutual ? IKEEXT.KERBEROS : IKEEXT.ANONYMOUS,
    impersonationType: IKEEXT.IMPERSONATION_NONE,
    name: 0n,
  };
  const principal = block.room(text.length);
  text.forEach((byte, index) => principal.view.setUint8(index, byte));
  const credential = block.room(8);
  credential.view.setBigUint64(0, principal.at, true);
  const credentials = block.put(IKEEXT_CREDENTIAL_PAIR1, {
    localCredentials: none,
    peerCredentials: { ...none, name: mutual ? credential.at : 0n },
  });
  IKEEXT_SA_DETAILS1.write(details.view, {
    saId: mainModeSa,
    ikeProposal: {
      cipherAlgorithm: { algoIdentifier: IKEEXT.CIPHER_AES_128, keyLen: 0, rounds: 0 },
      integrityAlgorithm: { algoIdentifier: 1 },
      maxLifetimeSeconds: MAIN_MODE_SECONDS,
      dhGroup: IKEEXT.DH_ECP_256,
      quickModeLimit: 0,
    },
    ikeCredentials: { numCredentials: 1, credentials },
  });
  return block.address;
}

/** What `IPsecSaContextEnum1` returns: an array of pointers, followed by everything they refer to. */
export function writeContexts(memory: AddressSpace, associations: readonly Association[]): bigint {
  const block = new Block(memory, associations.length * (8 + CONTEXT_BYTES) + 8);
  const array = block.room(8 * associations.length);
  associations.forEach((association, index) => {
    array.view.setBigUint64(8 * index, writeContext(block, association), true);
  });
  return block.address;
}

/** Two directions, each of at most two transforms. */
const CONTEXT_BYTES = IPSEC_SA_CONTEXT1.size +
  2 * (IPSEC_SA_DETAILS1.size + 2 * (IPSEC_SA0.size + IPSEC_SA_AUTH_AND_CIPHER_INFORMATION0.size)) + 16 * 8;

function writeContext(block: Block, association: Association): bigint {
  const [inboundSa, outboundSa] = [0, 1].map((saDirection) => writeDetails(block, association, saDirection));
  return block.put(IPSEC_SA_CONTEXT1, { saContextId: association.contextId, inboundSa, outboundSa });
}

function writeDetails(block: Block, association: Association, saDirection: number): bigint {
  const { quickMode, quickModeSa, mainModeSa, lookupContext } = association;
  const details = block.room(IPSEC_SA_DETAILS1.size);
  const sas = quickMode.transforms.map((transform, index) => ({
    spi: 256 + 2 * quickModeSa + index,
    saTransformType: transform.type,
    espAuthAndCipherInformation: writeInformation(block, transform),
  }));
  IPSEC_SA_DETAILS1.write(details.view, { saDirection });
  const { traffic, saBundle } = IPSEC_SA_DETAILS1.read(details.view);
  IPSEC_SA_DETAILS1.write(details.view, {
    traffic: { ...traffic, trafficType: IPSEC_TRAFFIC_TYPE.TRANSPORT },
    saBundle: {
      ...saBundle,
      lifetime: quickMode.lifetime,
      qmSaId: quickModeSa,
      mmSaId: mainModeSa,
      saLookupContext: lookupContext,
      numSAs: sas.length,
      saList: block.put(IPSEC_SA0, ...sas),
    },
  });
  return details.at;
}

function writeInformation(block: Block, { type, auth, cipher }: TransformId): bigint {
  const key = { size: KEY_BYTES, data: KEYS };
  const authOf = ({ type: authType, config: authConfig }: AlgorithmId) => ({
    authTransform: { authTransformId: { authType, authConfig }, cryptoModuleId: 0n },
    authKey: key,
  });
  const cipherOf = ({ type: cipherType, config: cipherConfig }: AlgorithmId) => ({
    cipherTransform: { cipherTransformId: { cipherType, cipherConfig }, cryptoModuleId: 0n },
    cipherKey: key,
  });
  if (type === IPSEC_TRANSFORM.ESP_AUTH_AND_CIPHER) {
    return block.put(IPSEC_SA_AUTH_AND_CIPHER_INFORMATION0, {
      saCipherInformation: cipherOf(cipher!),
      saAuthInformation: authOf(auth!),
    });
  }
  return type === IPSEC_TRANSFORM.ESP_CIPHER
    ? block.put(IPSEC_SA_CIPHER_INFORMATION0, cipherOf(cipher!))
    : block.put(IPSEC_SA_AUTH_INFORMATION0, authOf(auth!));
}
