/** The numbers of the provider ABI; plugins/sandbox/abi.md is their definition. */

/** The version of the ABI this SDK speaks. */
export const ABI_VERSION: i32 = 2;

export enum Op {
  Describe = 0,
  Acquire = 1,
  Step = 2,
  Resume = 3,
  Wrap = 4,
  Unwrap = 5,
  Sign = 6,
  Verify = 7,
  Query = 8,
  Release = 9,
  WrapUnencrypted = 10,
  UnwrapAny = 11,
  WrapSizeLimit = 12,
}

export enum Status {
  Ok = 0,
  Error = 1,
  Needs = 2,
}

export enum Role {
  Client = 1,
  Server = 2,
}

/** Bits of `Acquire.requirements`. */
export enum Requirement {
  Integrity = 1,
  Confidentiality = 2,
  MutualAuthentication = 4,
  Delegation = 8,
}

export enum Impersonation {
  Anonymous = 0,
  Identify = 1,
  Impersonate = 2,
  Delegate = 3,
}

/** Bits of the attributes. */
export enum Attribute {
  Mutual = 1,
  Integrity = 2,
  Confidentiality = 4,
  ReplayDetection = 8,
  SequenceDetection = 16,
  Delegation = 32,
  ChannelBound = 64,
}

/** What `query` asks for. */
export enum Query {
  Attributes = 1,
  SessionKey = 2,
  PeerIdentity = 3,
}

/** What a peer is. */
export enum PeerKind {
  Unknown = 0,
  User = 1,
  Service = 2,
  Computer = 3,
}

export enum ErrorClass {
  Authentication = 1,
  Protocol = 2,
  State = 3,
  Argument = 4,
  Requirement = 5,
}

export enum AuthenticationReason {
  Other = 0,
  NoCredentials = 1,
  BadCredentials = 2,
  CredentialsExpired = 3,
  UnknownTarget = 4,
  WrongTarget = 5,
  TargetNotAccepted = 6,
  ClockSkew = 7,
  AuthorityUnreachable = 8,
  ChannelBindings = 9,
  Mechanism = 10,
  PeerRefused = 11,
  PeerClosed = 12,
  BadToken = 13,
  ContextExpired = 14,
}

export enum ProtocolReason {
  Malformed = 0,
  Truncated = 1,
  Oversized = 2,
  Empty = 3,
  Altered = 4,
  Replayed = 5,
  OutOfOrder = 6,
  Gap = 7,
  NotEncrypted = 8,
  UnexpectedMessage = 9,
  SequenceExhausted = 10,
}

export enum RequirementReason {
  Integrity = 0,
  Confidentiality = 1,
  MutualAuthentication = 2,
  Impersonation = 3,
  Delegation = 4,
  ChannelBindings = 5,
}
