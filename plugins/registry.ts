/**
 * The registry: an ordered list of providers and a policy, which select the provider of a connection.
 *
 * @module
 */

import { PermissionError, ProviderNotFoundError, type RejectedProvider } from "../errors.ts";
import { deniedBy, isProviderName, NAME_RULE, type UnknownNames, unknownNames } from "./names.ts";
import { parsePolicy, raise, tighten } from "./policy.ts";
import type {
  Availability,
  Capabilities,
  ContextProvider,
  MachinePolicy,
  Offers,
  Policy,
  Provider,
  Requirements,
  ResolvedRequirements,
  SocketProvider,
} from "../contract.ts";
import { IMPERSONATION_LEVELS, resolveRequirements } from "./requirements.ts";

/** Details of a selection, besides the provider. */
export interface SelectionDetails {
  /** Every provider that was not selected, with the reason; those after the selected one are not in the list. */
  readonly rejected: readonly RejectedProvider[];
  /** What the connection must provide: the application's requirements, raised by the floor of each policy. */
  readonly requirements: ResolvedRequirements;
  /** The names that either policy denies. The provider must not negotiate them. */
  readonly denied: readonly string[];
  /** Names in the machine's policy that have no effect, because no known provider or mechanism has such a name. */
  readonly unknownNames: readonly UnknownNames[];
  /** The state of the machine's policy. If its `state` is `"unread"`, it was not applied. */
  readonly machinePolicy: MachinePolicy;
}

/** The selection of a provider that makes security contexts. */
export interface ContextSelection extends SelectionDetails {
  /** Always `"context"`. */
  readonly layer: "context";
  /** The selected provider. */
  readonly provider: ContextProvider;
}

/** The selection of a provider with which the operating system secures the socket. */
export interface SocketSelection extends SelectionDetails {
  /** Always `"socket"`. */
  readonly layer: "socket";
  /** The selected provider. */
  readonly provider: SocketProvider;
}

/** The selected provider, and why the others were not selected. */
export type Selection = ContextSelection | SocketSelection;

/** Selects a provider for each connection. */
export interface Registry {
  /** The providers, in the order given. */
  readonly providers: readonly Provider[];
  /** The application's policy. */
  readonly policy: Policy;
  /**
   * Selects the first provider, in the order of the policy, that is allowed, is available here and offers
   * everything required. Opens nothing. Each name in the machine's policy that is unknown here is reported once per
   * process with `console.warn()`.
   *
   * @throws TypeError if `requirements` contradict each other, or the machine's policy is malformed.
   * @throws PermissionError if every candidate lacks only a permission, or if the machine's policy exists and
   * cannot be read.
   * @throws ProviderNotFoundError if no provider is suitable, with a reason for each.
   */
  select(requirements: Requirements | undefined, capabilities: Capabilities): Selection;
}

/**
 * Makes a registry.
 *
 * @param providers The providers in order of preference; copied.
 * @param policy Which providers may be selected, and the least that they must provide: a {@linkcode Policy} as an
 * object or JSON text.
 * @throws TypeError if an entry is not a provider, two have the same name, the policy is malformed, or the policy
 * has a name that is neither built in nor that of one of `providers` or of a mechanism it negotiates.
 */
export function createRegistry(providers: readonly Provider[], policy?: Policy | string): Registry {
  const list = checkProviders(providers);
  const own = policy === undefined ? Object.freeze({ version: 1 } as const) : parsePolicy(policy);
  for (const { list: key, names, known } of unknownNames(own, list)) {
    const what = key === "deny" ? "provider or mechanism" : "provider";
    throw new TypeError(
      `policy: ${key}: ${quoted(names)} is not the name of a ${what} that this registry knows ` +
        `(${quoted(known)}). Correct it, remove it, or add its provider to the registry`,
    );
  }
  return Object.freeze({
    providers: list,
    policy: own,
    select: (requirements: Requirements | undefined, capabilities: Capabilities) =>
      select(list, own, resolveRequirements(requirements), capabilities),
  });
}

const quoted = (names: readonly string[]): string => names.map((name) => JSON.stringify(name)).join(", ");

function checkProviders(providers: readonly Provider[]): readonly Provider[] {
  if (!Array.isArray(providers)) throw new TypeError("providers must be a list of providers");
  const seen = new Set<string>();
  for (const [index, provider] of (providers as readonly Provider[]).entries()) {
    const at = `providers[${index}]`;
    if (typeof provider !== "object" || provider === null) throw new TypeError(`${at} is not a provider`);
    const { name } = provider;
    if (!isProviderName(name)) throw new TypeError(`${at}.name must be ${NAME_RULE}`);
    const { layer } = provider;
    if (layer !== "context" && layer !== "socket") {
      throw new TypeError(`${at} ("${name}") has an unknown layer, ${JSON.stringify(layer)}`);
    }
    const method = layer === "context" ? "acquire" : "codec";
    const { [method]: open } = provider as unknown as Record<string, unknown>;
    if (typeof provider.available !== "function" || typeof open !== "function") {
      throw new TypeError(`${at} ("${name}") lacks available() or ${method}()`);
    }
    if (provider.description?.name !== name || typeof provider.description.offers !== "object") {
      throw new TypeError(`${at} ("${name}") must describe itself with the same name, and with its offers`);
    }
    const { mechanisms } = provider.description;
    const listed = Array.isArray(mechanisms) && mechanisms.length > 0 && mechanisms.every(isProviderName);
    if (mechanisms !== undefined && !listed) {
      throw new TypeError(
        `${at} ("${name}") must list the mechanisms it negotiates, or none: each ${NAME_RULE}`,
      );
    }
    if (seen.has(name)) {
      throw new TypeError(
        `${at}: another provider has the name "${name}" too; a policy could not distinguish them`,
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
  const unknown = machine ? unknownNames(machine, providers) : [];
  for (const finding of unknown) warnOnce(machinePolicy.path, finding);
  const policy = machine ? tighten(application, machine) : application;
  const requirements = raise(asked, policy.floor);
  const policies: NamedPolicy[] = [[application, "the application's policy"]];
  if (machine) policies.push([machine, `the machine's policy (${machinePolicy.path})`]);
  const rejected: RejectedProvider[] = [];
  const allowed: Provider[] = [];
  for (const provider of providers) {
    const reason = refusal(provider, asked, policies) ?? nothingLeft(provider, requirements, policies);
    if (reason) rejected.push({ provider: provider.name, reason });
    else allowed.push(provider);
  }
  for (const provider of inOrder(allowed, policy.order)) {
    const problem = check(provider, requirements, capabilities);
    if (!problem) {
      const details: SelectionDetails = {
        rejected: Object.freeze(rejected),
        requirements,
        denied: Object.freeze([...policy.deny ?? []]),
        unknownNames: Object.freeze(unknown),
        machinePolicy,
      };
      return Object.freeze(
        provider.layer === "context"
          ? { layer: provider.layer, provider, ...details }
          : { layer: provider.layer, provider, ...details },
      );
    }
    rejected.push({ provider: provider.name, ...problem });
  }
  throw nothingServes(requirements, rejected);
}

/** A policy, and the name of its source. */
type NamedPolicy = readonly [policy: Policy, whose: string];

/**
 * Returns what is wrong with the machine's policy, one sentence each, for an administrator; the process does not
 * warn of it again.
 *
 * @throws as {@linkcode Registry.select} does for such a policy.
 */
export function machinePolicyFindings(found: MachinePolicy, providers: readonly Provider[]): string[] {
  const machine = readMachinePolicy(found);
  return (machine ? unknownNames(machine, providers) : []).map((finding) => {
    for (const name of finding.names) warned.add(`${finding.list} ${name}`);
    return unknownNamesFinding(found.path, finding);
  });
}

/** The sentence about unknown names in a machine's policy, with the fix. */
function unknownNamesFinding(path: string, { list, names, known }: UnknownNames): string {
  return `The machine's policy ${path} has ${quoted(names)} in ${list}, which is unknown here (known: ` +
    `${quoted(known)}) and has no effect on this program. Correct it if it is misspelt`;
}

/** The list and name of each warning of this process. */
const warned = new Set<string>();

function warnOnce(path: string, finding: UnknownNames): void {
  const names = finding.names.filter((name) => !warned.has(`${finding.list} ${name}`));
  if (names.length === 0) return;
  for (const name of names) warned.add(`${finding.list} ${name}`);
  console.warn(`secure-sockets: ${unknownNamesFinding(path, { ...finding, names })}`);
}

/** The machine's policy. If it exists and cannot be read, no provider can be selected. */
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
        `The machine's policy ${found.path} cannot be read (${found.reason}), so no provider can be ` +
          "selected. Have an administrator make it readable",
      );
    default:
      throw new TypeError("capabilities.machinePolicy.state must be absent, present, unread or unreadable");
  }
}

/** Why a policy, or the requirements, exclude a provider by name. */
function refusal(
  { name }: Provider,
  asked: ResolvedRequirements,
  policies: readonly NamedPolicy[],
): string | null {
  if (asked.provider !== undefined && asked.provider !== name) {
    return `the requirements name "${asked.provider}" and no other`;
  }
  for (const [policy, whose] of policies) {
    const denied = deniedBy(policy.deny, name);
    if (denied !== null) return `${whose} denies ${denied === name ? "it" : `"${denied}"`}`;
    if (policy.order && !policy.order.includes(name)) return `${whose} does not list it in its order`;
  }
  return null;
}

/** Why none of the mechanisms that a provider negotiates is allowed. */
function nothingLeft(
  { description }: Provider,
  requirements: ResolvedRequirements,
  policies: readonly NamedPolicy[],
): string | null {
  const { mechanisms } = description;
  if (mechanisms === undefined) return null;
  const problems: string[] = [];
  for (const mechanism of mechanisms) {
    const [, whose] = policies.find(([{ deny }]) => deniedBy(deny, mechanism) !== null) ?? [];
    if (whose !== undefined) problems.push(`${mechanism} (${whose} denies it)`);
    else if (mechanism === "ntlm" && requirements.mutualAuthentication) {
      problems.push("ntlm (it cannot authenticate the server, and mutualAuthentication is required)");
    } else return null;
  }
  return `every mechanism that it could negotiate is excluded: ${problems.join(", ")}`;
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
    return { reason: "its available() failed", cause };
  }
  if (availability?.available === true) return shortfall(provider.description.offers, requirements);
  const reason = availability?.reason || "its available() did not report that it is available";
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
