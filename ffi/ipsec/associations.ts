/**
 * Reads the security associations of a connection, where the account is permitted to: main mode here, quick mode in
 * `quick_mode.ts`.
 *
 * @see https://learn.microsoft.com/windows/win32/api/fwpmu/nf-fwpmu-ikeextsagetbyid1
 * @module
 */

import { PermissionError, ProtocolError, TransportError, UnsupportedPlatformError } from "../../errors.ts";
import { type Filtering, FilteringEngine } from "./filtering_engine.ts";
import { malformed, pinned, structAt, structsAt } from "../memory/memory.ts";
import { type QuickMode, readQuickMode } from "./quick_mode.ts";
import { IKEEXT, IKEEXT_CREDENTIAL_PAIR1, IKEEXT_SA_DETAILS1 } from "../raw/wfp.ts";
import type { SecurityAnswer } from "./query.ts";
import { struct } from "../memory/struct.ts";

/** A connection's security association. */
export interface Association {
  /** Each computer has proved its identity to the other. */
  readonly mutual: boolean;
  /** How each end was authenticated, in the order of the modes. */
  readonly authentication: readonly string[];
  /** The peer's principal, where its credentials contain one. */
  readonly peer: string;
  /** Main mode's cipher. */
  readonly cipher: string;
  /** Main mode's integrity algorithm. */
  readonly integrity: string;
  /** Seconds the association may live. */
  readonly lifetimeSeconds: number;
  /** How packets are protected; where that is not known, the reason, as a sentence. */
  readonly quickMode: QuickMode | string;
}

const GUID = struct("GUID", { value: "guid" });
const POINTER = struct("name", { at: "ptr" });
const METHODS: readonly string[] = [
  "preshared-key",
  "certificate",
  "kerberos",
  "anonymous",
  "ssl",
  "ntlm",
  "ipv6-cga",
  "certificate-ecdsa-p256",
  "certificate-ecdsa-p384",
];
/**
 * The authentication methods that prove an identity. A preshared key does not: it only proves that the key is known.
 */
const PROOFS = ["kerberos", "certificate", "certificate-ecdsa-p256", "certificate-ecdsa-p384"];
const CIPHERS: readonly string[] = ["des", "3des", "aes-128", "aes-192", "aes-256"];
const INTEGRITY: readonly string[] = ["md5", "sha-1", "sha-256", "sha-384"];
/** An association has one pair for each mode that ran. */
const MAX_PAIRS = 16;

const nameOf = (names: readonly string[], index: number): string => names[index] ?? `unknown (${index})`;

/**
 * Reads the associations of an answer. Does not throw where the system refuses them or returns invalid data.
 *
 * @returns the association; where it cannot be read the reason, as a sentence; `null` where there is none.
 */
export function readAssociation(filtering: Filtering, answer: SecurityAnswer): Association | string | null {
  if (answer.mainModeSa === 0n) return null;
  return resultOrReason(() => {
    using engine = new FilteringEngine(filtering, false);
    const key = pinned(GUID.size);
    GUID.write(new DataView(key.buffer), { value: answer.lookupContext });
    const given = key.every((byte) => byte === 0) ? null : key;
    const out = pinned(8);
    const error = engine.call.IkeextSaGetById1(engine.handle, answer.mainModeSa, given, out);
    engine.check(error, "IkeextSaGetById1", "read the security association");
    try {
      const mainMode = describe(engine, new DataView(out.buffer).getBigUint64(0, true));
      // The main mode's result is valid even where quick mode cannot be read.
      return { ...mainMode, quickMode: resultOrReason(() => readQuickMode(engine, answer)) };
    } finally {
      engine.call.FwpmFreeMemory0(out);
    }
  });
}

/** Returns the result of `read`, or the reason why it is not available. */
function resultOrReason<T>(read: () => T): T | string {
  try {
    return read();
  } catch (error) {
    if (error instanceof PermissionError) return `needs ${error.flag}`;
    const refusals = [TransportError, ProtocolError, UnsupportedPlatformError];
    if (refusals.some((refusal) => error instanceof refusal)) {
      return `unavailable: ${(error as Error).message}`;
    }
    throw error;
  }
}

function describe({ memory }: FilteringEngine, at: bigint): Omit<Association, "quickMode"> {
  const details = structAt(memory, at, IKEEXT_SA_DETAILS1);
  const { numCredentials, credentials } = details.ikeCredentials;
  if (numCredentials > MAX_PAIRS) throw malformed(`${numCredentials} pairs of credentials`);
  const pairs = structsAt(memory, credentials, IKEEXT_CREDENTIAL_PAIR1, numCredentials).map((pair) => {
    const { localCredentials: local, peerCredentials: peer } = pair;
    return {
      local: nameOf(METHODS, local.authenticationMethodType),
      peer: nameOf(METHODS, peer.authenticationMethodType),
      named: peer.authenticationMethodType === IKEEXT.KERBEROS && peer.name !== 0n
        ? memory.wideString(structAt(memory, peer.name, POINTER).at)
        : "",
    };
  });
  const { cipherAlgorithm, integrityAlgorithm, maxLifetimeSeconds } = details.ikeProposal;
  return {
    // The first pair belongs to main mode, which authenticates the computers. Later pairs authenticate users and
    // prove nothing about the computers.
    mutual: pairs.length > 0 && PROOFS.includes(pairs[0].local) && PROOFS.includes(pairs[0].peer),
    authentication: pairs.map(({ local, peer }) => local === peer ? local : `${local}/${peer}`),
    peer: pairs[0]?.named ?? "",
    cipher: nameOf(CIPHERS, cipherAlgorithm.algoIdentifier),
    integrity: nameOf(INTEGRITY, integrityAlgorithm.algoIdentifier),
    lifetimeSeconds: maxLifetimeSeconds,
  };
}
