/**
 * The rules of credentials on all operating systems. Contexts stay usable after their credentials are closed; the
 * credentials are released when the last of these contexts is closed.
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

/** What credentials are acquired for. */
export interface CredentialsRequest {
  /** The package or mechanism. */
  readonly package: SecurityPackage;
  /** The end that will use them. */
  readonly role: "client" | "server";
  /** Excludes NTLM when the credentials are acquired: it cannot authenticate the server. */
  readonly excludeNtlm: boolean;
  /** Excludes Kerberos from Negotiate. Default `false`. */
  readonly excludeKerberos?: boolean;
  /** What every context made from them must provide. */
  readonly requirements: ResolvedRequirements;
  /** What to authenticate with. Left out: the logon of the user that runs the process. */
  readonly identity?: Identity;
}

/** What to authenticate with. A key table and a credential cache are not supported on Windows. */
export type Identity = CheckedIdentity;

/** How credentials were acquired. */
export interface CredentialsOrigin extends Pick<CredentialsRequest, "package" | "requirements"> {
  /** True where a client delegated them. */
  readonly delegated?: boolean;
}

/** Implements the rules; subclasses implement the `native` members. */
export abstract class CredentialsBase implements ProviderCredentials {
  /** The package they were acquired for. */
  readonly package: SecurityPackage;
  /**
   * Whether a client delegated them. They are then Kerberos tickets, independent of what other credentials exclude.
   */
  readonly delegated: boolean;
  readonly #requirements: ResolvedRequirements;
  readonly #references: ReferenceCount;

  /** @param releaseLibrary releases the library that the credentials use. */
  protected constructor(request: CredentialsOrigin, releaseLibrary: () => void) {
    this.package = request.package;
    this.delegated = request.delegated ?? false;
    this.#requirements = request.requirements;
    const untrack = track("credentials");
    this.#references = new ReferenceCount(() => {
      try {
        this.nativeRelease();
      } finally {
        untrack();
        releaseLibrary();
      }
    });
  }

  /** Makes a context. It calls `release` once, when it no longer uses the credentials. */
  protected abstract nativeContext(
    role: "client" | "server",
    request: ContextRequest,
    release: () => void,
  ): ProviderContext;
  /** Releases everything; called once, when no context uses the credentials any more. */
  protected abstract nativeRelease(): void;

  client(options: ContextOptions & { readonly target: string }): ProviderContext {
    return this.#context("client", options, this.#requirements);
  }

  server(options: ContextOptions): ProviderContext {
    return this.#context("server", options, this.#requirements);
  }

  /**
   * Returns the same credentials with other requirements. Their owner does not change: closing the result closes
   * nothing, and it can make contexts while these credentials are open.
   */
  withRequirements(requirements: ResolvedRequirements): ProviderCredentials {
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
