/**
 * What an established context is held to, and what is reported of it: the checks that come before the first byte of
 * application data, in one place for every protocol.
 *
 * @module
 */

import type {
  JsonValue,
  ProviderContext,
  ProviderDescription,
  ResolvedRequirements,
  SecurityInfo,
} from "../contract.ts";
import { AuthenticationError } from "../errors.ts";
import { provesServer, verifyAttributes, verifyMechanism } from "../plugins/requirements.ts";
import { Spn } from "../spn.ts";

/** Who serves a context, and on what ground. */
export interface Origin {
  /** The provider, as it describes itself. */
  readonly provider: ProviderDescription;
  /** The names that a policy denies. */
  readonly denied: readonly string[];
  /** True where a simulator stands in for the system. */
  readonly simulated: boolean;
  /** How the machine's policy was found. */
  readonly machinePolicy: "absent" | "present" | "unread" | "unreadable";
}

/** What a context must be. */
export interface ContextTerms {
  /** The end this is. */
  readonly role: "client" | "server";
  /** What was asked for, raised by the floor of each policy. */
  readonly requirements: ResolvedRequirements;
  /** On a server: the names a client may ask for; left out: any that the credentials hold. */
  readonly acceptedTargets?: readonly string[];
  /** Whether channel bindings were given, and whether proof of them is required. */
  readonly channelBindings: "none" | "optional" | "required";
}

/**
 * Holds an established context against what it must be.
 *
 * @throws AuthenticationError where the client asked for a name that is not accepted, or the mechanism is denied;
 * SecurityRequirementError where a requirement is not met.
 */
export function verifyContext(context: ProviderContext, terms: ContextTerms, origin: Origin): void {
  const { attributes } = context;
  if (terms.role === "server" && terms.acceptedTargets) {
    checkTarget(terms.acceptedTargets, context.requestedTarget);
  }
  verifyMechanism(attributes, origin.provider, origin.denied);
  verifyAttributes(attributes, terms.requirements, terms.role, terms.channelBindings === "required");
}

/** @throws AuthenticationError where the context has expired. */
export function refuseExpired({ expiresAt }: Pick<ProviderContext, "expiresAt">): void {
  if (expiresAt === undefined || expiresAt.getTime() > Date.now()) return;
  throw new AuthenticationError(
    "context-expired",
    "The connection's authentication has run out; connect again",
  );
}

/** Describes a context that is established and has been verified. */
export function describeSecurity(
  context: ProviderContext,
  terms: ContextTerms,
  origin: Origin,
): SecurityInfo {
  const { attributes, expiresAt, requestedTarget } = context;
  const { mechanism, integrity, confidentiality, impersonation } = attributes;
  const details: { readonly [key: string]: JsonValue } = Object.freeze({
    replayDetection: attributes.replayDetection,
    sequenceDetection: attributes.sequenceDetection,
    delegation: attributes.delegation,
    machinePolicy: origin.machinePolicy,
  });
  return Object.freeze({
    provider: origin.provider.name,
    mechanism,
    integrity: integrity || confidentiality,
    confidentiality,
    mutualAuthentication: provesServer(attributes),
    peer: context.peerName,
    impersonation,
    ...(requestedTarget === undefined ? {} : { requestedTarget }),
    channelBindings: bindings(terms, attributes.channelBound),
    ...(expiresAt === undefined ? {} : { expiresAt: new Date(expiresAt) }),
    simulated: origin.simulated,
    details,
  });
}

/** A client's are in its token, and nothing reports to it that the server looked; a server has compared them. */
function bindings({ role, channelBindings }: ContextTerms, bound: boolean): SecurityInfo["channelBindings"] {
  if (channelBindings === "none" || !bound) return "none";
  return role === "client" ? "sent" : "verified";
}

function checkTarget(accepted: readonly string[], requested: string | undefined): void {
  if (requested === undefined) {
    throw new AuthenticationError(
      "target-not-accepted",
      "The mechanism does not report which name the client asked for, so acceptedTargets cannot be checked. " +
        "Use a provider that reports it, or leave acceptedTargets out",
    );
  }
  if (!acceptsTarget(accepted, requested)) {
    throw new AuthenticationError(
      "target-not-accepted",
      `The client asked for ${JSON.stringify(requested)}, which is not among acceptedTargets ` +
        `(${accepted.join(", ")}). Add it there, or have the client use one of these`,
    );
  }
}

/** Whether one of `accepted` is `requested`; one without a realm is that name in any realm. */
export function acceptsTarget(accepted: readonly string[], requested: string): boolean {
  let asked: Spn;
  try {
    asked = Spn.parse(requested);
  } catch {
    // No SPN at all, so none of those that are accepted.
    return false;
  }
  return accepted.some((target) => {
    const spn = Spn.parse(target);
    // Where a realm was asked for, not to report one is not to have it.
    return spn.equals(asked) && (spn.realm === undefined || asked.realm !== undefined);
  });
}
