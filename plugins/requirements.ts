/**
 * Requirements: fills in defaults, refuses contradictions, and checks an established context.
 *
 * @module
 */

import { AuthenticationError, SecurityRequirementError } from "../errors.ts";
import { deniedBy } from "./names.ts";
import type {
  ContextAttributes,
  ImpersonationLevel,
  ProviderDescription,
  Requirements,
  ResolvedRequirements,
} from "../contract.ts";

/** Impersonation levels, weakest first. */
export const IMPERSONATION_LEVELS: readonly ImpersonationLevel[] = [
  "anonymous",
  "identify",
  "impersonate",
  "delegate",
];

const BOOLEANS = ["integrity", "confidentiality", "mutualAuthentication", "delegation"] as const;
const KEYS: readonly string[] = ["provider", "impersonation", ...BOOLEANS];

/**
 * Fills in the strict defaults.
 *
 * @throws TypeError if a key is unknown, a value has the wrong type, or two values contradict each other.
 */
export function resolveRequirements(requirements: Requirements = {}): ResolvedRequirements {
  checkShape(requirements);
  const delegation = requirements.delegation ?? false;
  const resolved: ResolvedRequirements = {
    ...(requirements.provider === undefined ? {} : { provider: requirements.provider }),
    integrity: requirements.integrity ?? true,
    confidentiality: requirements.confidentiality ?? true,
    mutualAuthentication: requirements.mutualAuthentication ?? true,
    impersonation: requirements.impersonation ?? (delegation ? "delegate" : "identify"),
    delegation,
  };
  if (resolved.confidentiality && !resolved.integrity) {
    throw new TypeError(
      "requirements contradict each other: integrity is false while confidentiality is true; " +
        "encrypted records always have integrity, so set confidentiality: false too, or leave " +
        "integrity out",
    );
  }
  if (delegation !== (resolved.impersonation === "delegate")) {
    throw new TypeError(
      `requirements contradict each other: delegation is ${delegation} while impersonation is ` +
        `"${resolved.impersonation}"; delegation: true goes with impersonation: "delegate" and with no other level`,
    );
  }
  return Object.freeze(resolved);
}

function checkShape(requirements: Requirements): void {
  if (typeof requirements !== "object" || requirements === null) {
    throw new TypeError("requirements must be an object; leave it out for the strict defaults");
  }
  for (const key of Object.keys(requirements)) {
    if (!KEYS.includes(key)) {
      throw new TypeError(`requirements.${key} is not known; use one of ${KEYS.join(", ")}`);
    }
  }
  for (const key of BOOLEANS) {
    const value: unknown = requirements[key];
    if (value !== undefined && typeof value !== "boolean") {
      throw new TypeError(`requirements.${key} must be true or false, not ${describe(value)}`);
    }
  }
  const { provider, impersonation } = requirements;
  if (provider !== undefined && (typeof provider !== "string" || provider === "")) {
    throw new TypeError(`requirements.provider must be a provider's name, not ${describe(provider)}`);
  }
  if (impersonation !== undefined && !IMPERSONATION_LEVELS.includes(impersonation)) {
    throw new TypeError(
      `requirements.impersonation must be one of ${IMPERSONATION_LEVELS.join(", ")}, not ${
        describe(impersonation)
      }`,
    );
  }
}

function describe(value: unknown): string {
  return typeof value === "string" ? JSON.stringify(value) : value === null ? "null" : `a ${typeof value}`;
}

/**
 * Whether each end has proved its identity to the other. NTLM may report it (dotnet/runtime 131192), but cannot
 * provide it.
 */
export function provesServer({ mechanism, mutualAuthentication }: ContextAttributes): boolean {
  return mutualAuthentication && mechanism !== "ntlm";
}

/**
 * Checks what was agreed against the requirements. Call it before the first byte of application data.
 *
 * @param channelBindings True if channel bindings were given, which makes proof of them a requirement.
 * @throws SecurityRequirementError that names the first requirement that is not met.
 */
export function verifyAttributes(
  attributes: ContextAttributes,
  required: ResolvedRequirements,
  role: "client" | "server",
  channelBindings: boolean,
): void {
  const refuse = (name: string, got: string, fix: string): never => {
    throw new SecurityRequirementError(
      name,
      got,
      `The peer's ${attributes.mechanism} does not provide ${name} (${got}), which is required; no ` +
        `data was sent. ${fix}`,
    );
  };
  if (required.mutualAuthentication && !provesServer(attributes)) {
    refuse("mutualAuthentication", "one-sided", "Use Kerberos with the server's right SPN.");
  }
  if (required.integrity && !attributes.integrity) {
    refuse("integrity", "none", "Request signing or sealing on the other end too.");
  }
  if (required.integrity && !(attributes.sequenceDetection && attributes.replayDetection)) {
    refuse("sequenceDetection", "none", "Request replay and sequence detection on the other end too.");
  }
  if (required.confidentiality && !attributes.confidentiality) {
    refuse("confidentiality", "signed only", "Request encryption on the other end too.");
  }
  if (role === "client" && required.delegation && !attributes.delegation) {
    refuse(
      "delegation",
      "not delegated",
      'A ticket from elsewhere must be forwardable: log in with kinit -f, or write "forwardable = ' +
        'true" under [libdefaults] in krb5.conf and log in again. The account must also be allowed to ' +
        "delegate.",
    );
  }
  if (channelBindings && !attributes.channelBound) {
    refuse("channelBindings", "not proved", "Give the same channel bindings on both ends.");
  }
  const level = IMPERSONATION_LEVELS.indexOf(attributes.impersonation);
  if (role === "client" && required.impersonation === "anonymous" && level > 0) {
    refuse("impersonation", attributes.impersonation, 'Require "identify", the default.');
  }
  if (role === "server" && level < IMPERSONATION_LEVELS.indexOf(required.impersonation)) {
    refuse("impersonation", attributes.impersonation, `The client must allow "${required.impersonation}".`);
  }
}

/**
 * Checks the mechanism that authenticated against the names that policies deny. The provider was told to leave
 * those out, but this is not relied on. Call it before the first byte of application data.
 *
 * @param denied The denied names, as in the registry's selection.
 * @throws AuthenticationError if the mechanism is denied; and, if anything is denied, if it is not one of those
 * that the provider says it negotiates.
 */
export function verifyMechanism(
  { mechanism }: ContextAttributes,
  { name, mechanisms }: ProviderDescription,
  denied: readonly string[],
): void {
  if (denied.length === 0) return;
  const by = deniedBy(denied, mechanism);
  if (by === null && (mechanisms?.includes(mechanism) ?? true)) return;
  const why = by === null
    ? `${name} does not list it among the mechanisms it negotiates, so it cannot be checked against a policy`
    : `a policy denies ${by}`;
  throw new AuthenticationError(
    "mechanism",
    `The mechanism that authenticated is ${mechanism}, and ${why}; no data was sent. Have the peer use another one`,
  );
}
