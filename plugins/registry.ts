/**
 * The registry: an ordered list of providers and a policy, which together choose the provider of a connection.
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

/** What is known beside the provider that serves. */
export interface SelectionDetails {
  /** Every provider that was passed over, with the reason; one that was never reached is not among them. */
  readonly rejected: readonly RejectedProvider[];
  /** What the connection must be: what was asked for, raised by the floor of each policy. */
  readonly requirements: ResolvedRequirements;
  /** The names that either policy denies: the provider must not bring them in by negotiating. */
  readonly denied: readonly string[];
  /** Names in the machine's policy that have no effect, since nothing known here is called so. */
  readonly unknownNames: readonly UnknownNames[];
  /** The machine's policy as it was found: where its `state` is `"unread"`, it had no say. */
  readonly machinePolicy: MachinePolicy;
}

/** A provider that makes security contexts serves. */
export interface ContextSelection extends SelectionDetails {
  /** Always `"context"`. */
  readonly layer: "context";
  /** The provider that serves. */
  readonly provider: ContextProvider;
}

/** A provider that has the operating system secure the socket serves. */
export interface SocketSelection extends SelectionDetails {
  /** Always `"socket"`. */
  readonly layer: "socket";
  /** The provider that serves. */
  readonly provider: SocketProvider;
}

/** Which provider serves, and why no other does. */
export type Selection = ContextSelection | SocketSelection;

/** Chooses a provider for each connection. */
export interface Registry {
  /** The providers, in the order they were given. */
  readonly providers: readonly Provider[];
  /** The application's policy. */
  readonly policy: Policy;
  /**
   * Chooses the first provider, in the order of the policy, that is allowed, available here and offers all that
   * is required. Opens nothing. Where the machine's policy has names that are known to nobody here, each is told by one
   * `console.warn()` for the life of the process.
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
 * @throws TypeError where an entry is no provider, two have the same name, the policy is malformed, or it has a name
 * that is neither a built-in provider's nor that of one of `providers` or a mechanism it negotiates.
 */
export function createRegistry(providers: readonly Provider[], policy?: Policy | string): Registry {
  const list = checkProviders(providers);
  const own = policy === undefined ? Object.freeze({ version: 1 } as const) : parsePolicy(policy);
  for (const { list: key, names, known } of unknownNames(own, list)) {
    const what = key === "deny" ? "provider or mechanism" : "provider";
    throw new TypeError(
      `policy: ${key}: ${quoted(names)} is the name of no ${what} that this registry knows (${
        quoted(known)
      }). ` +
        "Correct it, take it out, or add its provider to the registry",
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
      throw new TypeError(`${at} ("${name}") must describe itself under the same name, with its offers`);
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

/** A policy, and whose it is. */
type NamedPolicy = readonly [policy: Policy, whose: string];

/**
 * What an administrator should know of the machine's policy, a sentence each; not warned of again in this process.
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

/** What is wrong with a machine's policy that has unknown names, and what to do. */
function unknownNamesFinding(path: string, { list, names, known }: UnknownNames): string {
  return `The machine's policy ${path} has ${
    quoted(names)
  } in ${list}, and nothing known here is called so ` +
    `(known: ${quoted(known)}): it has no effect on this program. Correct it if it is misspelt`;
}

/** What was told in this process: the list, and the name. */
const warned = new Set<string>();

function warnOnce(path: string, finding: UnknownNames): void {
  const names = finding.names.filter((name) => !warned.has(`${finding.list} ${name}`));
  if (names.length === 0) return;
  for (const name of names) warned.add(`${finding.list} ${name}`);
  console.warn(`secure-sockets: ${unknownNamesFinding(path, { ...finding, names })}`);
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

/** Why none of the mechanisms that a provider negotiates may serve. */
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
  return `no mechanism is left that it could negotiate: ${problems.join(", ")}`;
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
