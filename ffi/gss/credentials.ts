/**
 * GSS-API credentials: acquired without blocking the event loop, restricted to the mechanisms that can do what is
 * required, released once their last user is gone.
 *
 * @module
 */

import { StateError } from "../../errors.ts";
import { track } from "../live.ts";
import { pinned } from "../memory.ts";
import { GSS_C, OIDS } from "../raw/gssapi.ts";
import type {
  ContextRequest,
  CredentialsRequest,
  Identity,
  SecurityContext,
  SecurityCredentials,
  SecurityPackage,
} from "../security_context.ts";
import { GssContext } from "./context.ts";
import { type Gss, Slots } from "./gss.ts";
import { INDEFINITE, type NativeStruct } from "./structs.ts";

/** Credentials held by libgssapi. */
export class GssCredentials implements SecurityCredentials {
  readonly #gss: Gss;
  readonly #package: SecurityPackage;
  readonly #kerberosOnly: boolean;
  readonly #untrack = track("credentials");
  #handle: bigint;
  #users = 0;
  #closed = false;

  /** Adopts a handle. */
  constructor(gss: Gss, handle: bigint, securityPackage: SecurityPackage, kerberosOnly: boolean) {
    this.#gss = gss;
    this.#handle = handle;
    this.#package = securityPackage;
    this.#kerberosOnly = kerberosOnly;
  }

  client(request: ContextRequest & { readonly target: string }): SecurityContext {
    return this.#context("client", request);
  }

  server(request: ContextRequest): SecurityContext {
    return this.#context("server", request);
  }

  #context(role: "client" | "server", request: ContextRequest): GssContext {
    if (this.#closed) throw new StateError("The credentials are closed; acquire them again");
    const context = new GssContext(this.#gss, {
      role,
      request,
      handle: this.#handle,
      mechanism: this.#package === "kerberos" ? "kerberos" : "spnego",
      kerberosOnly: this.#package === "kerberos" || this.#kerberosOnly,
      adopt: (handle) => new GssCredentials(this.#gss, handle, this.#package, this.#kerberosOnly),
      release: () => this.#leave(),
    });
    this.#users++;
    return context;
  }

  #leave(): void {
    this.#users--;
    if (this.#closed) this.#releaseIfUnused();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#releaseIfUnused();
  }

  #releaseIfUnused(): void {
    if (this.#users > 0 || this.#handle === 0n) return;
    releaseHandle(this.#gss, this.#handle);
    this.#handle = 0n;
    this.#untrack();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** Releases a credential handle. */
export function releaseHandle(gss: Gss, handle: bigint): void {
  const slots = new Slots(16);
  slots.u64[1] = handle;
  gss.call.gss_release_cred(slots.slice(0, 4), slots.slice(8, 8));
}

/**
 * Acquires credentials; on another thread, for this may reach a Kerberos server.
 *
 * @throws AuthenticationError where there are none, they are wrong or have expired; TypeError where a server is
 * given a password.
 */
export async function acquireGssCredentials(gss: Gss, request: CredentialsRequest): Promise<GssCredentials> {
  if (request.role !== "client" && request.identity !== undefined && "password" in request.identity) {
    throw new TypeError(
      "credentials with a password serve a client only on this system; give a server { keytab }",
    );
  }
  const mechanism = request.package === "kerberos" ? OIDS.kerberos : OIDS.spnego;
  const mechs = gss.build.oidSet([mechanism]);
  const slots = new Slots(16);
  const name = importIdentity(gss, request.identity);
  try {
    const { identity } = request;
    const [fn, major] = identity !== undefined && "password" in identity
      ? [
        "gss_acquire_cred_with_password",
        await withPassword(gss, identity.password, name, mechs, request, slots),
      ]
      : ["gss_acquire_cred_from", await fromStore(gss, name, mechs, request, slots)];
    gss.check(fn as string, major as number, slots.u32[0], `acquire credentials as ${describe(request)}`);
  } finally {
    gss.releaseName(name);
  }
  const handle = slots.u64[1];
  try {
    if (request.role !== "server") askExactly(gss, slots);
    if (request.package === "negotiate") restrict(gss, handle, request);
  } catch (error) {
    releaseHandle(gss, handle);
    throw error;
  }
  return new GssCredentials(gss, handle, request.package, request.excludeNtlm);
}

/**
 * Leaves SPNEGO only the mechanisms that were asked for. NTLM is gone before the first token: a refusal at the end
 * would come after its response had reached a possible relay.
 */
function restrict(gss: Gss, handle: bigint, request: CredentialsRequest): void {
  const allowed = request.excludeNtlm ? [OIDS.kerberos] : [OIDS.kerberos, OIDS.ntlmssp];
  const slots = new Slots(8);
  const major = gss.call.gss_set_neg_mechs(slots.slice(0, 4), handle, gss.build.oidSet(allowed).bytes);
  gss.check("gss_set_neg_mechs", major, slots.u32[0], "restrict the mechanisms of Negotiate");
}

/** Without this, MIT asks for integrity and confidentiality whatever was asked of it, and the peer cannot tell. */
function askExactly(gss: Gss, slots: Slots): void {
  const nothing = gss.build.buffer(pinned(0));
  const major = gss.call.gss_set_cred_option(
    slots.slice(0, 4),
    slots.slice(8, 8),
    gss.oids.noCiFlags.bytes,
    nothing.bytes,
  );
  gss.check("gss_set_cred_option", major, slots.u32[0], "ask for no more than was required");
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

async function withPassword(
  gss: Gss,
  password: string | Uint8Array,
  name: bigint,
  mechs: NativeStruct,
  request: CredentialsRequest,
  slots: Slots,
): Promise<number> {
  const encoded = typeof password === "string" ? new TextEncoder().encode(password) : password;
  const secret = pinned(encoded.length);
  secret.set(encoded);
  if (typeof password === "string") encoded.fill(0);
  const buffer = gss.build.buffer(secret);
  try {
    return await gss.threaded.gss_acquire_cred_with_password(
      slots.slice(0, 4),
      name,
      buffer.bytes,
      INDEFINITE,
      mechs.bytes,
      USAGE[request.role],
      slots.slice(8, 8),
      null,
      null,
    );
  } finally {
    secret.fill(0);
  }
}

function fromStore(
  gss: Gss,
  name: bigint,
  mechs: NativeStruct,
  request: CredentialsRequest,
  slots: Slots,
): Promise<number> {
  const store = storeOf(request);
  return gss.threaded.gss_acquire_cred_from(
    slots.slice(0, 4),
    name,
    INDEFINITE,
    mechs.bytes,
    USAGE[request.role],
    store === null ? null : gss.build.keyValueSet(store).bytes,
    slots.slice(8, 8),
    null,
    null,
  );
}

let caches = 0;

/** The credential store that says where to look; `null`: where the library looks by itself. */
function storeOf({ identity, role }: CredentialsRequest): { [key: string]: string } | null {
  if (identity === undefined || "password" in identity) return null;
  if ("cache" in identity) return { ccache: identity.cache };
  const accept = { keytab: identity.keytab };
  if (role === "server") return accept;
  // Tickets got with a key table stay in memory of this process, and apart from the user's own cache.
  const initiate = { client_keytab: identity.keytab, ccache: `MEMORY:secure-sockets-${++caches}` };
  return role === "both" ? { ...accept, ...initiate } : initiate;
}

function describe({ identity, role }: CredentialsRequest): string {
  if (identity === undefined) return role === "server" ? "the host's services" : "the current user";
  if ("cache" in identity) return `the owner of ${identity.cache}`;
  if ("keytab" in identity) return `${identity.principal ?? "the principal"} of ${identity.keytab}`;
  return identity.domain === undefined ? identity.username : `${identity.username}@${identity.domain}`;
}
