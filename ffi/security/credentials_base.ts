/**
 * The rules that credentials keep, whatever the operating system: contexts outlive the closing of the credentials
 * that they were made from, which are released with the last of them.
 *
 * @module
 */

import type {
  ContextOptions,
  ProviderContext,
  ProviderCredentials,
  ResolvedRequirements,
} from "../../contract.ts";
import type { CheckedIdentity } from "../../credentials.ts";
import { StateError } from "../../errors.ts";
import { ReferenceCount, track } from "../handles.ts";
import { checkContextOptions, type ContextRequest } from "./context.ts";

/** The package (SSPI) or mechanism (GSS-API) to use. */
export type SecurityPackage = "negotiate" | "kerberos";

/** What is asked of credentials. */
export interface CredentialsRequest {
  /** The package or mechanism. */
  readonly package: SecurityPackage;
  /** The end that will use them. */
  readonly role: "client" | "server";
  /** Leave NTLM out when the credentials are acquired: it cannot authenticate the server. */
  readonly excludeNtlm: boolean;
  /** Leave Kerberos out of Negotiate, likewise. Default `false`. */
  readonly excludeKerberos?: boolean;
  /** What every context that is made from them must be. */
  readonly requirements: ResolvedRequirements;
  /** Who to be; left out: whoever runs the process. */
  readonly identity?: Identity;
}

/** Who to be. Keytab and cache have no meaning on Windows. */
export type Identity = CheckedIdentity;

/** What credentials came from. */
export interface CredentialsOrigin extends Pick<CredentialsRequest, "package" | "requirements"> {
  /** True where a client delegated them. */
  readonly delegated?: boolean;
}

/** Keeps the rules; `native` members do the work. */
export abstract class CredentialsBase implements ProviderCredentials {
  /** The package they were acquired for. */
  readonly package: SecurityPackage;
  /** Whether a client delegated them: they are Kerberos tickets, whatever was left out when others were acquired. */
  readonly delegated: boolean;
  readonly #requirements: ResolvedRequirements;
  readonly #references: ReferenceCount;

  /** @param unhold Lets go of the library that the credentials are held by. */
  protected constructor(request: CredentialsOrigin, unhold: () => void) {
    this.package = request.package;
    this.delegated = request.delegated ?? false;
    this.#requirements = request.requirements;
    const untrack = track("credentials");
    this.#references = new ReferenceCount(() => {
      try {
        this.nativeRelease();
      } finally {
        untrack();
        unhold();
      }
    });
  }

  /** Makes a context, which calls `release` once, when it no longer uses the credentials. */
  protected abstract nativeContext(
    role: "client" | "server",
    request: ContextRequest,
    release: () => void,
  ): ProviderContext;
  /** Releases everything; called once, when no context uses it. */
  protected abstract nativeRelease(): void;

  client(options: ContextOptions & { readonly target: string }): ProviderContext {
    return this.#context("client", options, this.#requirements);
  }

  server(options: ContextOptions): ProviderContext {
    return this.#context("server", options, this.#requirements);
  }

  /**
   * The same credentials for other requirements. They stay their owner's: closing what is returned closes nothing, and
   * it makes contexts for as long as these are open.
   */
  lend(requirements: ResolvedRequirements): ProviderCredentials {
    let closed = false;
    const context = (role: "client" | "server", options: ContextOptions): ProviderContext => {
      if (closed) throw closedCredentials();
      return this.#context(role, options, requirements);
    };
    const close = (): void => void (closed = true);
    return {
      client: (options) => context("client", options),
      server: (options) => context("server", options),
      close,
      [Symbol.dispose]: close,
    };
  }

  #context(
    role: "client" | "server",
    options: ContextOptions,
    requirements: ResolvedRequirements,
  ): ProviderContext {
    if (this.#references.closed) throw closedCredentials();
    const checked = checkContextOptions(role, options);
    const release = this.#references.hold();
    try {
      return this.nativeContext(role, { ...requirements, ...checked }, release);
    } catch (error) {
      release();
      throw error;
    }
  }

  close(): void {
    this.#references.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

function closedCredentials(): StateError {
  return new StateError("The credentials are closed; acquire them again");
}
