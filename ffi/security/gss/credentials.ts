/**
 * GSS-API credentials: acquired without blocking the event loop, restricted to the mechanisms that can do what is
 * required, released once their last user is gone.
 *
 * @module
 */

import { AuthenticationError } from "../../../errors.ts";
import {
  CredentialsBase,
  type CredentialsOrigin,
  type CredentialsRequest,
  type Identity,
} from "../credentials_base.ts";
import { NTLM_USER } from "../other_mechanism.ts";
import { GSS_C, OIDS } from "../../raw/gssapi.ts";
import type { ContextRequest } from "../context.ts";
import { GssContext } from "./context.ts";
import type { Gss } from "./gss.ts";
import {
  acquireHandle,
  acquireHandleNow,
  acquireHandleWithPassword,
  cacheStore,
  MemoryCache,
  prepareHandle,
  releaseHandle,
  type Store,
  storeHandle,
  type Wanted,
} from "./handles.ts";
import { TargetNames } from "./target_names.ts";

/** A handle and what belongs to it. */
interface Holding extends CredentialsOrigin {
  /** The handle. */
  readonly handle: bigint;
  /** True where nothing but Kerberos can come of it. */
  readonly kerberosOnly: boolean;
  /** True where Kerberos was left out. */
  readonly excludeKerberos?: boolean;
  /** The cache that goes with it. */
  readonly cache: MemoryCache | null;
}

/** Credentials held by libgssapi. */
export class GssCredentials extends CredentialsBase {
  readonly #gss: Gss;
  readonly #holding: Holding;
  readonly #names: TargetNames;

  /** Adopts a handle. */
  constructor(gss: Gss, holding: Holding) {
    super(holding, gss.hold());
    this.#gss = gss;
    this.#holding = holding;
    const overSpnego = holding.kerberosOnly ? "spnego-kerberos" : "as-typed";
    this.#names = new TargetNames(gss, holding.package === "kerberos" ? "kerberos" : overSpnego);
  }

  protected override nativeContext(
    role: "client" | "server",
    request: ContextRequest,
    release: () => void,
  ): GssContext {
    const { handle, kerberosOnly, excludeKerberos = false } = this.#holding;
    return new GssContext(this.#gss, {
      role,
      request,
      handle,
      names: this.#names,
      mechanism: this.#holding.package === "kerberos" ? "kerberos" : "spnego",
      kerberosOnly,
      excludeKerberos,
      adopt: (delegated) => adopt(this.#gss, delegated, this.#holding),
      release,
    });
  }

  protected override nativeRelease(): void {
    this.#names.close();
    releaseHandle(this.#gss, this.#holding.handle);
    this.#holding.cache?.destroy();
  }
}

/**
 * Acquires credentials; on another thread, for this may reach a Kerberos server.
 *
 * @throws AuthenticationError where there are none, they are wrong or have expired, or would go to Kerberos, which was
 * left out; TypeError where a server is given a password or a cache.
 */
export async function acquireGssCredentials(gss: Gss, request: CredentialsRequest): Promise<GssCredentials> {
  const { role, identity } = request;
  if (role !== "client" && identity !== undefined && !("keytab" in identity)) {
    throw new TypeError(
      "credentials with a password or a cache serve a client only on this system; give a server { keytab }",
    );
  }
  if (identity !== undefined && "password" in identity && identity.password.length === 0) {
    throw new TypeError("credentials.password is empty, which Kerberos on this system does not take");
  }
  if (identity !== undefined && request.excludeKerberos) {
    throw new AuthenticationError(
      "mechanism",
      `Cannot acquire credentials as ${describe(request)}: a policy denies kerberos, and on this system ` +
        `credentials that are given go to Kerberos before NTLM. ${NTLM_USER}`,
    );
  }
  const unhold = gss.hold();
  const cache = needsCache(request) ? new MemoryCache(gss) : null;
  try {
    const handle = await acquire(gss, request, cache);
    const kerberosOnly = request.package === "kerberos" || request.excludeNtlm;
    return new GssCredentials(gss, { ...request, delegated: false, handle, kerberosOnly, cache });
  } catch (error) {
    cache?.destroy();
    throw error;
  } finally {
    unhold();
  }
}

/** The name is imported first and released at the end, whatever happens between. */
async function acquire(gss: Gss, request: CredentialsRequest, cache: MemoryCache | null): Promise<bigint> {
  const name = importIdentity(gss, request.identity);
  const initiates = request.role !== "server";
  try {
    const wanted = {
      usage: USAGE[request.role],
      name,
      store: storeOf(request, cache),
      doing: `acquire credentials as ${describe(request)}`,
      missing: missing(request),
    };
    if (request.package === "kerberos") {
      const handle = await acquireOne(gss, request, { ...wanted, mechanism: "kerberos" });
      return prepareHandle(gss, handle, initiates, null);
    }
    if (request.excludeNtlm) {
      const handle = await acquireNegotiate(gss, request, wanted, cache);
      return prepareHandle(gss, handle, initiates, [OIDS.kerberos]);
    }
    const handle = await acquireOne(gss, request, { ...wanted, mechanism: "spnego" });
    const mechanisms = request.excludeKerberos ? [OIDS.ntlmssp] : [OIDS.kerberos, OIDS.ntlmssp];
    return prepareHandle(gss, handle, initiates, mechanisms);
  } finally {
    gss.releaseName(name);
  }
}

/**
 * Negotiate without NTLM. Kerberos is asked first, by itself: SPNEGO's credentials come about where any mechanism
 * has some, so that a wrong password or a missing key table would show at the first token only, and its statuses
 * are not Kerberos's. NTLM is gone before the first token: a refusal at the end would come after its response had
 * reached a possible relay.
 */
async function acquireNegotiate(
  gss: Gss,
  request: CredentialsRequest,
  wanted: Omit<Wanted, "mechanism">,
  cache: MemoryCache | null,
): Promise<bigint> {
  const kerberos = await acquireOne(gss, request, { ...wanted, mechanism: "kerberos" });
  try {
    const { identity } = request;
    // Not the password a second time: a wrong one counts towards locking the account.
    if (identity !== undefined && "password" in identity) {
      storeHandle(gss, kerberos, cache!);
      wanted = { ...wanted, store: cache!.store };
    }
    return await acquireHandle(gss, { ...wanted, mechanism: "spnego" });
  } finally {
    releaseHandle(gss, kerberos);
  }
}

function acquireOne(gss: Gss, { identity }: CredentialsRequest, wanted: Wanted): Promise<bigint> {
  return identity !== undefined && "password" in identity
    ? acquireHandleWithPassword(gss, identity.password, wanted)
    : acquireHandle(gss, wanted);
}

/**
 * An owner of the handle of a delegated credential. What SPNEGO accepts is a Kerberos credential, and SPNEGO takes
 * none but its own: given any other it goes by the process's own identity, without a word. So the tickets move to
 * a cache that SPNEGO is pointed to.
 */
function adopt(
  gss: Gss,
  handle: bigint,
  { package: securityPackage, requirements }: Pick<Holding, "package" | "requirements">,
): GssCredentials {
  const same = { package: securityPackage, requirements, kerberosOnly: true, delegated: true };
  if (securityPackage === "kerberos") {
    const own = prepareHandle(gss, handle, true, null);
    return new GssCredentials(gss, { ...same, handle: own, cache: null });
  }
  const cache = new MemoryCache(gss);
  try {
    storeHandle(gss, handle, cache);
    const spnego = acquireHandleNow(gss, {
      mechanism: "spnego",
      usage: GSS_C.INITIATE,
      name: 0n,
      store: cache.store,
      doing: "use the delegated credentials",
      missing: "What the client delegated holds no ticket.",
    });
    const own = prepareHandle(gss, spnego, true, [OIDS.kerberos]);
    return new GssCredentials(gss, { ...same, handle: own, cache });
  } catch (error) {
    cache.destroy();
    throw error;
  } finally {
    releaseHandle(gss, handle);
  }
}

function importIdentity(gss: Gss, identity: Identity | undefined): bigint {
  if (identity === undefined || "cache" in identity) return 0n;
  if ("keytab" in identity) {
    return identity.principal === undefined ? 0n : gss.importName(identity.principal, "principalName");
  }
  const { username, domain } = identity;
  return gss.importName(domain === undefined ? username : `${username}@${domain}`, "userName");
}

const USAGE = { client: GSS_C.INITIATE, server: GSS_C.ACCEPT, both: GSS_C.BOTH } as const;

/** Whether tickets are got that must stay apart from the user's own cache. */
function needsCache({ identity, role, package: securityPackage, excludeNtlm }: CredentialsRequest): boolean {
  if (identity === undefined || "cache" in identity) return false;
  if ("keytab" in identity) return role !== "server";
  return securityPackage === "negotiate" && excludeNtlm;
}

/** The credential store that says where to look; `null`: where the library looks by itself. */
function storeOf({ identity, role }: CredentialsRequest, cache: MemoryCache | null): Store | null {
  if (identity === undefined || "password" in identity) return null;
  if ("cache" in identity) return cacheStore(identity.cache);
  const accept = { keytab: identity.keytab };
  if (role === "server") return accept;
  const initiate = { client_keytab: identity.keytab, ccache: cache!.name };
  return role === "both" ? { ...accept, ...initiate } : initiate;
}

function describe({ identity, role }: CredentialsRequest): string {
  if (identity === undefined) return role === "server" ? "the host's services" : "the current user";
  if ("cache" in identity) return `the owner of ${identity.cache}`;
  if ("keytab" in identity) return `${identity.principal ?? "the principal"} of ${identity.keytab}`;
  return identity.domain === undefined ? identity.username : `${identity.username}@${identity.domain}`;
}

/** What to do where there are none. */
function missing({ identity, role, excludeKerberos }: CredentialsRequest): string {
  if (excludeKerberos) return `A policy denies kerberos, and NTLM has no user. ${NTLM_USER}.`;
  if (role === "server" || (identity !== undefined && "keytab" in identity)) {
    return "The key table must be there, be readable for this account, and hold the principal: see klist -k.";
  }
  if (identity !== undefined && "cache" in identity) {
    return "The cache must be there, be readable for this account, and hold a ticket: log in with kinit -c.";
  }
  return "Log in with kinit, or give credentials.";
}
