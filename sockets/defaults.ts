/**
 * What stands in where the options name no registry and no system.
 *
 * @module
 */

import { openSystem } from "../ffi/system.ts";
import { negotiate } from "../plugins/negotiate/mod.ts";
import type { ProviderSystem } from "../contract.ts";
import { createRegistry, type Registry } from "../plugins/registry.ts";

let registry: Registry | undefined;
let shared: ProviderSystem | undefined;

/** The registry of `[negotiate()]`: nothing on the wire tells the provider, so it is the same on every system. */
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
