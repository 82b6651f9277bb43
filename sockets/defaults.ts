/**
 * What stands in where the options name no registry and no system.
 *
 * @module
 */

import { NativeSystem } from "../ffi/system.ts";
import { negotiate } from "../plugins/negotiate/mod.ts";
import type { ProviderSystem } from "../plugins/provider.ts";
import { createRegistry, type Registry } from "../plugins/registry.ts";

let registry: Registry | undefined;
let shared: NativeSystem | undefined;

/** The registry of `[negotiate()]`: nothing on the wire tells the provider, so it is the same on every system. */
export function defaultRegistry(): Registry {
  return registry ??= createRegistry([negotiate()]);
}

/**
 * The system of this process: opened on first use, shared, and closed when the last connection that uses it has
 * gone. The next use opens another.
 */
export function defaultSystem(): ProviderSystem {
  return shared ??= openShared();
}

function openShared(): NativeSystem {
  const system = new NativeSystem({ grants: ["sspi"] }, {
    onIdle: () => {
      if (shared === system) shared = undefined;
      system.close();
    },
  });
  return system;
}
