/**
 * The checks of an established context, for every protocol, before the first byte of application data; and its
 * description.
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

/** Which provider was selected, and by what rule. */
export interface Origin {
  /** The provider, as it describes itself. */
  readonly provider: ProviderDescription;
  /** The names that a policy denies. */
  readonly denied: readonly string[];
  /** True if a simulator takes the place of the system. */
  readonly simulated: boolean;
  /** The state of the machine's policy. */
  readonly machinePolicy: "absent" | "present" | "unread" | "unreadable";
}

/** What a context must be. */
export interface ContextTerms {
  /** Which end this is. */
  readonly role: "client" | "server";
  /** The application's requirements, raised by the floor of each policy. */
  readonly requirements: ResolvedRequirements;
  /** On a server: the names that a client may request; left out: any name of the credentials. */
  readonly acceptedTargets?: readonly string[];
  /** Whether channel bindings were given, and whether proof of them is required. */
  readonly channelBindings: "none" | "optional" | "required";
}

/**
 * Checks an established context against its requirements.
 *
 * @throws AuthenticationError if the client requested a name that is not accepted, or the mechanism is denied;
 * SecurityRequirementError if a requirement is not met.
 */
export function verifyContext(context: ProviderContext, terms: ContextTerms, origin: Origin): void {
  const { attributes } = context;
  if (terms.role === "server" && terms.acceptedTargets) {
    checkTarget(terms.acceptedTargets, context.requestedTarget);
  }
  verifyMechanism(attributes, origin.provider, origin.denied);
  verifyAttributes(attributes, terms.requirements, terms.role, terms.channelBindings === "required");
}

/** @throws AuthenticationError if the context has expired. */
export function refuseExpired({ expiresAt }: Pick<ProviderContext, "expiresAt">): void {
  if (expiresAt === undefined || expiresAt.getTime() > Date.now()) return;
  throw new AuthenticationError(
    "context-expired",
    "The connection's authentication has expired; connect again",
  );
}

/** Describes a context that is established and verified. */
export function describeSecurity(
  context: ProviderContext,
  terms: ContextTerms,
  origin: Origin,
): SecurityInfo {
  const { attributes, expiresAt, requestedTarget } = context;
  const { mechanism, integrity, confidentiality, impersonation } = attributes;
  const details: { readonly [key: string]: JsonValue } = Object.freeze({
    messageIntegrity: integrity || confidentiality,
    replayDetection: attributes.replayDetection,
    sequenceDetection: attributes.sequenceDetection,
    delegation: attributes.delegation,
    machinePolicy: origin.machinePolicy,
    ...(attributes.records === undefined ? {} : { records: attributes.records }),
  });
  return Object.freeze({
    provider: origin.provider.name,
    mechanism,
    integrity: (integrity || confidentiality) && attributes.replayDetection && attributes.sequenceDetection,
    confidentiality,
    mutualAuthentication: provesServer(attributes),
    peer: terms.role === "client" && !provesServer(attributes) ? "" : context.peerName,
    impersonation,
    ...(requestedTarget === undefined ? {} : { requestedTarget }),
    channelBindings: bindings(terms, attributes.channelBound),
    ...(expiresAt === undefined ? {} : { expiresAt: new Date(expiresAt) }),
    simulated: origin.simulated,
    details,
  });
}

/**
 * A client's bindings are in its token, and nothing reports that the server checked them; a server has compared
 * them.
 */
function bindings({ role, channelBindings }: ContextTerms, bound: boolean): SecurityInfo["channelBindings"] {
  if (channelBindings === "none" || !bound) return "none";
  return role === "client" ? "sent" : "verified";
}

function checkTarget(accepted: readonly string[], requested: string | undefined): void {
  if (requested === undefined) {
    throw new AuthenticationError(
      "target-not-accepted",
      "The mechanism does not report which name the client requested, so acceptedTargets cannot be " +
        "checked. Use a provider that reports it, or leave acceptedTargets out",
    );
  }
  if (!acceptsTarget(accepted, requested)) {
    throw new AuthenticationError(
      "target-not-accepted",
      `The client requested ${JSON.stringify(requested)}, which is not among acceptedTargets ` +
        `(${accepted.join(", ")}). Add it there, or have the client use one of these`,
    );
  }
}

/** Whether `accepted` contains `requested`; an accepted name without a realm matches it in any realm. */
export function acceptsTarget(accepted: readonly string[], requested: string): boolean {
  let asked: Spn;
  try {
    asked = Spn.parse(requested);
  } catch {
    // Not an SPN, so it is not accepted.
    return false;
  }
  return accepted.some((target) => {
    const spn = Spn.parse(target);
    // If a realm is required, a name without one does not match.
    return spn.equals(asked) && (spn.realm === undefined || asked.realm !== undefined);
  });
}
