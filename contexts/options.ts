/**
 * What `openInitiator` and `openAcceptor` take, and who serves by it.
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
  /** The providers to choose from; left out: `[negotiate()]`. */
  readonly registry?: Registry;
  /** Who to be; left out: the user that runs the process. A password of type `Uint8Array` is the caller's to zero. */
  readonly credentials?: Credentials;
  /**
   * What every context must be. Left out: mutual authentication, and nothing of records, since many protocols use
   * none; what is agreed on of them is reported in `security`.
   */
  readonly requirements?: Requirements;
  /** The system to work on; left out: one for the whole process. */
  readonly system?: ProviderSystem;
  /** Abandons the opening; its reason is rethrown unchanged. */
  readonly signal?: AbortSignal;
}

/** Options of {@linkcode openAcceptor}. */
export interface AcceptorOptions extends OpenOptions {
  /**
   * The SPNs that a client may ask for, for instance `["HTTP/web.example.test"]`. Left out: every name that the
   * credentials hold a key for.
   */
  readonly acceptedTargets?: readonly string[];
}

let registry: Registry | undefined;
let shared: ProviderSystem | undefined;

/** The registry of `[negotiate()]`: nothing on the wire names the provider, so it is the same on every system. */
export function defaultRegistry(): Registry {
  return registry ??= createRegistry([negotiate()]);
}

/**
 * The system of this process: opened on first use and shared from then on. It stays open: opening a library anew for
 * each connection would cost more than the connection.
 */
export function defaultSystem(): ProviderSystem {
  return shared ??= openSystem({ grants: ["sspi"] });
}

/** What a provider is chosen by. */
export interface SelectionTerms {
  /** The providers to choose from. */
  readonly registry: Registry;
  /** The system to work on. */
  readonly system: ProviderSystem;
  /** What was asked for, before any policy. */
  readonly requirements: ResolvedRequirements;
}

const OWN_SOCKETS = "it secures sockets that the library opens itself: use connect() or listen()";

/** A provider that makes contexts, what it must give, and who serves on what ground. */
export interface SelectedContexts {
  /** The provider, and what it must give. */
  readonly selection: ContextSelection;
  /** Who serves, and on what ground. */
  readonly origin: Origin;
}

/**
 * Chooses a provider that makes contexts, for a stream or messages of the application's own.
 *
 * @param name the only one to consider.
 * @throws ProviderNotFoundError or PermissionError where none can serve.
 */
export function selectContexts(terms: SelectionTerms, name?: string): SelectedContexts {
  const found = terms.system.capabilities();
  const capabilities: Capabilities = { ...found, ipsec: { available: false, reason: OWN_SOCKETS } };
  const asked = name === undefined ? terms.requirements : { ...terms.requirements, provider: name };
  const selection = terms.registry.select(asked, capabilities);
  if (selection.layer === "context") return { selection, origin: originOf(selection, found.simulated) };
  // A third party's provider of the socket layer may report that it is available although no socket is.
  throw new TypeError(`the provider "${selection.provider.name}" cannot serve here: ${OWN_SOCKETS}`);
}

/** Who serves what was selected, and on what ground. */
export function originOf({ provider, denied, machinePolicy }: Selection, simulated: boolean): Origin {
  return { provider: provider.description, denied, simulated, machinePolicy: machinePolicy.state };
}
