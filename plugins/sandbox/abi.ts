/**
 * The numbers of the provider ABI, as `abi.md` beside this file defines them.
 *
 * @module
 */

import type { AuthenticationReason, ProtocolReason } from "../../errors.ts";
import type { ImpersonationLevel, PeerIdentity } from "../../contract.ts";

/** The newest version of the ABI that this host speaks. */
export const ABI_VERSION = 2;
/** Every version that it speaks. */
export const ABI_VERSIONS: readonly number[] = [1, 2];

/** The module name every import of a guest comes from. */
export const IMPORT_MODULE = "host";

/** Operation codes, the first word of a request. */
export const Operation = {
  describe: 0,
  acquire: 1,
  step: 2,
  resume: 3,
  wrap: 4,
  unwrap: 5,
  sign: 6,
  verify: 7,
  query: 8,
  release: 9,
  wrapUnencrypted: 10,
  unwrapAny: 11,
  wrapSizeLimit: 12,
  socketSettings: 32,
  socketTarget: 33,
  socketQuery: 34,
} as const;

/** The name of an operation. */
export type OperationName = keyof typeof Operation;

/** What a guest of version 2 may do besides, by the names under `also` of its description. */
export const ALSO = ["wrapUnencrypted", "wrapSizeLimit", "peerIdentity"] as const;
/** One of them. */
export type AlsoName = (typeof ALSO)[number];

/** Status codes, the first word of a response. */
export const Status = { ok: 0, error: 1, needs: 2 } as const;

/** Error classes of a response with status `error`. */
export const ErrorClass = { authentication: 1, protocol: 2, state: 3, argument: 4, requirement: 5 } as const;

/** Reasons of class `authentication`, by number. */
export const AUTHENTICATION_REASONS: readonly AuthenticationReason[] = [
  "other",
  "no-credentials",
  "bad-credentials",
  "credentials-expired",
  "unknown-target",
  "wrong-target",
  "target-not-accepted",
  "clock-skew",
  "authority-unreachable",
  "channel-bindings",
  "mechanism",
  "peer-refused",
  "peer-closed",
  "bad-token",
  "context-expired",
];

/** Reasons of class `protocol`, by number. */
export const PROTOCOL_REASONS: readonly ProtocolReason[] = [
  "malformed",
  "truncated",
  "oversized",
  "empty",
  "altered",
  "replayed",
  "out-of-order",
  "gap",
  "not-encrypted",
  "unexpected-message",
  "sequence-exhausted",
];

/** Reasons of class `requirement`, by number: the requirement that is not met. */
export const REQUIREMENT_REASONS: readonly string[] = [
  "integrity",
  "confidentiality",
  "mutualAuthentication",
  "impersonation",
  "delegation",
  "channelBindings",
];

/** Impersonation levels, by number. */
export const IMPERSONATION: readonly ImpersonationLevel[] = [
  "anonymous",
  "identify",
  "impersonate",
  "delegate",
];

/** Bits of the requirements in `acquire` and `settings`. */
export const RequirementFlag = {
  integrity: 1,
  confidentiality: 2,
  mutualAuthentication: 4,
  delegation: 8,
} as const;

/** Bits of the attributes in the answer to `query`. */
export const AttributeFlag = {
  mutual: 1,
  integrity: 2,
  confidentiality: 4,
  replayDetection: 8,
  sequenceDetection: 16,
  delegation: 32,
  channelBound: 64,
} as const;

/** What `query` asks for. */
export const Query = { attributes: 1, sessionKey: 2, peerIdentity: 3 } as const;

/** What a peer is, by number. */
export const PEER_KINDS: readonly PeerIdentity["kind"][] = ["unknown", "user", "service", "computer"];

/** The bit of the answer to `unwrap` and `unwrapAny` that says the record was encrypted. */
export const RECORD_ENCRYPTED = 1;

/** Bounds the ABI sets on single fields, in bytes unless it says otherwise. */
export const FieldLimit = {
  description: 16_384,
  errorMessage: 512,
  name: 1_024,
  mechanism: 64,
  overhead: 4_096,
  signature: 1_024,
  sessionKey: 256,
  sid: 184,
  /** Groups of a peer. */
  groups: 4_096,
  /** Questions that one leg may ask. */
  questionsPerLeg: 4,
} as const;
