/**
 * The provider "template", in the sandbox.
 *
 * @module
 */

import { loadProvider } from "../../sandbox/load_provider.ts";
import type { ContextProvider } from "../../../contract.ts";
import { GUEST_SHA256, guestModule } from "./guest_wasm.ts";

/** The options of {@linkcode template}. */
export interface TemplateOptions {
  /** The text that the peer receives. */
  greeting?: string;
}

/**
 * Loads the provider. It needs no permission.
 *
 * @throws TypeError or RangeError where an option is wrong.
 */
export function template(options: TemplateOptions = {}): Promise<ContextProvider> {
  return loadProvider(guestModule(), { sha256: GUEST_SHA256, name: "template", options });
}
