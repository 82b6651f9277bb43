/**
 * Socket security of Windows domains for Deno and Node: connections that are authenticated on both ends and sealed,
 * by Negotiate and Kerberos (SSPI on Windows, GSS-API elsewhere) or by a provider sandboxed in WebAssembly, over any
 * byte stream.
 *
 * Importing this module opens nothing and needs no permission.
 *
 * ```ts
 * import { connect } from "@winsock/secure-sockets";
 *
 * await using conn = await connect({ hostname: "files.example.test", port: 7777 });
 * await conn.write(new TextEncoder().encode("hello"));
 * console.log(conn.security); // verified before the first byte
 * ```
 *
 * What was required is verified before a byte of application data moves, and again on every record. The default is
 * the strictest: integrity, confidentiality and mutual authentication. Nothing weaker is chosen silently.
 *
 * @module
 */

export * from "./errors.ts";
export { openSystem } from "./ffi/system.ts";
export type { System, SystemOptions } from "./ffi/system.ts";
export type { Grant, OptionalFiles, RequiredPermissions } from "./ffi/permissions.ts";
export { ipsecPolicy } from "./ffi/ipsec/policies.ts";
export type { IpsecPolicy } from "./ffi/ipsec/policies.ts";
export type {
  ExtendedModePolicy,
  IpsecAuthentication,
  IpsecPolicyOptions,
  MainModePolicy,
  QuickModePolicy,
} from "./ffi/ipsec/policy_options.ts";
export { ipsec } from "./plugins/ipsec/mod.ts";
export type { IpsecOptions } from "./plugins/ipsec/mod.ts";
export { kerberos, negotiate } from "./plugins/negotiate/mod.ts";
export type { NegotiateOptions } from "./plugins/negotiate/mod.ts";
export { ntHash, ntlm } from "./plugins/ntlm/mod.ts";
export type { NtlmAccount, NtlmOptions } from "./plugins/ntlm/mod.ts";
export type { DiagnosticMessages } from "./contexts/diagnostics.ts";
export { openAcceptor, openInitiator } from "./contexts/open.ts";
export type { AcceptorOptions, OpenOptions } from "./contexts/options.ts";
export { isMember } from "./contexts/peer.ts";
export type {
  AcceptOptions,
  Acceptor,
  Availability,
  Capabilities,
  ChannelBindingPolicy,
  ChannelBindings,
  Credentials,
  ImpersonationLevel,
  InitiateOptions,
  Initiator,
  JsonValue,
  MachinePolicy,
  PeerIdentity,
  Policy,
  Provider,
  ProviderCredentials,
  ProviderSystem,
  Requirements,
  SecurityContext,
  SecurityInfo,
  StepResult,
  UnwrapOptions,
  Unwrapped,
  WrapOptions,
} from "./contract.ts";
export type { UnknownNames } from "./plugins/names.ts";
export { createRegistry } from "./plugins/registry.ts";
export type { Registry } from "./plugins/registry.ts";
export type { Limits } from "./plugins/sandbox/limits.ts";
export { loadProvider } from "./plugins/sandbox/load_provider.ts";
export type { Manifest } from "./plugins/sandbox/manifest.ts";
export type { ImportGrants, LogLine } from "./plugins/sandbox/host_functions.ts";
export type { Answer, Answers, AnswerValue } from "./plugins/sandbox/questions.ts";
export * from "./sockets/mod.ts";
export { Spn } from "./spn.ts";
export type { SpnComponents, SpnGeneration, SpnHost, SpnNameType, SpnParts } from "./spn.ts";
