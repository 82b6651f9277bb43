/**
 * The options of `openInitiator` and `openAcceptor`, and the selection of a provider for them.
 *
 * @module
 */

import type {
  Capabilities,
  Credentials,
  ProviderSystem,
  Requirements,
  ResolvedRequirements,
} from "../contract.ts";
import { openSystem } from "../ffi/system.ts";
import { negotiate } from "../plugins/negotiate/mod.ts";
import { type ContextSelection, createRegistry, type Registry, type Selection } from "../plugins/registry.ts";
import type { Origin } from "./verify.ts";

/** Options of {@linkcode openInitiator} and {@linkcode openAcceptor}. */
export interface OpenOptions {
  /** The providers to select from; left out: `[negotiate()]`. */
  readonly registry?: Registry;
  /**
   * What this end authenticates with; left out: the account that runs the process. The caller zeroes a password of
   * type `Uint8Array`.
   */
  readonly credentials?: Credentials;
  /**
   * What every context must provide. Left out: mutual authentication, and no protection of records, because many
   * protocols use none; `security` reports what was agreed.
   */
  readonly requirements?: Requirements;
  /** The system to use; left out: one for the whole process. */
  readonly system?: ProviderSystem;
  /** Aborts the opening with its `reason`, unchanged. */
  readonly signal?: AbortSignal;
}

/** Options of {@linkcode openAcceptor}. */
export interface AcceptorOptions extends OpenOptions {
  /**
   * The SPNs that a client may request, for instance `["HTTP/web.example.test"]`. Left out: every name that the
   * credentials have a key for.
   */
  readonly acceptedTargets?: readonly string[];
}

let registry: Registry | undefined;
let shared: ProviderSystem | undefined;

/**
 * The default registry, `[negotiate()]`. It is the same on every system, because nothing on the wire names the
 * provider.
 */
export function defaultRegistry(): Registry {
  return registry ??= createRegistry([negotiate()]);
}

/**
 * The system of this process. It is opened on first use, shared, and stays open: opening a library for each
 * connection would cost more than the connection.
 */
export function defaultSystem(): ProviderSystem {
  return shared ??= openSystem({ grants: ["sspi"] });
}

/** What a provider is selected by. */
export interface SelectionTerms {
  /** The providers to select from. */
  readonly registry: Registry;
  /** The system to use. */
  readonly system: ProviderSystem;
  /** The application's requirements, before any policy. */
  readonly requirements: ResolvedRequirements;
}

const OWN_SOCKETS = "it secures sockets that the library opens itself: use connect() or listen()";

/** A selected provider that makes contexts. */
export interface SelectedContexts {
  /** The provider, and the requirements that it must meet. */
  readonly selection: ContextSelection;
  /** Which provider was selected, and by what rule. */
  readonly origin: Origin;
}

/**
 * Selects a provider that makes contexts, for a stream or messages of the application.
 *
 * @param name The only provider to consider.
 * @throws ProviderNotFoundError or PermissionError if none is available.
 */
export function selectContexts(terms: SelectionTerms, name?: string): SelectedContexts {
  const found = terms.system.capabilities();
  const capabilities: Capabilities = { ...found, ipsec: { available: false, reason: OWN_SOCKETS } };
  const asked = name === undefined ? terms.requirements : { ...terms.requirements, provider: name };
  const selection = terms.registry.select(asked, capabilities);
  if (selection.layer === "context") return { selection, origin: originOf(selection, found.simulated) };
  // A third party's provider of the socket layer may report that it is available although there is no socket.
  throw new TypeError(`the provider "${selection.provider.name}" is unavailable here: ${OWN_SOCKETS}`);
}

/** Which provider was selected, and by what rule. */
export function originOf({ provider, denied, machinePolicy }: Selection, simulated: boolean): Origin {
  return { provider: provider.description, denied, simulated, machinePolicy: machinePolicy.state };
}
