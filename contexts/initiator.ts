/**
 * A client's credentials: kept for many verified contexts, and acquired again when they have expired.
 *
 * @module
 */

import type {
  Credentials,
  InitiateOptions,
  Initiator,
  ProviderCredentials,
  ProviderSystem,
  Requirements,
  ResolvedRequirements,
  SecurityContext,
} from "../contract.ts";
import { type AuthenticationError, StateError } from "../errors.ts";
import { abandonable } from "../ffi/security/credentials.ts";
import { resolveRequirements } from "../plugins/requirements.ts";
import { Spn } from "../spn.ts";
import { checkBindings } from "./channel_bindings.ts";
import { checkKeys, checkSignal, checkTarget } from "./check.ts";
import { observeCredentials } from "./diagnostics.ts";
import { selectContexts, type SelectedContexts, type SelectionTerms } from "./options.ts";
import { type Served, VerifiedContext } from "./verified_context.ts";

/** How credentials are acquired. */
export interface Terms extends SelectionTerms {
  readonly credentials?: Credentials;
  /** The library's own copy of the password in them, zeroed when they are closed. */
  readonly password?: Uint8Array;
}

/**
 * The requirements of a bare context. Protection of records is required only if the caller asks for it: many
 * protocols do not use it.
 */
export function bareRequirements(given: Requirements = {}): ResolvedRequirements {
  const confidentiality = given?.confidentiality ?? false;
  return resolveRequirements({ ...given, confidentiality, integrity: given?.integrity ?? confidentiality });
}

/** Acquires credentials of the selected provider. */
export function acquire(
  role: "client" | "server",
  { system, credentials }: { readonly system: ProviderSystem; readonly credentials?: Credentials },
  { selection: { provider, requirements, denied } }: SelectedContexts,
  signal?: AbortSignal,
): Promise<ProviderCredentials> {
  const acquiring = observeCredentials(
    role,
    provider.name,
    provider.acquire({ role, system, requirements, denied, credentials, signal }),
  );
  // A provider may not watch the signal.
  return signal === undefined ? acquiring : abandonable(acquiring, signal);
}

/** What serves contexts made of `credentials`. */
export function served({ selection, origin }: SelectedContexts, credentials: ProviderCredentials): Served {
  return { credentials, requirements: selection.requirements, origin };
}

/** Credentials in use; closes them when it is closed. */
export class OwnedCredentials {
  readonly #credentials = new Set<ProviderCredentials>();
  readonly #password: Uint8Array | undefined;
  #closed = false;

  /** @param password is zeroed with the end of the credentials. */
  constructor(password?: Uint8Array) {
    this.#password = password;
  }

  /** Takes ownership of credentials. If this object is closed already, they are closed at once. */
  add<T extends ProviderCredentials>(credentials: T): T {
    if (this.#closed) credentials.close();
    else this.#credentials.add(credentials);
    return credentials;
  }

  drop(credentials: ProviderCredentials): void {
    if (this.#credentials.delete(credentials)) credentials.close();
  }

  requireOpen(what: string): void {
    if (this.#closed) throw new StateError(`The ${what} is closed; open another`);
  }

  close(): void {
    this.#closed = true;
    this.#password?.fill(0);
    const failures: unknown[] = [];
    for (const credentials of this.#credentials) {
      try {
        credentials.close();
      } catch (error) {
        failures.push(error);
      }
    }
    this.#credentials.clear();
    if (failures.length > 0) throw failures[0];
  }
}

/** See `openInitiator()`. */
export class OpenInitiator implements Initiator {
  readonly #terms: Terms;
  readonly #provider: string;
  readonly #owned: OwnedCredentials;
  #credentials: Promise<ProviderCredentials>;
  #renewing: Promise<ProviderCredentials> | null = null;

  constructor(terms: Terms, selected: SelectedContexts, credentials: ProviderCredentials | null) {
    this.#terms = terms;
    this.#provider = selected.selection.provider.name;
    this.#owned = new OwnedCredentials(terms.password);
    this.#credentials = credentials ? Promise.resolve(this.#owned.add(credentials)) : this.#acquire(selected);
    // It may fail before a context awaits it.
    this.#credentials.catch(() => {});
  }

  /** Takes ownership of credentials that a client delegated. */
  static delegated(delegated: ProviderCredentials, { origin }: Served, terms: Terms): Initiator {
    const { password: _, ...rest } = terms;
    const own: Terms = { ...rest, credentials: { delegated }, requirements: bareRequirements() };
    const initiator = new OpenInitiator(own, selectContexts(own, origin.provider.name), null);
    initiator.#owned.add(delegated);
    return initiator;
  }

  async #acquire(selected: SelectedContexts): Promise<ProviderCredentials> {
    return this.#owned.add(await acquire("client", this.#terms, selected));
  }

  /** Selected anew for each context: what an administrator has tightened since holds for it. */
  #select(): SelectedContexts {
    return selectContexts(this.#terms, this.#provider);
  }

  initiate(options: InitiateOptions): SecurityContext {
    this.#owned.requireOpen("initiator");
    checkKeys(options, ["target", "channelBindings", "signal"], "options");
    const target = checkTarget(options.target, "options.target");
    const signal = checkSignal(options.signal, "options.signal");
    const bindings = options.channelBindings === undefined
      ? undefined
      : checkBindings(options.channelBindings, "options.channelBindings");
    return new VerifiedContext({
      role: "client",
      target: Spn.parse(target).toString(),
      channelBindings: bindings === undefined ? "none" : "required",
      bindings,
      signal,
      serve: () => this.#serve(),
      renew: (failed, error) => this.#renew(failed, error),
    });
  }

  async #serve(): Promise<Served> {
    this.#owned.requireOpen("initiator");
    return served(this.#select(), await this.#credentials);
  }

  /**
   * Acquires credentials again if the failed ones had expired: a new ticket may have arrived. Concurrent callers
   * share one attempt.
   */
  async #renew({ credentials }: Served, error: unknown): Promise<Served | null> {
    if (!isExpired(error) || "delegated" in (this.#terms.credentials ?? {})) return null;
    this.#owned.requireOpen("initiator");
    if (await this.#credentials === credentials) {
      this.#renewing ??= this.#replace(credentials).finally(() => this.#renewing = null);
      await this.#renewing;
    }
    return this.#serve();
  }

  async #replace(old: ProviderCredentials): Promise<ProviderCredentials> {
    const fresh = await this.#acquire(this.#select());
    this.#credentials = Promise.resolve(fresh);
    this.#owned.drop(old);
    return fresh;
  }

  close(): void {
    this.#owned.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** Whether an error says that credentials have expired or are gone. */
function isExpired(error: unknown): boolean {
  const reason = (error as Partial<AuthenticationError> | null)?.reason;
  return reason === "credentials-expired" || reason === "no-credentials";
}
