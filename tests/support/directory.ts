/** Helpers for tests of `./directory`. */

import type { ProviderSystem } from "../../contract.ts";
import type { DirectoryOptions } from "../../directory/mod.ts";
import type { AdDc } from "../rig/ad_dc.ts";

/** What opens the domain's only controller, whose name no DNS server knows. */
export function directoryOf(dc: AdDc, system: ProviderSystem): DirectoryOptions {
  return { domain: "example.test", servers: [{ hostname: "dc1.example.test", address: dc.address }], system };
}
