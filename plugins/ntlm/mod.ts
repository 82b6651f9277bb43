/**
 * NTLM for where there is no domain: NTLMv2 and nothing older, in a sandboxed module that is part of this package.
 *
 * It never proves the server to the client, so it serves only where it is listed and mutual authentication is given
 * up by name. Read `docs/ntlm.md` before using it.
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

/** An account that a client claims to be, as the client wrote it: neither name is proved yet. */
export interface NtlmAccount {
  /** The account's domain; empty where the client gave none. Compare without regard to case. */
  readonly domain: string;
  /** The account's name. Compare without regard to case. */
  readonly username: string;
}

/** Options of {@linkcode ntlm}. */
export interface NtlmOptions {
  /**
   * Finds an account's NT hash (16 bytes, see {@linkcode ntHash}); `null`: there is no such account. The bytes are
   * copied and stay the application's to zero. A server needs it, a client does not.
   *
   * The peer cannot tell an unknown account from a wrong password by what is answered; take care that it cannot by
   * how long this takes either.
   */
  readonly accounts?: (account: NtlmAccount) => Promise<Uint8Array | null> | Uint8Array | null;
  /**
   * Speaks SPNEGO, as Windows' Negotiate and .NET do, with NTLM inside. Both ends must agree. Default `false`.
   */
  readonly spnego?: boolean;
  /** The computer a client says it is, at most 15 characters. Default: it says none. */
  readonly workstation?: string;
  /** The computer a server says it is, at most 15 characters. Default `"SERVER"`. */
  readonly computerName?: string;
  /** The domain a server says it is in, at most 15 characters. Default `"WORKGROUP"`. */
  readonly domainName?: string;
  /** What the module may use up; left out: the sandbox's defaults. */
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
 * It never satisfies `mutualAuthentication`: list it in the registry, and give that requirement up by name.
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
 * @throws TypeError where an option is unknown or has the wrong type; RangeError where a name is too long.
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

/** Loads its module when it is first needed, so that making the provider costs nothing and can be synchronous. */
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
        "ntlm() needs accounts on a server: a function that finds an account's NT hash, or null where there is none",
      );
    }
    const provider = await (this.#loaded ??= this.#load());
    return provider.acquire(options);
  }
}

type Fields = Readonly<Record<string, string | Uint8Array>>;

/** The module's question as the application's callback. */
function lookUp(accounts: NonNullable<NtlmOptions["accounts"]>): (fields: Fields) => Promise<Fields | null> {
  return async ({ domain, username }) => {
    const hash: unknown = await accounts({ domain: domain as string, username: username as string });
    if (hash === null) return null;
    if (hash instanceof Uint8Array && hash.length === 16) return { ntHash: hash };
    throw new TypeError("accounts must give the 16 bytes of an NT hash, as ntHash() makes it, or null");
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
    throw new TypeError("ntlm()'s accounts must be a function that finds an account's NT hash");
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
