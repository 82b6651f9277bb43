/**
 * Credential handles of libgssapi.
 *
 * @module
 */

import { pinned } from "../../memory/memory.ts";
import { GSS_C, GSS_S, OIDS } from "../../raw/gssapi.ts";
import { type Gss, type Hints, Slots } from "./gss.ts";
import type { MemoryCache } from "./tickets.ts";
import { INDEFINITE } from "./structs.ts";

/** A credential store, as `gss_acquire_cred_from` takes it: `ccache`, `keytab`, `client_keytab`. */
export type Store = { readonly [key: string]: string };

/** What a handle is acquired for. */
export interface Wanted {
  /** The mechanisms; it is acquired where any of them has credentials. */
  readonly mechanisms: readonly ("kerberos" | "spnego")[];
  /** `GSS_C_INITIATE`, `GSS_C_ACCEPT` or `GSS_C_BOTH`. */
  readonly usage: number;
  /** The name to acquire for; 0: any. */
  readonly name: bigint;
  /** The store to use; `null`: the library's default. */
  readonly store: Store | null;
  /** What is being done, for messages, after "Cannot ". */
  readonly doing: string;
  /** What messages add. */
  readonly hints: Hints;
}

/** Acquires a handle on another thread: this may contact a KDC. */
export async function acquireHandle(gss: Gss, wanted: Wanted): Promise<bigint> {
  const slots = new Slots(16);
  const major = await gss.threaded.gss_acquire_cred_from(...fromArguments(gss, wanted, slots));
  gss.check("gss_acquire_cred_from", major, slots.u32[0], wanted.doing, wanted.hints);
  return slots.u64[1];
}

/** Acquires a handle on this thread: for credentials that are in memory already. */
export function acquireHandleNow(gss: Gss, wanted: Wanted): bigint {
  const slots = new Slots(16);
  const major = gss.call.gss_acquire_cred_from(...fromArguments(gss, wanted, slots));
  gss.check("gss_acquire_cred_from", major, slots.u32[0], wanted.doing, wanted.hints);
  return slots.u64[1];
}

function fromArguments(
  gss: Gss,
  { mechanisms, usage, name, store }: Wanted,
  slots: Slots,
): Parameters<Gss["call"]["gss_acquire_cred_from"]> {
  return [
    slots.slice(0, 4),
    name,
    INDEFINITE,
    gss.build.oidSet(mechanisms.map((mechanism) => OIDS[mechanism])),
    usage,
    store === null ? null : gss.build.keyValueSet(store),
    slots.slice(8, 8),
    null,
    null,
  ];
}

/** Acquires a handle with a password, on another thread; `wanted.store` is ignored. */
export async function acquireHandleWithPassword(
  gss: Gss,
  password: string | Uint8Array,
  wanted: Wanted,
): Promise<bigint> {
  const slots = new Slots(16);
  const encoded = typeof password === "string" ? new TextEncoder().encode(password) : password;
  const secret = pinned(encoded.length);
  secret.set(encoded);
  if (typeof password === "string") encoded.fill(0);
  try {
    const major = await gss.threaded.gss_acquire_cred_with_password(
      slots.slice(0, 4),
      wanted.name,
      gss.build.buffer(secret),
      INDEFINITE,
      gss.build.oidSet(wanted.mechanisms.map((mechanism) => OIDS[mechanism])),
      wanted.usage,
      slots.slice(8, 8),
      null,
      null,
    );
    gss.check("gss_acquire_cred_with_password", major, slots.u32[0], wanted.doing, wanted.hints);
  } finally {
    secret.fill(0);
  }
  return slots.u64[1];
}

/** Copies a Kerberos initiator's tickets into `cache`. */
export function storeHandle(gss: Gss, handle: bigint, cache: MemoryCache): void {
  const slots = new Slots(8);
  const major = gss.call.gss_store_cred_into(
    slots.slice(0, 4),
    handle,
    GSS_C.INITIATE,
    gss.oids.kerberos,
    1,
    0,
    gss.build.keyValueSet(cache.store),
    null,
    null,
  );
  gss.check("gss_store_cred_into", major, slots.u32[0], "keep the credentials in memory");
}

/**
 * Restricts a new handle to what is wanted, before its first token; releases the handle on failure.
 *
 * @param initiates on an initiator sets an option without which MIT krb5 always requests integrity and
 * confidentiality, and the peer cannot know what was required.
 * @param mechanisms the only mechanisms that SPNEGO offers and accepts. `null`: the handle does not belong to SPNEGO.
 */
export function prepareHandle(
  gss: Gss,
  handle: bigint,
  initiates: boolean,
  mechanisms: readonly (readonly number[])[] | null,
): bigint {
  const slots = new Slots(16);
  slots.u64[1] = handle;
  const minor = slots.slice(0, 4);
  try {
    if (initiates) {
      const nothing = gss.build.buffer(pinned(0));
      const major = gss.call.gss_set_cred_option(minor, slots.slice(8, 8), gss.oids.noCiFlags, nothing);
      // Where NTLM is allowed there may be no Kerberos credential, and then the option does not exist.
      const noKerberos = major === GSS_S.UNAVAILABLE && mechanisms?.includes(OIDS.ntlmssp);
      if (!noKerberos) {
        gss.check("gss_set_cred_option", major, slots.u32[0], "request no more than was required");
      }
    }
    if (mechanisms !== null) {
      const major = gss.call.gss_set_neg_mechs(minor, handle, gss.build.oidSet(mechanisms));
      gss.check("gss_set_neg_mechs", major, slots.u32[0], "restrict the mechanisms of Negotiate");
    }
    return handle;
  } catch (error) {
    releaseHandle(gss, handle);
    throw error;
  }
}

/**
 * Returns the name that an initiator's handle has; empty where it has none. Asks on another thread: the library locks a
 * handle while a step with it waits for a KDC.
 */
export async function handleOwner(gss: Gss, handle: bigint): Promise<string> {
  const slots = new Slots(16);
  const { gss_inquire_cred } = gss.threaded;
  const major = await gss_inquire_cred(slots.slice(0, 4), handle, slots.slice(8, 8), null, null, null);
  gss.check("gss_inquire_cred", major, slots.u32[0], "read the owner of the credentials");
  const name = slots.u64[1];
  if (name === 0n) return "";
  try {
    return gss.displayName(name);
  } finally {
    gss.releaseName(name);
  }
}

/** Releases a handle; ignores 0. */
export function releaseHandle(gss: Gss, handle: bigint): void {
  if (handle === 0n) return;
  const slots = new Slots(16);
  slots.u64[1] = handle;
  gss.call.gss_release_cred(slots.slice(0, 4), slots.slice(8, 8));
}
