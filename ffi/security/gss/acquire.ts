/**
 * Acquires a credential handle for an identity: the calls of libkrb5 and libgssapi, and their order.
 *
 * @module
 */

import { AuthenticationError } from "../../../errors.ts";
import { GSS_C, OIDS } from "../../raw/gssapi.ts";
import type { CredentialsRequest } from "../credentials_base.ts";
import { NTLM_USER } from "../other_mechanism.ts";
import type { Gss, Hints } from "./gss.ts";
import {
  acquireHandle,
  acquireHandleWithPassword,
  prepareHandle,
  releaseHandle,
  type Store,
  type Wanted,
} from "./handles.ts";
import { filePath, type HeldTicketsOptions } from "./held_tickets.ts";
import { defaultCache, defaultKeytab, describeUsed } from "./krb5.ts";
import { checkPrincipal, userOfEitherMechanism, userPrincipal } from "./principal.ts";
import { cacheStore, initialTicket, type MemoryCache } from "./tickets.ts";

/** Refuses requests that this system cannot meet as they are meant. Makes no native call. */
export function checkRequest(request: CredentialsRequest): void {
  checkIdentity(request);
  refuseDenied(request);
}

function checkIdentity(request: CredentialsRequest): void {
  const { role, identity } = request;
  if (identity === undefined) return;
  if (role !== "client" && !("keytab" in identity)) {
    throw new TypeError(
      "credentials with a password or a cache can be used on a client only on this system; give a server { keytab }",
    );
  }
  if ("keytab" in identity && identity.principal !== undefined) {
    checkPrincipal(identity.principal, "credentials.principal");
  }
  if (!("password" in identity)) return;
  const { password } = identity;
  if (password.length === 0) {
    throw new TypeError("credentials.password is empty, which Kerberos on this system does not accept");
  }
  if (typeof password === "string" ? password.includes("\u0000") : password.includes(0)) {
    throw new TypeError(
      "credentials.password contains a NUL, at which Kerberos on this system would end it",
    );
  }
  if (isKerberosOnly(request)) userPrincipal(identity);
  else userOfEitherMechanism(identity);
}

/** @throws AuthenticationError where the given credentials would be used by Kerberos, which is excluded. */
function refuseDenied(request: CredentialsRequest): void {
  if (request.identity === undefined || !request.excludeKerberos) return;
  throw new AuthenticationError(
    "mechanism",
    `Cannot acquire credentials as ${describe(request)}: a policy denies kerberos, and on this system ` +
      `Kerberos uses given credentials before NTLM does. ${NTLM_USER}`,
  );
}

/** Whether Kerberos is the only possible mechanism. */
export function isKerberosOnly(request: CredentialsRequest): boolean {
  return request.package === "kerberos" || request.excludeNtlm;
}

/** The source of the tickets. */
export interface Source {
  /** The KEYRING cache whose tickets are copied first; `null`: none is used. */
  readonly keyring: string | null;
  /** Whether the tickets are kept in a private cache, separate from the user's. */
  readonly needsCache: boolean;
  /** The cache that the handle uses where it is a file: its path, and whether it is the library's default. */
  readonly file: HeldTicketsOptions["file"];
}

/**
 * A KEYRING belongs to the thread that uses it (the kernel attaches keyrings to threads). So its tickets are copied
 * on this thread, and all threads read the copy.
 */
export function sourceOf(gss: Gss, request: CredentialsRequest): Source {
  const { identity, role } = request;
  const none = { keyring: null, file: null };
  if (identity !== undefined && "keytab" in identity) return { ...none, needsCache: role !== "server" };
  if (identity !== undefined && "password" in identity) {
    return { ...none, needsCache: isKerberosOnly(request) };
  }
  const noTickets = role === "server" || request.excludeKerberos;
  const cache = noTickets ? "" : identity?.cache ?? defaultCache(gss);
  const keyring = /^KEYRING:/.test(cache) ? cache : null;
  const path = filePath(cache);
  const file = path === null ? null : { path, isDefault: identity === undefined };
  return { keyring, needsCache: keyring !== null, file };
}

/** Acquires a handle. The name is imported first and always released at the end. */
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
      const handle = await acquireHandle(gss, { ...wanted, mechanisms: ["kerberos"] });
      return prepareHandle(gss, handle, initiates, null);
    }
    const mechanisms = negotiateMechanisms(request);
    if (request.excludeNtlm) {
      await checkKerberos(gss, wanted);
      const handle = await acquireHandle(gss, { ...wanted, mechanisms });
      return prepareHandle(gss, handle, initiates, [OIDS.kerberos]);
    }
    const { identity } = request;
    const handle = await (identity !== undefined && "password" in identity
      ? acquireHandleWithPassword(gss, identity.password, { ...wanted, mechanisms })
      : acquireHandle(gss, { ...wanted, mechanisms }));
    const inside = request.excludeKerberos ? [OIDS.ntlmssp] : [OIDS.kerberos, OIDS.ntlmssp];
    return prepareHandle(gss, handle, initiates, inside);
  } finally {
    gss.releaseName(name);
  }
}

/** Puts tickets into the private cache where GSS-API itself would not, or would use other tickets. */
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
    // The library may still fill an empty default cache from the machine's client key table.
    const { reason } = error as { reason?: string };
    if (!isDefault || reason !== "no-credentials") throw error;
  }
}

/**
 * Acquires from Kerberos alone first. SPNEGO returns credentials where any mechanism has some, so a missing key table
 * would show only at the first token, and SPNEGO's statuses are not those of Kerberos. NTLM is excluded before the
 * first token: a refusal at the end would come after its response had reached a possible relay.
 */
async function checkKerberos(gss: Gss, wanted: Omit<Wanted, "mechanisms">): Promise<void> {
  releaseHandle(gss, await acquireHandle(gss, { ...wanted, mechanisms: ["kerberos"] }));
}

/**
 * What Negotiate acquires: an acceptor takes a bare Kerberos token too, as Windows' does, with the credential of the
 * mechanism that the token names.
 */
function negotiateMechanisms({ role, excludeKerberos }: CredentialsRequest): Wanted["mechanisms"] {
  return role === "client" || excludeKerberos ? ["spnego"] : ["spnego", "kerberos"];
}

/** The name to acquire for; 0: the owner of the store, which contains one user's tickets only. */
function importIdentity(gss: Gss, request: CredentialsRequest): bigint {
  const { identity } = request;
  if (identity === undefined || "cache" in identity) return 0n;
  if ("keytab" in identity) {
    return identity.principal === undefined ? 0n : gss.importName(identity.principal, "principalName");
  }
  return isKerberosOnly(request) ? 0n : gss.importName(userOfEitherMechanism(identity), "userName");
}

const USAGE = { client: GSS_C.INITIATE, server: GSS_C.ACCEPT } as const;

/** The credential store to use; `null`: the library's default. */
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

/**
 * Returns what a message adds to the failure: what to do where credentials are missing, and which sources were used.
 */
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
        "The cache must exist, be readable for this account, and contain a ticket: log in with kinit -c.",
      used: () => describeUsed(gss, { cache: identity.cache }),
    };
  }
  const { username, domain } = identity;
  const realm = domain ?? username.split("@")[1];
  return {
    missing: "Neither Kerberos nor NTLM accepts the user's name and password.",
    used: () => describeUsed(gss, realm === undefined ? {} : { realm }),
  };
}

/** Returns what messages about contexts of these credentials add to a failure. */
export function contextHints(gss: Gss, role: "client" | "server", request: CredentialsRequest): Hints {
  // A client's input causes the server's messages: invalid tokens must not cause look-ups.
  if (role === "client") return hintsFor(gss, { ...request, role });
  const { identity } = request;
  const keytab = identity !== undefined && "keytab" in identity ? identity.keytab : undefined;
  return { advise: (_, text) => adviceOnKey(text, () => keytab ?? defaultKeytab(gss)), used: () => "" };
}

/**
 * What to do about a ticket for a service without a key in the key table; the library's text contains its principal.
 */
function adviceOnKey(text: string, keytab: () => string): string | undefined {
  const service = /ticket server (.+) not found in keytab \(/.exec(text)?.[1];
  if (service === undefined) return undefined;
  const table = keytab();
  return `The key table ${table} has no key for ${service}: add it with kadmin, ktadd -k "${table}" "${service}" ` +
    `(on a member of Active Directory: net ads keytab add), or use a target on the client that klist -k "${table}" lists`;
}

const NO_KEY_TABLE =
  "The key table must exist, be readable for this account, and contain the principal: see klist -k.";
