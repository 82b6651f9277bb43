/**
 * GSS-API credentials: acquired without blocking the event loop, restricted to the mechanisms that can meet the
 * requirements, and released when their last user is closed.
 *
 * @module
 */

import {
  CredentialsBase,
  type CredentialsOrigin,
  type CredentialsRequest,
  type Identity,
} from "../credentials_base.ts";
import { GSS_C, OIDS } from "../../raw/gssapi.ts";
import type { ContextRequest } from "../context.ts";
import { GssContext } from "./context.ts";
import { type Gss, type Hints, NO_HINTS } from "./gss.ts";
import { acquire, checkRequest, contextHints, isKerberosOnly, type Source, sourceOf } from "./acquire.ts";
import { acquireHandleNow, prepareHandle, releaseHandle, storeHandle } from "./handles.ts";
import { HeldTickets } from "./held_tickets.ts";
import type { KeySource } from "./key_table.ts";
import { MemoryCache } from "./tickets.ts";
import { TargetNames } from "./target_names.ts";

/** A handle and the resources that belong to it. */
interface Holding extends CredentialsOrigin {
  /** The handle. */
  readonly handle: bigint;
  /** True where Kerberos is the only possible mechanism. */
  readonly kerberosOnly: boolean;
  /** True where Kerberos is excluded. */
  readonly excludeKerberos?: boolean;
  /** The cache that is destroyed together with it. */
  readonly cache: MemoryCache | null;
  /** The cache that the handle uses where it is a file; see {@linkcode Source}. */
  readonly file: Source["file"];
  /** What messages about a context add. */
  readonly hints: (role: "client" | "server") => Hints;
  /** Where a server's keys are. */
  readonly keys: KeySource;
}

/** Credentials of libgssapi. */
export class GssCredentials extends CredentialsBase {
  readonly #gss: Gss;
  readonly #holding: Holding;
  readonly #names: TargetNames;
  readonly #tickets: HeldTickets | null;

  /** Becomes the owner of a handle. */
  constructor(gss: Gss, holding: Holding) {
    super(holding, gss.hold());
    this.#gss = gss;
    this.#holding = holding;
    const overSpnego = holding.kerberosOnly ? "spnego-kerberos" : "as-typed";
    this.#names = new TargetNames(gss, holding.package === "kerberos" ? "kerberos" : overSpnego);
    const mechanism = holding.package === "kerberos" ? "kerberos" : "spnego";
    this.#tickets = holding.kerberosOnly ? new HeldTickets(gss, { ...holding, mechanism }) : null;
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
      tickets: this.#tickets,
      mechanism: this.#holding.package === "kerberos" ? "kerberos" : "spnego",
      kerberosOnly,
      hints: this.#holding.hints(role),
      keys: this.#holding.keys,
      excludeKerberos,
      adopt: (delegated) => adopt(this.#gss, delegated, this.#holding),
      release,
    });
  }

  protected override nativeRelease(): void {
    this.#names.close();
    releaseHandle(this.#gss, this.#holding.handle);
    try {
      this.#tickets?.close();
    } finally {
      this.#holding.cache?.destroy();
    }
  }
}

/**
 * Acquires credentials, on another thread: this may contact a KDC.
 *
 * @throws AuthenticationError where credentials are missing, wrong or expired, or would be used by Kerberos, which is
 * excluded; TypeError where a server is given a password or a cache, or a name is ambiguous.
 */
export async function acquireGssCredentials(gss: Gss, request: CredentialsRequest): Promise<GssCredentials> {
  checkRequest(request);
  const releaseLibrary = gss.hold();
  let cache: MemoryCache | null = null;
  try {
    const source = sourceOf(gss, request);
    cache = source.needsCache ? new MemoryCache(gss) : null;
    const handle = await acquire(gss, request, source, cache);
    const kerberosOnly = isKerberosOnly(request);
    const { identity, ...rest } = request;
    // The password is not stored.
    const who = identity !== undefined && "password" in identity ? { ...identity, password: "" } : identity;
    const kept = who === undefined ? rest : { ...rest, identity: who };
    return new GssCredentials(gss, {
      ...rest,
      delegated: false,
      handle,
      kerberosOnly,
      cache,
      file: source.file,
      keys: keysOf(identity),
      hints: (role) => contextHints(gss, role, kept),
    });
  } catch (error) {
    cache?.destroy();
    throw error;
  } finally {
    releaseLibrary();
  }
}

/**
 * Makes an owner for the handle of delegated credentials. They are Kerberos credentials, and SPNEGO accepts only its
 * own: with any other it silently uses the process's own identity. So the tickets are moved to a cache, from which
 * SPNEGO credentials are acquired.
 */
function adopt(
  gss: Gss,
  handle: bigint,
  { package: securityPackage, requirements }: Pick<Holding, "package" | "requirements">,
): GssCredentials {
  const keys = keysOf(undefined);
  const same = {
    package: securityPackage,
    requirements,
    kerberosOnly: true,
    delegated: true,
    keys,
    file: null,
  };
  if (securityPackage === "kerberos") {
    const own = prepareHandle(gss, handle, true, null);
    return new GssCredentials(gss, { ...same, handle: own, cache: null, hints: () => NO_HINTS });
  }
  const cache = new MemoryCache(gss);
  try {
    storeHandle(gss, handle, cache);
    const spnego = acquireHandleNow(gss, {
      mechanisms: ["spnego"],
      usage: GSS_C.INITIATE,
      name: 0n,
      store: cache.store,
      doing: "use the delegated credentials",
      hints: { missing: "The delegated credentials contain no ticket.", used: () => "" },
    });
    const own = prepareHandle(gss, spnego, true, [OIDS.kerberos]);
    return new GssCredentials(gss, { ...same, handle: own, cache, hints: () => NO_HINTS });
  } catch (error) {
    cache.destroy();
    throw error;
  } finally {
    releaseHandle(gss, handle);
  }
}

function keysOf(identity: Identity | undefined): KeySource {
  if (identity === undefined || !("keytab" in identity)) return { pinned: false };
  return { keytab: identity.keytab, pinned: identity.principal !== undefined };
}
