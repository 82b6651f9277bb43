/**
 * The provider contract and the registry, for those who write providers and for those who choose among them.
 *
 * @module
 */

export type { RejectedProvider } from "../errors.ts";
export { ntHash, ntlm, type NtlmAccount, type NtlmOptions } from "./ntlm/mod.ts";
export { ipsec, type IpsecOptions } from "./ipsec/mod.ts";
export { parsePolicy } from "./policy.ts";
export type * from "../contract.ts";
export type { UnknownNames } from "./names.ts";
export { createRegistry } from "./registry.ts";
export type { ContextSelection, Registry, Selection, SelectionDetails, SocketSelection } from "./registry.ts";
export { resolveRequirements, verifyAttributes, verifyMechanism } from "./requirements.ts";
export type { Limits } from "./sandbox/limits.ts";
