/**
 * `openInitiator()` and `openAcceptor()`: acquire credentials once and make many verified contexts of them.
 *
 * @module
 */

import type {
  AcceptOptions,
  Acceptor,
  ChannelBindingPolicy,
  Credentials,
  InitiateOptions,
  Initiator,
  ProviderCredentials,
  ProviderSystem,
  Requirements,
  ResolvedRequirements,
  SecurityContext,
} from "../contract.ts";
import { AuthenticationError, ProviderNotFoundError, StateError } from "../errors.ts";
import { resolveRequirements } from "../plugins/requirements.ts";
import { Spn } from "../spn.ts";
import { checkBindings } from "./channel_bindings.ts";
import { tokenKind } from "./first_token.ts";
import {
  type AcceptorOptions,
  defaultRegistry,
  defaultSystem,
  type OpenOptions,
  selectContexts,
  type SelectedContexts,
  type SelectionTerms,
} from "./options.ts";
import { checkCredentials } from "../credentials.ts";
import { checkKeys, checkMethod, checkSignal, checkTarget, checkTargets } from "./check.ts";
import { type Served, VerifiedContext } from "./verified_context.ts";

const OPEN = ["registry", "credentials", "requirements", "system", "signal"];

/** How credentials are acquired. */
interface Terms extends SelectionTerms {
  readonly credentials?: Credentials;
}

/**
 * Acquires a client's credentials for many contexts, and acquires them again when they have expired.
 *
 * @throws TypeError if an option is invalid; nothing was opened.
 * @throws ProviderNotFoundError or PermissionError if no provider is available.
 * @throws AuthenticationError if there are no credentials, or they are wrong.
 *
 * @example
 * ```ts
 * import { openInitiator } from "@winsock/secure-sockets";
 *
 * using initiator = await openInitiator();
 * using context = initiator.initiate({ target: "HTTP/web.example.test" });
 * const { token } = await context.step(); // goes into "Authorization: Negotiate ..."
 * console.log(token?.length);
 * ```
 */
export async function openInitiator(options: OpenOptions = {}): Promise<Initiator> {
  const { terms, signal } = readOptions(options, OPEN);
  signal?.throwIfAborted();
  const selected = selectContexts(terms);
  return new OpenInitiator(terms, selected, await acquire("client", terms, selected, signal));
}

/**
 * Acquires a server's credentials for many contexts.
 *
 * A client may begin with SPNEGO or with a bare Kerberos or NTLM token: its first token decides which provider of
 * the registry answers.
 *
 * @throws as {@linkcode openInitiator} does.
 *
 * @example
 * ```ts
 * import { openAcceptor } from "@winsock/secure-sockets";
 *
 * using acceptor = await openAcceptor({ acceptedTargets: ["HTTP/web.example.test"] });
 * async function signOn(token: Uint8Array): Promise<string> {
 *   using context = acceptor.accept();
 *   const { done } = await context.step(token);
 *   return done && context.peer ? context.peer.name : "";
 * }
 * console.log(typeof signOn);
 * ```
 */
export async function openAcceptor(options: AcceptorOptions = {}): Promise<Acceptor> {
  const { terms, signal } = readOptions(options, [...OPEN, "acceptedTargets"]);
  const acceptedTargets = options.acceptedTargets === undefined
    ? undefined
    : checkTargets(options.acceptedTargets, "options.acceptedTargets");
  signal?.throwIfAborted();
  const selected = selectContexts(terms);
  const credentials = await acquire("server", terms, selected, signal);
  return new OpenAcceptor(terms, acceptedTargets, selected, credentials);
}

function readOptions(
  options: OpenOptions,
  known: readonly string[],
): { readonly terms: Terms; readonly signal?: AbortSignal } {
  checkKeys(options, known, "options");
  const { registry = defaultRegistry(), credentials, system = defaultSystem() } = options;
  checkMethod(registry, "options.registry", "select");
  checkMethod(system, "options.system", "capabilities");
  return {
    terms: {
      registry,
      system,
      requirements: bareRequirements(options.requirements),
      ...(credentials === undefined
        ? {}
        : { credentials: checkCredentials(credentials, "options.credentials") }),
    },
    signal: checkSignal(options.signal, "options.signal"),
  };
}

/**
 * The requirements of a bare context. Protection of records is required only if the caller asks for it: many
 * protocols do not use it.
 */
export function bareRequirements(given: Requirements = {}): ResolvedRequirements {
  const confidentiality = given?.confidentiality ?? false;
  return resolveRequirements({ ...given, confidentiality, integrity: given?.integrity ?? confidentiality });
}

function acquire(
  role: "client" | "server",
  { system, credentials }: { readonly system: ProviderSystem; readonly credentials?: Credentials },
  { selection: { provider, requirements, denied } }: SelectedContexts,
  signal?: AbortSignal,
): Promise<ProviderCredentials> {
  return provider.acquire({ role, system, requirements, denied, credentials, signal });
}

function served({ selection, origin }: SelectedContexts, credentials: ProviderCredentials): Served {
  return { credentials, requirements: selection.requirements, origin };
}

/** Credentials in use; closes them when it is closed. */
class OwnedCredentials {
  readonly #credentials = new Set<ProviderCredentials>();
  #closed = false;

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
    for (const credentials of this.#credentials) credentials.close();
    this.#credentials.clear();
  }
}

class OpenInitiator implements Initiator {
  readonly #terms: Terms;
  readonly #selected: SelectedContexts;
  readonly #owned = new OwnedCredentials();
  #credentials: Promise<ProviderCredentials>;
  #renewing: Promise<ProviderCredentials> | null = null;

  constructor(terms: Terms, selected: SelectedContexts, credentials: ProviderCredentials | null) {
    this.#terms = terms;
    this.#selected = selected;
    this.#credentials = credentials ? Promise.resolve(this.#owned.add(credentials)) : this.#acquire();
  }

  /** Takes ownership of credentials that a client delegated. */
  static delegated(delegated: ProviderCredentials, { origin }: Served, terms: Terms): Initiator {
    const own = { ...terms, credentials: { delegated }, requirements: bareRequirements() };
    const initiator = new OpenInitiator(own, selectContexts(own, origin.provider.name), null);
    initiator.#owned.add(delegated);
    return initiator;
  }

  async #acquire(): Promise<ProviderCredentials> {
    const acquiring = acquire("client", this.#terms, this.#selected);
    // It may fail before anything awaits it.
    acquiring.catch(() => {});
    return this.#owned.add(await acquiring);
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
    return served(this.#selected, await this.#credentials);
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
    const fresh = await this.#acquire();
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

const POLICIES: readonly ChannelBindingPolicy[] = ["never", "whenSupported", "always"];
/** The built-in providers that accept a token of each kind, in order of preference. */
const TAKERS = {
  spnego: ["negotiate", "ntlm"],
  kerberos: ["kerberos", "negotiate"],
  ntlm: ["ntlm", "negotiate"],
} as const;

class OpenAcceptor implements Acceptor {
  readonly #terms: Terms;
  readonly #acceptedTargets: readonly string[] | undefined;
  readonly #selected: SelectedContexts;
  readonly #owned = new OwnedCredentials();
  readonly #served = new Map<string, Promise<Served>>();

  constructor(
    terms: Terms,
    acceptedTargets: readonly string[] | undefined,
    selected: SelectedContexts,
    credentials: ProviderCredentials,
  ) {
    this.#terms = terms;
    this.#acceptedTargets = acceptedTargets;
    this.#selected = selected;
    this.#served.set(
      selected.selection.provider.name,
      Promise.resolve(served(selected, this.#owned.add(credentials))),
    );
  }

  accept(options: AcceptOptions = {}): SecurityContext {
    this.#owned.requireOpen("acceptor");
    checkKeys(options, ["channelBindings", "channelBindingPolicy", "signal"], "options");
    const { channelBindings, channelBindingPolicy } = options;
    const signal = checkSignal(options.signal, "options.signal");
    const bindings = channelBindings === undefined
      ? undefined
      : checkBindings(channelBindings, "options.channelBindings");
    const policy = channelBindingPolicy ?? (bindings === undefined ? "never" : "always");
    if (!POLICIES.includes(policy)) {
      throw new TypeError(`options.channelBindingPolicy must be one of ${POLICIES.join(", ")}`);
    }
    if (policy !== "never" && bindings === undefined) {
      throw new TypeError(
        `options.channelBindingPolicy is "${policy}": give options.channelBindings to compare with`,
      );
    }
    return new VerifiedContext({
      role: "server",
      acceptedTargets: this.#acceptedTargets,
      channelBindings: policy === "always" ? "required" : policy === "never" ? "none" : "optional",
      ...(policy === "never" ? {} : { bindings }),
      signal,
      serve: (first) => this.#serve(first!),
      delegate: (credentials, served) => OpenInitiator.delegated(credentials, served, this.#terms),
    });
  }

  /**
   * The credentials that answer a client's first token: of the first provider of the registry that accepts its
   * kind.
   */
  async #serve(first: Uint8Array): Promise<Served> {
    this.#owned.requireOpen("acceptor");
    const kind = tokenKind(first);
    const { provider } = this.#selected.selection;
    const takers: readonly string[] = kind === "other" ? [] : TAKERS[kind];
    if (takers.length === 0 || !isBuiltIn(provider.name)) return await this.#of(provider.name);
    const listed = this.#terms.registry.providers.map(({ name }) => name);
    for (const name of takers.filter((taker) => listed.includes(taker))) {
      try {
        return await this.#of(name);
      } catch (error) {
        // Not allowed, or too weak: another provider may be suitable. Every other failure is final.
        if (!(error instanceof ProviderNotFoundError)) throw error;
      }
    }
    throw new AuthenticationError(
      "mechanism",
      `The client begins with ${NAMES[kind as keyof typeof NAMES]}, which no available provider of ` +
        `the registry accepts (${listed.join(", ")}). List ` +
        `${takers.map((name) => `${name}()`).join(" or ")} to allow it`,
    );
  }

  #of(name: string): Promise<Served> {
    const known = this.#served.get(name);
    if (known) return known;
    const serving = this.#open(name);
    this.#served.set(name, serving);
    serving.catch(() => this.#served.delete(name));
    return serving;
  }

  async #open(name: string): Promise<Served> {
    const selected = selectContexts(this.#terms, name);
    return served(selected, this.#owned.add(await acquire("server", this.#terms, selected)));
  }

  close(): void {
    this.#owned.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

const NAMES = { spnego: "SPNEGO", kerberos: "a bare Kerberos token", ntlm: "a bare NTLM token" } as const;

function isBuiltIn(name: string): boolean {
  return Object.values(TAKERS).some((takers) => (takers as readonly string[]).includes(name));
}
