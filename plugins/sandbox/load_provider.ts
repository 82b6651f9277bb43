/**
 * Loads a provider from a WebAssembly module that is not trusted.
 *
 * @module
 */

import { ProviderRejectedError } from "../../errors.ts";
import type { ContextProvider, Provider, SocketGrants, SocketProvider } from "../../contract.ts";
import { FieldLimit, IMPORT_MODULE, Status } from "./abi.ts";
import { reject } from "./bytes.ts";
import { type ModuleDescription, parseDescription } from "./description.ts";
import { guard, type GuardedModule } from "./guard.ts";
import { limitLines } from "./host_functions.ts";
import { type CompiledModule, GuestInstance } from "./instance.ts";
import { resolveLimits } from "./limits.ts";
import { checkManifest, compareWithManifest, grantedSignatures, type Manifest } from "./manifest.ts";
import type { LoadedModule } from "./context.ts";
import { SandboxedProvider } from "./context_provider.ts";
import { resolveOptions } from "./options.ts";
import { checkAnswers } from "./questions.ts";
import { readModule } from "./read_module.ts";
import { checkSocketGrants } from "./socket_grants.ts";
import { sandboxedSocketProvider } from "./socket_provider.ts";

/** The functions that every guest exports, with their types. */
const REQUIRED_EXPORTS: ReadonlyMap<string, string> = new Map([
  ["abi_version", "->i32"],
  ["alloc", "i32->i32"],
  ["call", "i32,i32->i64"],
]);
const OPTIONAL_EXPORTS: ReadonlyMap<string, string> = new Map([["_initialize", "->"]]);

/**
 * Loads a provider. A module of layer `context` makes security contexts. A module of layer `socket` needs
 * `manifest.socket`, which limits its settings; the host reads what it writes before the system receives it.
 *
 * `wasm` is copied. None of its code runs before its hash was compared, and it can only do what `manifest.imports`
 * grants. Bytes load without any permission; a URL is read with the permissions of the process.
 *
 * @example
 * ```ts
 * import { loadProvider } from "@winsock/secure-sockets";
 *
 * const provider = await loadProvider(new URL("https://example.test/provider.wasm"), {
 *   sha256: "52162a888f7afae048b4cb3d6ca78360420bdd85456f86b3b012eca68f91c0be",
 *   imports: { random: true },
 * });
 * ```
 *
 * @throws TypeError or RangeError if the manifest, its options, limits or answers are invalid.
 * @throws ProviderRejectedError if the module differs from the manifest, or breaks a rule of the sandbox.
 * @throws ProviderTrapError or ProviderLimitError if it fails to describe itself.
 */
export function loadProvider<O extends object = Record<string, unknown>>(
  wasm: URL | Uint8Array,
  manifest: Manifest<O> & { readonly socket: SocketGrants },
): Promise<SocketProvider>;
/** Loads a provider of layer `context`. */
export function loadProvider<O extends object = Record<string, unknown>>(
  wasm: URL | Uint8Array,
  manifest: Manifest<O> & { readonly socket?: undefined },
): Promise<ContextProvider>;
/** Loads a provider of either layer. */
export function loadProvider<O extends object = Record<string, unknown>>(
  wasm: URL | Uint8Array,
  manifest: Manifest<O>,
): Promise<Provider>;
export async function loadProvider(
  wasm: URL | Uint8Array,
  manifest: Manifest<object>,
): Promise<Provider> {
  checkManifest(manifest);
  const sha256 = manifest.sha256.toLowerCase();
  const grants = manifest.socket && checkSocketGrants(manifest.socket, "socket.");
  const loaded = await loadModule(wasm, manifest);
  if (loaded.description.layer === "context") {
    if (grants) {
      reject(
        "layer",
        -1,
        "its layer is context, but the option socket is for modules of layer socket; leave it out",
      );
    }
    return new SandboxedProvider(loaded, sha256);
  }
  if (!grants) {
    reject(
      "layer",
      -1,
      "its layer is socket: give socket, the grants that its settings may use, or {} for none",
    );
  }
  return sandboxedSocketProvider(loaded, sha256, grants);
}

/** Loads a provider that is a part of this package; only these may have a built-in provider's name. */
export async function loadBuiltIn(
  wasm: Uint8Array,
  manifest: Manifest<object> & { readonly name: string },
): Promise<ContextProvider> {
  const loaded = await loadModule(wasm, manifest, true);
  if (loaded.description.layer !== "context") {
    reject("layer", -1, `its layer is ${loaded.description.layer}; its own provider must load a codec`);
  }
  return new SandboxedProvider(loaded, manifest.sha256.toLowerCase());
}

/**
 * Loads a module of either layer: checks its hash, guards, compiles, and compares its description with the
 * manifest.
 *
 * @param builtIn Whether it is a part of this package.
 */
export async function loadModule(
  wasm: URL | Uint8Array,
  manifest: Manifest<object>,
  builtIn = false,
): Promise<LoadedModule> {
  checkManifest(manifest);
  const limits = resolveLimits(manifest.limits);
  const { log, ...silent } = manifest.imports ?? {};
  const grants = Object.freeze(log ? { ...silent, log: limitLines(log) } : silent);
  const answers = Object.freeze({ ...manifest.answers });
  const bytes = await readModule(wasm, limits.moduleBytes);
  await checkPin(bytes, manifest.sha256);
  const guarded = guard(bytes, {
    limits,
    importModule: IMPORT_MODULE,
    imports: grantedSignatures(grants),
    required: REQUIRED_EXPORTS,
    optional: OPTIONAL_EXPORTS,
  });
  const module = await compile(guarded);
  const unnamed: CompiledModule = { name: manifest.name ?? "the provider", module, guarded, limits, grants };
  const description = describe(unnamed);
  compareWithManifest(description, guarded, manifest, builtIn);
  checkAnswers(description.name, description.questions, answers);
  return {
    compiled: { ...unnamed, name: description.name },
    description,
    options: resolveOptions(description.name, description.options, manifest.options),
    answers,
    builtIn,
  };
}

async function checkPin(bytes: Uint8Array<ArrayBuffer>, sha256: string): Promise<void> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  const actual = Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
  if (actual === sha256.toLowerCase()) return;
  reject("sha256", -1, `its hash is ${actual}, the manifest pins ${sha256}; use the module that was checked`);
}

async function compile(guarded: GuardedModule): Promise<WebAssembly.Module> {
  try {
    return await WebAssembly.compile(guarded.bytes);
  } catch (cause) {
    const message = `The provider's module was refused (compile): the engine cannot compile it: ${
      (cause as Error).message
    }`;
    throw new ProviderRejectedError("compile", -1, message, { cause });
  }
}

/** Has a new instance describe the module. */
function describe(compiled: CompiledModule): ModuleDescription {
  const instance = new GuestInstance(compiled);
  try {
    const text = instance.call("describe", new Uint8Array(0), (answer) => {
      if (answer.u32() !== Status.ok) answer.refuse("describe did not succeed");
      return answer.restText(FieldLimit.description);
    });
    return parseDescription(text);
  } finally {
    instance.drop();
  }
}
