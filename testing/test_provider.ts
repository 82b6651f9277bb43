/**
 * The conformance suite for providers: of either layer, written in TypeScript or as WebAssembly.
 *
 * @module
 */

import type { Capabilities, Credentials, Provider, ProviderSystem } from "../contract.ts";
import { runChecks } from "./conformance/checks.ts";
import { CODEC_CHECKS } from "./conformance/codec_checks.ts";
import { CONTEXT_CHECKS } from "./conformance/context_checks.ts";
import {
  checkModule,
  type ModuleReport,
  type ProviderReport,
  type TestModuleOptions,
} from "./conformance/module.ts";

/** How {@linkcode testProvider} uses a provider. */
export interface TestProviderOptions {
  /** Who the client is; left out: the account that runs the process. */
  readonly credentials?: Credentials;
  /** Who the server is, likewise. */
  readonly serverCredentials?: Credentials;
  /** The server's principal. Default `host/server.example.test`. */
  readonly target?: string;
  /** The ends that the provider can be. Default both. */
  readonly roles?: readonly ("client" | "server")[];
  /** The system that it works on; left out: one without native libraries. */
  readonly system?: ProviderSystem;
}

/**
 * Runs the conformance suite on a provider, and reports how each check went. The suite talks to the provider as the
 * library does, lets it talk to itself, and does what an attacker on the network does: it alters, replays, reorders and
 * reflects records, and sends nonsense for tokens. It checks what the contract says, and no cryptography.
 *
 * A provider of layer `socket` has its settings, targets and queries read as the library reads them.
 *
 * @param provider The provider. It stays usable.
 * @returns The report; a failed check is in it and is not an exception.
 * @throws TypeError where an argument is wrong.
 * @example
 * ```ts
 * import { ipsec } from "@winsock/secure-sockets";
 * import { testProvider } from "@winsock/secure-sockets/testing";
 *
 * const { conforms, outcomes } = await testProvider(ipsec());
 * for (const { name, result, reason } of outcomes) {
 *   if (result === "FAILED") console.error(`${name}: ${reason}`);
 * }
 * console.log(conforms); // => true
 * ```
 */
export function testProvider(provider: Provider, options?: TestProviderOptions): Promise<ProviderReport>;
/**
 * Runs the conformance suite on a WebAssembly module, as `deno task plugin:check` does: first on its guest, message by
 * message, then on the provider that `loadProvider()` makes of it.
 *
 * @param module The module's bytes; copied.
 * @returns The report, with the hash to pin.
 * @throws ProviderRejectedError where the sandbox does not load the module; TypeError where an option does not fit it.
 */
export function testProvider(module: Uint8Array, options?: TestModuleOptions): Promise<ModuleReport>;
export async function testProvider(
  provider: Provider | Uint8Array,
  options: TestProviderOptions | TestModuleOptions = {},
): Promise<ProviderReport> {
  if (provider instanceof Uint8Array) {
    return await checkModule(provider, options as TestModuleOptions, NOTHING_NATIVE);
  }
  if (provider?.layer !== "context" && provider?.layer !== "socket") {
    throw new TypeError(
      'provider must be a provider, whose layer is "context" or "socket", or the bytes of a WebAssembly module',
    );
  }
  const outcomes = provider.layer === "socket"
    ? await runChecks(CODEC_CHECKS, { provider })
    : await runChecks(CONTEXT_CHECKS, contextSubject(provider, options as TestProviderOptions));
  const conforms = outcomes.every(({ result }) => result !== "FAILED");
  return { description: provider.description, outcomes, conforms };
}

function contextSubject(
  provider: Extract<Provider, { layer: "context" }>,
  { credentials, serverCredentials, target, roles = ["client", "server"], system }: TestProviderOptions,
) {
  if (roles.length === 0) throw new TypeError('roles must name an end: "client", "server" or both');
  const end = (role: "client" | "server", given: Credentials | undefined) =>
    roles.includes(role) ? { provider, ...(given === undefined ? {} : { credentials: given }) } : null;
  return {
    client: end("client", credentials),
    server: end("server", serverCredentials),
    system: system ?? NOTHING_NATIVE,
    target: target ?? "host/server.example.test",
  };
}

/** A system on which nothing native is available. */
const NOTHING_NATIVE: ProviderSystem = {
  capabilities: (): Capabilities => ({
    os: "other",
    runtime: "Deno" in globalThis ? "deno" : "node",
    simulated: false,
    securityContexts: { available: false, reason: "testProvider() gives no native libraries; pass a system" },
    ipsec: { available: false, reason: "testProvider() gives no native libraries; pass a system" },
    machinePolicy: { state: "absent", path: "" },
  }),
};
