/**
 * The registry: an ordered list of providers and a policy, which together choose the provider of a connection.
 *
 * @module
 */

import { PermissionError, ProviderNotFoundError, type RejectedProvider } from "../errors.ts";
import { isProviderName, NAME_RULE, parsePolicy, raise, tighten } from "./policy.ts";
import type {
  Availability,
  Capabilities,
  MachinePolicy,
  Offers,
  Policy,
  Provider,
  Requirements,
  ResolvedRequirements,
} from "../contract.ts";
import { IMPERSONATION_LEVELS, resolveRequirements } from "./requirements.ts";

/** Which provider serves, and why no other does. */
export interface Selection {
  /** The provider that serves. */
  readonly provider: Provider;
  /** Every provider that was passed over, with the reason; one that was never reached is not among them. */
  readonly rejected: readonly RejectedProvider[];
  /** What the connection must be: what was asked for, raised by the floor of each policy. */
  readonly requirements: ResolvedRequirements;
  /** The names that either policy denies: the provider must not bring them in by negotiating. */
  readonly denied: readonly string[];
  /** The machine's policy as it was found: where its `state` is `"unread"`, it had no say. */
  readonly machinePolicy: MachinePolicy;
}

/** Chooses a provider for each connection. */
export interface Registry {
  /** The providers, in the order they were given. */
  readonly providers: readonly Provider[];
  /** The application's policy. */
  readonly policy: Policy;
  /**
   * Chooses the first provider, in the order of the policy, that is allowed, available here and offers all that
   * is required. Opens nothing.
   *
   * @throws TypeError where `requirements` are contradictory, or the machine's policy is malformed.
   * @throws PermissionError where permission is all that every candidate lacks, or where the machine's policy is
   * there and cannot be read.
   * @throws ProviderNotFoundError with a reason for each provider, where none can serve.
   */
  select(requirements: Requirements | undefined, capabilities: Capabilities): Selection;
}

/**
 * Makes a registry.
 *
 * @param providers The providers, best first; copied.
 * @param policy Which of them may serve and the least they must give: an object or JSON text of {@linkcode Policy}.
 * @throws TypeError where an entry is no provider, two have the same name, or the policy is malformed.
 */
export function createRegistry(providers: readonly Provider[], policy?: Policy | string): Registry {
  const list = checkProviders(providers);
  const own = policy === undefined ? Object.freeze({ version: 1 } as const) : parsePolicy(policy);
  return Object.freeze({
    providers: list,
    policy: own,
    select: (requirements: Requirements | undefined, capabilities: Capabilities) =>
      select(list, own, resolveRequirements(requirements), capabilities),
  });
}

function checkProviders(providers: readonly Provider[]): readonly Provider[] {
  if (!Array.isArray(providers)) throw new TypeError("providers must be a list of providers");
  const seen = new Set<string>();
  for (const [index, provider] of (providers as readonly Provider[]).entries()) {
    const at = `providers[${index}]`;
    if (typeof provider !== "object" || provider === null) throw new TypeError(`${at} is not a provider`);
    const { name } = provider;
    if (!isProviderName(name)) throw new TypeError(`${at}.name must be ${NAME_RULE}`);
    const { layer } = provider;
    if (layer !== "message" && layer !== "socket") {
      throw new TypeError(`${at} ("${name}") has an unknown layer, ${JSON.stringify(layer)}`);
    }
    const method = layer === "message" ? "acquire" : "codec";
    const { [method]: open } = provider as unknown as Record<string, unknown>;
    if (typeof provider.available !== "function" || typeof open !== "function") {
      throw new TypeError(`${at} ("${name}") lacks available() or ${method}()`);
    }
    if (provider.description?.name !== name || typeof provider.description.offers !== "object") {
      throw new TypeError(`${at} ("${name}") must describe itself under the same name, with its offers`);
    }
    if (seen.has(name)) {
      throw new TypeError(
        `${at}: another provider is called "${name}" too; a policy could not tell them apart`,
      );
    }
    seen.add(name);
  }
  return Object.freeze([...providers]);
}

function select(
  providers: readonly Provider[],
  application: Policy,
  asked: ResolvedRequirements,
  capabilities: Capabilities,
): Selection {
  const { machinePolicy } = capabilities;
  const machine = readMachinePolicy(machinePolicy);
  const policy = machine ? tighten(application, machine) : application;
  const requirements = raise(asked, policy.floor);
  const rejected: RejectedProvider[] = [];
  const allowed: Provider[] = [];
  for (const provider of providers) {
    const reason = refusal(provider.name, asked, application, "the application's policy") ??
      (machine && refusal(provider.name, asked, machine, `the machine's policy (${machinePolicy.path})`));
    if (reason) rejected.push({ provider: provider.name, reason });
    else allowed.push(provider);
  }
  for (const provider of inOrder(allowed, policy.order)) {
    const problem = check(provider, requirements, capabilities);
    if (!problem) {
      const denied = Object.freeze([...policy.deny ?? []]);
      return Object.freeze({
        provider,
        rejected: Object.freeze(rejected),
        requirements,
        denied,
        machinePolicy,
      });
    }
    rejected.push({ provider: provider.name, ...problem });
  }
  throw nothingServes(requirements, rejected);
}

/** The machine's policy; one that is there and cannot be read stops every choice. */
function readMachinePolicy(found: MachinePolicy): Policy | null {
  switch (found.state) {
    case "present":
      return parsePolicy(found.text, `the machine's policy ${found.path}`);
    case "absent":
    case "unread":
      return null;
    case "unreadable":
      throw new PermissionError(
        "policy",
        `read access to ${found.path}`,
        `The machine's policy ${found.path} cannot be read (${found.reason}), so no provider may be chosen. ` +
          "Have an administrator make it readable",
      );
    default:
      throw new TypeError("capabilities.machinePolicy.state must be absent, present, unread or unreadable");
  }
}

/** Why a policy or the requirements themselves exclude a provider by name. */
function refusal(name: string, asked: ResolvedRequirements, policy: Policy, whose: string): string | null {
  if (asked.provider !== undefined && asked.provider !== name) {
    return `the requirements name "${asked.provider}" and no other`;
  }
  if (policy.deny?.includes(name)) return `${whose} denies it`;
  if (policy.order && !policy.order.includes(name)) return `${whose} does not list it in its order`;
  return null;
}

function inOrder(providers: readonly Provider[], order?: readonly string[]): readonly Provider[] {
  if (!order) return providers;
  return [...providers].sort((a, b) => order.indexOf(a.name) - order.indexOf(b.name));
}

function check(
  provider: Provider,
  requirements: ResolvedRequirements,
  capabilities: Capabilities,
): { reason: string; cause?: unknown } | null {
  let availability: Availability;
  try {
    availability = provider.available(capabilities);
  } catch (cause) {
    return { reason: "it failed when asked whether it is available here", cause };
  }
  if (availability?.available === true) return shortfall(provider.description.offers, requirements);
  const reason = availability?.reason || "it does not say that it is available here";
  return availability?.cause === undefined ? { reason } : { reason, cause: availability.cause };
}

function shortfall(offers: Offers, required: ResolvedRequirements): { reason: string } | null {
  for (const key of ["integrity", "confidentiality", "mutualAuthentication", "delegation"] as const) {
    if (required[key] && offers[key] !== true) {
      return { reason: `it does not offer ${key}, which is required` };
    }
  }
  const level = IMPERSONATION_LEVELS.indexOf(offers.impersonation);
  if (level < IMPERSONATION_LEVELS.indexOf(required.impersonation)) {
    return {
      reason:
        `it offers impersonation up to "${offers.impersonation}", and "${required.impersonation}" is required`,
    };
  }
  return null;
}

function nothingServes(requirements: ResolvedRequirements, rejected: readonly RejectedProvider[]): Error {
  const candidates = rejected.filter(({ provider }) =>
    requirements.provider === undefined || provider === requirements.provider
  );
  const [first] = candidates;
  // Compared by name: the error may come from another copy of this package.
  const names = new Set(candidates.map(({ cause }) => (cause as Error | undefined)?.name));
  const [only] = names;
  if (first && names.size === 1 && (only === "PermissionError" || only === "UnsupportedPlatformError")) {
    return first.cause as Error;
  }
  return new ProviderNotFoundError({ ...requirements }, Object.freeze([...rejected]));
}
