/**
 * Makes a {@linkcode ContextProvider} of a sandboxed module.
 *
 * @module
 */

import { checkCredentials, type CheckedCredentials } from "../../credentials.ts";
import { SecurityRequirementError, StateError } from "../../errors.ts";
import type {
  AcquireOptions,
  Availability,
  ContextOptions,
  ContextProvider,
  ProviderContext,
  ProviderCredentials,
  ProviderDescription,
} from "../../contract.ts";
import { IMPERSONATION } from "./abi.ts";
import type { CredentialKind, ModuleDescription, Role } from "./description.ts";
import { type LoadedModule, type Purpose, SandboxedContext } from "./context.ts";
import { checkAnswers } from "./questions.ts";
import { refuseLoneSurrogates } from "./wire.ts";

const ENCODER = new TextEncoder();

/** A provider of layer `context` that a sandboxed module implements. */
export class SandboxedProvider implements ContextProvider {
  readonly layer = "context";
  readonly name: string;
  readonly description: ProviderDescription;
  readonly #loaded: LoadedModule;

  /** @param sha256 The hash of the module of `loaded`. */
  constructor(loaded: LoadedModule, sha256: string) {
    this.#loaded = loaded;
    this.name = loaded.description.name;
    this.description = Object.freeze({
      name: this.name,
      layer: "context",
      isolation: "sandboxed",
      sha256,
      imports: loaded.compiled.guarded.imports,
      offers: loaded.description.offers,
    });
  }

  /** WebAssembly is available on every runtime of this library. */
  available(): Availability {
    return { available: true };
  }

  /** Takes a copy of the credentials and has an instance of the module look at them. */
  // deno-lint-ignore require-await -- the contract's promise; what is wrong rejects it
  async acquire(options: AcquireOptions): Promise<ProviderCredentials> {
    options.signal?.throwIfAborted();
    const { description, answers } = this.#loaded;
    refuseMoreThanOffered(description, options);
    checkAnswers(this.name, description.questions, answers, options.role);
    const given = options.credentials && checkCredentials(options.credentials, "credentials");
    const credentials = copyCredentials(description, options.role, given);
    const purpose: Purpose = { role: options.role, requirements: options.requirements, credentials };
    try {
      new SandboxedContext(this.#loaded, purpose, {}).close();
    } catch (error) {
      credentials?.password.fill(0);
      throw error;
    }
    return new SandboxedCredentials(this.#loaded, purpose);
  }
}

/** The credentials, which the host keeps; each context's instance is given a copy. */
class SandboxedCredentials implements ProviderCredentials {
  readonly #loaded: LoadedModule;
  readonly #purpose: Purpose;
  #closed = false;

  constructor(loaded: LoadedModule, purpose: Purpose) {
    this.#loaded = loaded;
    this.#purpose = purpose;
  }

  client(options: ContextOptions & { readonly target: string }): ProviderContext {
    if (typeof options.target !== "string" || options.target === "") {
      throw new TypeError('target must be the server\'s SPN, for instance "host/server.example.test"');
    }
    refuseLoneSurrogates("target", options.target);
    return this.#context("client", options);
  }

  server(options: ContextOptions): ProviderContext {
    return this.#context("server", options);
  }

  close(): void {
    this.#closed = true;
    this.#purpose.credentials?.password.fill(0);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #context(role: Role, { target, channelBindings }: ContextOptions): ProviderContext {
    const { name } = this.#loaded.description;
    if (this.#closed) throw new StateError(`${name}: these credentials are closed; acquire them again`);
    if (this.#purpose.role !== role) {
      throw new StateError(`${name}: these credentials were acquired for a ${this.#purpose.role}`);
    }
    if (
      channelBindings !== undefined && !(channelBindings instanceof Uint8Array && channelBindings.length > 0)
    ) {
      throw new TypeError(
        "channelBindings must be a Uint8Array that is not empty; leave it out if there are none",
      );
    }
    return new SandboxedContext(this.#loaded, this.#purpose, {
      ...(role === "client" ? { target } : {}),
      ...(channelBindings ? { channelBindings } : {}),
    });
  }
}

/** Refuses requirements that the module cannot meet, before it has received a password or sent a token. */
function refuseMoreThanOffered({ name, offers }: ModuleDescription, options: AcquireOptions): void {
  const { requirements, role } = options;
  const refuse = (what: string): never => {
    throw new SecurityRequirementError(
      what,
      "not offered",
      `The provider ${name} does not offer ${what}, which is required; use another provider, or ` +
        `lower requirements.${what}`,
    );
  };
  for (const key of ["integrity", "confidentiality", "mutualAuthentication", "delegation"] as const) {
    if (requirements[key] && !offers[key]) refuse(key);
  }
  const offered = IMPERSONATION.indexOf(offers.impersonation);
  if (role === "server" && IMPERSONATION.indexOf(requirements.impersonation) > offered) {
    refuse("impersonation");
  }
}

function copyCredentials(
  { name, credentials: accepted }: ModuleDescription,
  role: Role,
  given: CheckedCredentials | undefined,
): Purpose["credentials"] {
  const kinds: readonly CredentialKind[] | undefined = accepted[role];
  if (!kinds) throw new TypeError(`role is ${role}, which the provider ${name} does not support`);
  if (!given) {
    if (kinds.includes("none")) return null;
    throw new TypeError(
      `credentials must be given: the provider ${name} cannot use the account that runs the process`,
    );
  }
  if (!("password" in given)) {
    throw new TypeError(
      `credentials must be a user name and a password: the provider ${name} cannot read files`,
    );
  }
  if (!kinds.includes("password")) {
    throw new TypeError(`credentials must be left out: the provider ${name} accepts none as a ${role}`);
  }
  const { username, domain = "", password } = given;
  const copy = typeof password === "string" ? ENCODER.encode(password) : Uint8Array.from(password);
  return { username, domain, password: copy };
}
