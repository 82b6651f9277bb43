/**
 * NTLM for use without a domain: NTLMv2 only, in a sandboxed module that is part of this package.
 *
 * It never authenticates the server to the client, so it is used only where it is listed and the requirements set
 * `mutualAuthentication: false`. Read `docs/ntlm.md` before using it.
 *
 * @module
 */

import type {
  AcquireOptions,
  Availability,
  ContextProvider,
  ProviderCredentials,
  ProviderDescription,
} from "../../contract.ts";
import { type Limits, resolveLimits } from "../sandbox/limits.ts";
import { loadBuiltIn } from "../sandbox/load_provider.ts";
import { GUEST_SHA256, guestModule } from "./guest_wasm.ts";

export { ntHash } from "./nt_hash.ts";

/** An account that a client claims to be, as the client wrote it. Neither name is proved yet. */
export interface NtlmAccount {
  /** The account's domain; empty if the client sent none. Compare without regard to case. */
  readonly domain: string;
  /** The account's name. Compare without regard to case. */
  readonly username: string;
}

/** Options of {@linkcode ntlm}. */
export interface NtlmOptions {
  /**
   * Returns an account's NT hash (16 bytes, see {@linkcode ntHash}); `null` if there is no such account. The bytes
   * are copied; the application zeroes them. A server needs this function, a client does not.
   *
   * The answer does not show the peer whether the account is unknown or the password wrong; make sure that the time
   * it takes does not show it either.
   */
  readonly accounts?: (account: NtlmAccount) => Promise<Uint8Array | null> | Uint8Array | null;
  /** Uses SPNEGO, like Windows' Negotiate and .NET, with NTLM inside. Both ends must agree. Default `false`. */
  readonly spnego?: boolean;
  /** The computer name that a client sends, at most 15 characters. Default: none. */
  readonly workstation?: string;
  /** The computer name that a server sends, at most 15 characters. Default `"SERVER"`. */
  readonly computerName?: string;
  /** The domain name that a server sends, at most 15 characters. Default `"WORKGROUP"`. */
  readonly domainName?: string;
  /** The limits of the module; left out: the sandbox's defaults. */
  readonly limits?: Limits;
}

const TEXTS = ["workstation", "computerName", "domainName"] as const;
const KEYS: readonly string[] = ["accounts", "spnego", "limits", ...TEXTS];

const DESCRIPTION: ProviderDescription = Object.freeze<ProviderDescription>({
  name: "ntlm",
  layer: "context",
  isolation: "sandboxed",
  sha256: GUEST_SHA256,
  imports: Object.freeze(["clock", "random"]),
  offers: Object.freeze({
    integrity: true,
    confidentiality: true,
    mutualAuthentication: false,
    impersonation: "identify",
    delegation: false,
  }),
});

/**
 * NTLMv2 with the message integrity code, channel bindings, signing and sealing, client and server, on every system
 * and without any permission. Anonymous clients, LM and NTLMv1 are always refused.
 *
 * It never meets `mutualAuthentication`: list it in the registry, and set `mutualAuthentication: false` in the
 * requirements.
 *
 * @example
 * ```ts
 * import { ntHash, ntlm } from "@winsock/secure-sockets/plugins";
 *
 * const hashes = new Map([["EXAMPLE\\alice", ntHash("a password")]]);
 * const provider = ntlm({
 *   accounts: ({ domain, username }) =>
 *     hashes.get(`${domain.toUpperCase()}\\${username.toLowerCase()}`) ?? null,
 * });
 * console.log(provider.description.offers.mutualAuthentication); // => false
 * ```
 *
 * @throws TypeError if an option is unknown or has the wrong type; RangeError if a name is too long.
 */
export function ntlm(options: NtlmOptions = {}): ContextProvider {
  checkOptions(options);
  const { accounts, spnego, workstation, computerName, domainName, limits } = options;
  const load = (): Promise<ContextProvider> =>
    loadBuiltIn(guestModule(), {
      sha256: GUEST_SHA256,
      name: "ntlm",
      imports: { random: true, clock: true },
      options: { spnego, workstation, computerName, domainName },
      ...(limits === undefined ? {} : { limits }),
      ...(accounts === undefined ? {} : { answers: { account: lookUp(accounts) } }),
    });
  return new NtlmProvider(load, accounts !== undefined);
}

/** Loads its module on first use, so that making the provider is synchronous and costs nothing. */
class NtlmProvider implements ContextProvider {
  readonly layer = "context";
  readonly name = "ntlm";
  readonly description = DESCRIPTION;
  readonly #load: () => Promise<ContextProvider>;
  readonly #serves: boolean;
  #loaded: Promise<ContextProvider> | null = null;

  constructor(load: () => Promise<ContextProvider>, serves: boolean) {
    this.#load = load;
    this.#serves = serves;
  }

  available(): Availability {
    return { available: true };
  }

  async acquire(options: AcquireOptions): Promise<ProviderCredentials> {
    if (options.role === "server" && !this.#serves) {
      throw new TypeError(
        "ntlm() needs accounts on a server: a function that returns an account's NT hash, or null if " +
          "there is none",
      );
    }
    const provider = await (this.#loaded ??= this.#load());
    return provider.acquire(options);
  }
}

type Fields = Readonly<Record<string, string | Uint8Array>>;

/** Adapts the application's callback to the module's question. */
function lookUp(accounts: NonNullable<NtlmOptions["accounts"]>): (fields: Fields) => Promise<Fields | null> {
  return async ({ domain, username }) => {
    const hash: unknown = await accounts({ domain: domain as string, username: username as string });
    if (hash === null) return null;
    if (hash instanceof Uint8Array && hash.length === 16) return { ntHash: hash };
    throw new TypeError("accounts must return the 16 bytes of an NT hash, as ntHash() makes it, or null");
  };
}

function checkOptions(options: NtlmOptions): void {
  if (typeof options !== "object" || options === null) {
    throw new TypeError("ntlm()'s options must be an object");
  }
  for (const key of Object.keys(options)) {
    if (!KEYS.includes(key)) throw new TypeError(`ntlm() has no option ${key}; it has ${KEYS.join(", ")}`);
  }
  const { accounts, spnego } = options;
  if (accounts !== undefined && typeof accounts !== "function") {
    throw new TypeError("ntlm()'s accounts must be a function that returns an account's NT hash");
  }
  if (spnego !== undefined && typeof spnego !== "boolean") {
    throw new TypeError("ntlm()'s spnego must be true or false");
  }
  resolveLimits(options.limits);
  for (const key of TEXTS) {
    const value: unknown = options[key];
    if (value === undefined) continue;
    if (typeof value !== "string" || value === "") throw new TypeError(`ntlm()'s ${key} must be a name`);
    if (value.length > 15) {
      throw new RangeError(`ntlm()'s ${key} is longer than the 15 characters of such a name`);
    }
  }
}
