/**
 * From who to be to a credential handle: what is asked of libkrb5 and of libgssapi, in which order.
 *
 * @module
 */

import { AuthenticationError } from "../../../errors.ts";
import { GSS_C, OIDS } from "../../raw/gssapi.ts";
import type { CredentialsRequest } from "../credentials_base.ts";
import { NTLM_USER } from "../other_mechanism.ts";
import type { Gss } from "./gss.ts";
import {
  acquireHandle,
  acquireHandleWithPassword,
  prepareHandle,
  releaseHandle,
  type Store,
  type Wanted,
} from "./handles.ts";
import { defaultCache, defaultKeytab, describeUsed, type Hints } from "./krb5.ts";
import { checkPrincipal, userOfEitherMechanism, userPrincipal } from "./principal.ts";
import { cacheStore, initialTicket, type MemoryCache } from "./tickets.ts";

/** Refuses what cannot be acquired as it was meant; nothing is asked yet. */
export function checkRequest(request: CredentialsRequest): void {
  checkIdentity(request);
  refuseDenied(request);
}

function checkIdentity(request: CredentialsRequest): void {
  const { role, identity } = request;
  if (identity === undefined) return;
  if (role !== "client" && !("keytab" in identity)) {
    throw new TypeError(
      "credentials with a password or a cache serve a client only on this system; give a server { keytab }",
    );
  }
  if ("keytab" in identity && identity.principal !== undefined) {
    checkPrincipal(identity.principal, "credentials.principal");
  }
  if (!("password" in identity)) return;
  const { password } = identity;
  if (password.length === 0) {
    throw new TypeError("credentials.password is empty, which Kerberos on this system does not take");
  }
  if (typeof password === "string" ? password.includes("\u0000") : password.includes(0)) {
    throw new TypeError(
      "credentials.password holds a NUL, at which Kerberos on this system would cut it off",
    );
  }
  if (isKerberosOnly(request)) userPrincipal(identity);
  else userOfEitherMechanism(identity);
}

/** @throws AuthenticationError where credentials that are given would go to Kerberos, which was left out. */
function refuseDenied(request: CredentialsRequest): void {
  if (request.identity === undefined || !request.excludeKerberos) return;
  throw new AuthenticationError(
    "mechanism",
    `Cannot acquire credentials as ${describe(request)}: a policy denies kerberos, and on this system ` +
      `credentials that are given go to Kerberos before NTLM. ${NTLM_USER}`,
  );
}

/** Whether nothing but Kerberos can come of it. */
export function isKerberosOnly(request: CredentialsRequest): boolean {
  return request.package === "kerberos" || request.excludeNtlm;
}

/** Where the tickets come from. */
export interface Source {
  /** The KEYRING whose tickets are copied first; `null`: none is used. */
  readonly keyring: string | null;
  /** Whether the tickets are kept in a cache of their own, apart from the user's. */
  readonly needsCache: boolean;
}

/**
 * A KEYRING is found by the thread that uses it (the kernel gives each its own way to it), so its tickets are copied
 * on this one, and every thread reads the copy.
 */
export function sourceOf(gss: Gss, request: CredentialsRequest): Source {
  const { identity, role } = request;
  if (identity !== undefined && "keytab" in identity) return { keyring: null, needsCache: role !== "server" };
  if (identity !== undefined && "password" in identity) {
    return { keyring: null, needsCache: isKerberosOnly(request) };
  }
  const noTickets = role === "server" || request.excludeKerberos;
  const cache = noTickets ? "" : identity?.cache ?? defaultCache(gss);
  const keyring = /^KEYRING:/.test(cache) ? cache : null;
  return { keyring, needsCache: keyring !== null };
}

/** The name is imported first and released at the end, whatever happens between. */
export async function acquire(
  gss: Gss,
  request: CredentialsRequest,
  source: Source,
  cache: MemoryCache | null,
): Promise<bigint> {
  const doing = `acquire credentials as ${describe(request)}`;
  const hints = hintsFor(gss, request);
  await fill(gss, request, source, cache, doing, hints);
  const name = importIdentity(gss, request);
  const initiates = request.role !== "server";
  try {
    const wanted = {
      usage: USAGE[request.role],
      name,
      store: storeOf(request, cache),
      doing,
      hints,
    };
    if (request.package === "kerberos") {
      const handle = await acquireHandle(gss, { ...wanted, mechanism: "kerberos" });
      return prepareHandle(gss, handle, initiates, null);
    }
    if (request.excludeNtlm) {
      await checkKerberos(gss, wanted);
      const handle = await acquireHandle(gss, { ...wanted, mechanism: "spnego" });
      return prepareHandle(gss, handle, initiates, [OIDS.kerberos]);
    }
    const { identity } = request;
    const spnego = { ...wanted, mechanism: "spnego" } as const;
    const handle = await (identity !== undefined && "password" in identity
      ? acquireHandleWithPassword(gss, identity.password, spnego)
      : acquireHandle(gss, spnego));
    const mechanisms = request.excludeKerberos ? [OIDS.ntlmssp] : [OIDS.kerberos, OIDS.ntlmssp];
    return prepareHandle(gss, handle, initiates, mechanisms);
  } finally {
    gss.releaseName(name);
  }
}

/** Puts tickets into the cache of their own, where GSS-API itself would not, or not the right ones. */
async function fill(
  gss: Gss,
  { identity, role, requirements }: CredentialsRequest,
  { keyring }: Source,
  cache: MemoryCache | null,
  doing: string,
  hints: Hints,
): Promise<void> {
  if (cache === null) return;
  const forwardable = requirements.delegation;
  if (keyring !== null) {
    copyKeyring(cache, keyring, identity === undefined, doing, hints);
  } else if (identity !== undefined && "password" in identity) {
    const proof = { password: identity.password };
    const request = { principal: userPrincipal(identity), proof, forwardable, doing, hints };
    await initialTicket(gss, cache, request);
  } else if (identity !== undefined && "keytab" in identity && role !== "server" && forwardable) {
    const { keytab, principal } = identity;
    const named = principal === undefined ? {} : { principal: { text: principal, enterprise: false } };
    await initialTicket(gss, cache, { ...named, proof: { keytab }, forwardable, doing, hints });
  }
}

function copyKeyring(
  cache: MemoryCache,
  keyring: string,
  isDefault: boolean,
  doing: string,
  hints: Hints,
): void {
  try {
    cache.copyFrom(keyring, doing, hints);
  } catch (error) {
    // The library fills a default cache that holds nothing from the machine's client key table; it may still.
    const { reason } = error as { reason?: string };
    if (!isDefault || reason !== "no-credentials") throw error;
  }
}

/**
 * Kerberos is asked first, by itself: SPNEGO's credentials come about where any mechanism has some, so that a missing
 * key table would show at the first token only, and its statuses are not Kerberos's. NTLM is gone before the first
 * token: a refusal at the end would come after its response had reached a possible relay.
 */
async function checkKerberos(gss: Gss, wanted: Omit<Wanted, "mechanism">): Promise<void> {
  releaseHandle(gss, await acquireHandle(gss, { ...wanted, mechanism: "kerberos" }));
}

/** The name to ask for; 0: whose the store is, which holds one user's tickets only. */
function importIdentity(gss: Gss, request: CredentialsRequest): bigint {
  const { identity } = request;
  if (identity === undefined || "cache" in identity) return 0n;
  if ("keytab" in identity) {
    return identity.principal === undefined ? 0n : gss.importName(identity.principal, "principalName");
  }
  return isKerberosOnly(request) ? 0n : gss.importName(userOfEitherMechanism(identity), "userName");
}

const USAGE = { client: GSS_C.INITIATE, server: GSS_C.ACCEPT } as const;

/** The credential store that says where to look; `null`: where the library looks by itself. */
function storeOf({ identity, role }: CredentialsRequest, cache: MemoryCache | null): Store | null {
  if (identity === undefined) return cache === null ? null : { ccache: cache.name };
  if ("password" in identity) return cache === null ? null : cache.store;
  if ("cache" in identity) return cache === null ? cacheStore(identity.cache) : cache.store;
  if (role === "server") return { keytab: identity.keytab };
  return { client_keytab: identity.keytab, ccache: cache!.name };
}

function describe({ identity, role }: CredentialsRequest): string {
  if (identity === undefined) return role === "server" ? "the host's services" : "the current user";
  if ("cache" in identity) return `the owner of ${identity.cache}`;
  if ("keytab" in identity) return `${identity.principal ?? "the principal"} of ${identity.keytab}`;
  const { username, domain } = identity;
  if (domain === undefined) return username;
  return username.includes("@") ? `${username} in ${domain}` : `${username}@${domain}`;
}

/** What a message says besides the failure: what to do where there are none, and what was looked at. */
function hintsFor(gss: Gss, { identity, role, excludeKerberos }: CredentialsRequest): Hints {
  if (excludeKerberos) {
    return { missing: `A policy denies kerberos, and NTLM has no user. ${NTLM_USER}.`, used: () => "" };
  }
  const server = role === "server";
  if (identity === undefined) {
    const looked = server ? { keytab: "default" } : { cache: "default", clientKeytab: true };
    return {
      missing: server ? NO_KEY_TABLE : "Log in with kinit, or give credentials.",
      used: () => describeUsed(gss, looked),
    };
  }
  if ("keytab" in identity) {
    return { missing: NO_KEY_TABLE, used: () => describeUsed(gss, { keytab: identity.keytab }) };
  }
  if ("cache" in identity) {
    return {
      missing:
        "The cache must be there, be readable for this account, and hold a ticket: log in with kinit -c.",
      used: () => describeUsed(gss, { cache: identity.cache }),
    };
  }
  const { username, domain } = identity;
  const realm = domain ?? username.split("@")[1];
  return {
    missing: "Neither Kerberos nor NTLM takes the user's name and password.",
    used: () => describeUsed(gss, realm === undefined ? {} : { realm }),
  };
}

/** What messages about contexts of these credentials say besides. */
export function contextHints(gss: Gss, role: "client" | "server", request: CredentialsRequest): Hints {
  // What a client sends decides what a server says: nothing is looked up for a token that is none.
  if (role === "client") return hintsFor(gss, { ...request, role });
  const { identity } = request;
  const keytab = identity !== undefined && "keytab" in identity ? identity.keytab : undefined;
  return { advise: (_, text) => adviceOnKey(text, () => keytab ?? defaultKeytab(gss)), used: () => "" };
}

/** What to do about a ticket for a service that the key table does not hold; the library's text has its principal. */
function adviceOnKey(text: string, keytab: () => string): string | undefined {
  const service = /ticket server (.+) not found in keytab \(/.exec(text)?.[1];
  if (service === undefined) return undefined;
  const table = keytab();
  return `The key table ${table} has no key for ${service}: add it with kadmin, ktadd -k "${table}" "${service}" ` +
    `(on a member of Active Directory: net ads keytab add), or have the client use a target that klist -k "${table}" lists`;
}

const NO_KEY_TABLE =
  "The key table must be there, be readable for this account, and hold the principal: see klist -k.";
