/**
 * A server's credentials: kept for many verified contexts. A client's first token selects the provider.
 *
 * @module
 */

import type {
  AcceptOptions,
  Acceptor,
  ChannelBindingPolicy,
  ProviderCredentials,
  SecurityContext,
} from "../contract.ts";
import { AuthenticationError } from "../errors.ts";
import { checkBindings } from "./channel_bindings.ts";
import { checkKeys, checkSignal } from "./check.ts";
import { acquire, OpenInitiator, OwnedCredentials, served, type Terms } from "./initiator.ts";
import { selectContexts, type SelectedContexts } from "./options.ts";
import { type Served, VerifiedContext } from "./verified_context.ts";

const POLICIES: readonly ChannelBindingPolicy[] = ["never", "whenSupported", "always"];
/** The built-in providers that accept a token of each kind, in order of preference. */
const TAKERS = {
  spnego: ["negotiate", "ntlm"],
  kerberos: ["kerberos", "negotiate"],
  ntlm: ["ntlm", "negotiate"],
} as const;

/** Errors that say that a provider cannot be used on this system, or by this process. */
const UNAVAILABLE = ["UnsupportedPlatformError", "PermissionError"];

/** See `openAcceptor()`. */
export class OpenAcceptor implements Acceptor {
  readonly #terms: Terms;
  readonly #acceptedTargets: readonly string[] | undefined;
  readonly #selected: SelectedContexts;
  readonly #owned: OwnedCredentials;
  readonly #credentials = new Map<string, Promise<ProviderCredentials>>();

  constructor(
    terms: Terms,
    acceptedTargets: readonly string[] | undefined,
    selected: SelectedContexts,
    credentials: ProviderCredentials,
  ) {
    this.#terms = terms;
    this.#acceptedTargets = acceptedTargets;
    this.#selected = selected;
    this.#owned = new OwnedCredentials(terms.password);
    const { name } = selected.selection.provider;
    this.#credentials.set(name, Promise.resolve(this.#owned.add(credentials)));
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
   * The credentials that answer a client's first token: of the provider that the application names, or else of the
   * first of {@linkcode TAKERS} that the registry lists.
   */
  async #serve(first: Uint8Array): Promise<Served> {
    this.#owned.requireOpen("acceptor");
    const kind = tokenKind(first);
    const { provider } = this.#selected.selection;
    const takers: readonly string[] = kind === "other" ? [] : TAKERS[kind];
    // Named by the application: nothing that a client sends selects another.
    const named = this.#terms.requirements.provider !== undefined;
    if (named || takers.length === 0 || !isBuiltIn(provider.name)) return await this.#of(provider.name);
    const listed = this.#terms.registry.providers.map(({ name }) => name);
    let unavailable: unknown;
    for (const name of takers.filter((taker) => listed.includes(taker))) {
      try {
        return await this.#of(name);
      } catch (error) {
        // Not allowed, too weak, or not on this system: another provider may be suitable. Other failures are final.
        const kind = (error as Error).name;
        if (kind !== "ProviderNotFoundError" && !UNAVAILABLE.includes(kind)) throw error;
        if (UNAVAILABLE.includes(kind)) unavailable ??= error;
      }
    }
    if (unavailable !== undefined) throw unavailable;
    throw new AuthenticationError(
      "mechanism",
      `The client begins with ${NAMES[kind as keyof typeof NAMES]}, which no available provider of ` +
        `the registry accepts (${listed.join(", ")}). List ` +
        `${takers.map((name) => `${name}()`).join(" or ")} to allow it`,
    );
  }

  /** Selects anew for each context: what an administrator has tightened since holds for it. */
  async #of(name: string): Promise<Served> {
    const selected = selectContexts(this.#terms, name);
    let credentials = this.#credentials.get(name);
    if (credentials === undefined) {
      credentials = acquire("server", this.#terms, selected).then((acquired) => this.#owned.add(acquired));
      this.#credentials.set(name, credentials);
      credentials.catch(() => this.#credentials.delete(name));
    }
    return served(selected, await credentials);
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

/** The mechanism of a first token; `other`: none of those known here. */
export type TokenKind = "spnego" | "kerberos" | "ntlm" | "other";

const NTLM = [0x4e, 0x54, 0x4c, 0x4d, 0x53, 0x53, 0x50, 0x00];
/** The object identifiers of RFC 4178 and RFC 4121, and Microsoft's older one of Kerberos, with their tags. */
const MECHANISMS: readonly (readonly [kind: TokenKind, bytes: readonly number[]])[] = [
  ["spnego", [0x06, 0x06, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x02]],
  ["kerberos", [0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 0x01, 0x02, 0x02]],
  ["kerberos", [0x06, 0x09, 0x2a, 0x86, 0x48, 0x82, 0xf7, 0x12, 0x01, 0x02, 0x02]],
];
/** The tag of an initial token's framing (RFC 2743). */
const INITIAL = 0x60;

/** Returns the mechanism that the framing of a client's first token names. The content is not checked. */
export function tokenKind(token: Uint8Array): TokenKind {
  if (startsWith(token, 0, NTLM)) return "ntlm";
  if (token[0] !== INITIAL) return "other";
  const at = token[1] > 0x80 ? 2 + (token[1] - 0x80) : 2;
  return MECHANISMS.find(([, bytes]) => startsWith(token, at, bytes))?.[0] ?? "other";
}

function startsWith(token: Uint8Array, at: number, bytes: readonly number[]): boolean {
  return bytes.every((byte, index) => token[at + index] === byte);
}
