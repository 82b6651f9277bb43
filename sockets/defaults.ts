/**
 * What stands in where the options name no registry and no system.
 *
 * @module
 */

import type { ProviderSystem } from "../plugins/provider.ts";
import type { Registry } from "../plugins/registry.ts";

/** The registry of `[negotiate()]`. */
export function defaultRegistry(): Registry {
  throw new TypeError("options.registry must be given");
}

/** The system of this process, opened on first use and shared. */
export function defaultSystem(): ProviderSystem {
  throw new TypeError("options.system must be given");
}
