/**
 * What is told of a connection's security, from what its context proved.
 *
 * @module
 */

import type { JsonValue, MessageContext, SecurityInfo } from "../contract.ts";

/** Who serves a connection and on what ground; the same for its whole life. */
export interface Origin {
  /** The provider's name. */
  readonly provider: string;
  /** True where a simulator stands in for the system. */
  readonly simulated: boolean;
  /** How the machine's policy was found. */
  readonly machinePolicy: "absent" | "present" | "unread" | "unreadable";
}

/** Describes a context that is done and has been verified. */
export function describeSecurity(context: MessageContext, origin: Origin): SecurityInfo {
  const { attributes, expiresAt, requestedTarget } = context;
  const { mechanism, mutual, integrity, confidentiality, impersonation } = attributes;
  const details: { readonly [key: string]: JsonValue } = Object.freeze({
    mechanism,
    replayDetection: attributes.replayDetection,
    sequenceDetection: attributes.sequenceDetection,
    delegation: attributes.delegation,
    channelBound: attributes.channelBound,
    machinePolicy: origin.machinePolicy,
    ...(requestedTarget === undefined ? {} : { requestedTarget }),
  });
  return Object.freeze({
    provider: origin.provider,
    secured: integrity || confidentiality,
    encrypted: confidentiality,
    // NTLM may claim it and cannot give it.
    mutual: mutual && mechanism !== "ntlm",
    peer: context.peerName,
    impersonation,
    ...(expiresAt === undefined ? {} : { expiresAt: new Date(expiresAt) }),
    simulated: origin.simulated,
    details,
  });
}
