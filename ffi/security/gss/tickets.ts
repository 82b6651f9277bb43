/**
 * Gets initial tickets into credential caches in this process's memory.
 *
 * @module
 */

import { cString, pinned } from "../../memory/memory.ts";
import { KRB5_PRINCIPAL_PARSE, KRB5_STRUCT_BYTES } from "../../raw/gssapi.ts";
import { dataView, type Gss, type Hints, Slots } from "./gss.ts";
import { Krb5 } from "./krb5.ts";
import type { Principal } from "./principal.ts";

/**
 * A cache in this process's memory. The library would keep it, with its session keys, until the process ends, so its
 * owner must destroy it.
 */
export class MemoryCache {
  readonly #gss: Gss;
  /** Its name. Random, because one process may load two copies of this package. */
  readonly name: string = `MEMORY:secure-sockets-${crypto.randomUUID()}`;

  constructor(gss: Gss) {
    this.#gss = gss;
  }

  /** A credential store with this cache and nothing else. */
  get store(): { readonly [key: string]: string } {
    return cacheStore(this.name);
  }

  /**
   * Copies the tickets of another cache, on this thread: a KEYRING belongs to the thread that opened it, and other
   * threads cannot read it.
   *
   * @throws AuthenticationError where that cache does not exist or cannot be read.
   */
  copyFrom(name: string, doing: string, hints: Hints): void {
    const { call } = this.#gss;
    using krb5 = new Krb5(this.#gss, doing, hints);
    const { context } = krb5;
    const from = openCache(this.#gss, krb5, name), to = openCache(this.#gss, krb5, this.name);
    const owner = krb5.must(
      "krb5_cc_get_principal",
      (out) => call.krb5_cc_get_principal(context, from, out),
      (principal) => call.krb5_free_principal(context, principal),
    );
    krb5.check("krb5_cc_initialize", call.krb5_cc_initialize(context, to, owner));
    krb5.check("krb5_cc_copy_creds", call.krb5_cc_copy_creds(context, from, to));
  }

  /**
   * Copies the tickets of a cache in a file, on another thread: the file may be locked, or on a server. The cache must
   * be new.
   *
   * @throws AuthenticationError where the file does not exist or cannot be read.
   */
  async copyFromFile(path: string): Promise<void> {
    const { call, threaded } = this.#gss;
    using krb5 = new Krb5(this.#gss, `copy the tickets in ${path}`);
    const { context } = krb5;
    const from = openCache(this.#gss, krb5, `FILE:${path}`);
    const slots = new Slots(8);
    krb5.check("krb5_cc_get_principal", await threaded.krb5_cc_get_principal(context, from, slots.bytes));
    try {
      // Opened now: the first cache that is read sets the context's time, which a new one gets from it.
      const to = openCache(this.#gss, krb5, this.name);
      krb5.check("krb5_cc_initialize", call.krb5_cc_initialize(context, to, slots.u64[0]));
      krb5.check("krb5_cc_copy_creds", await threaded.krb5_cc_copy_creds(context, from, to));
    } finally {
      call.krb5_free_principal(context, slots.u64[0]);
    }
  }

  /** Empties and removes the cache. Called when no handle uses it any more. */
  destroy(): void {
    const { call } = this.#gss;
    const slots = new Slots(16);
    if (call.krb5_init_context(slots.slice(0, 8)) !== 0) return;
    const [context] = slots.u64;
    try {
      if (call.krb5_cc_resolve(context, cString(this.name), slots.slice(8, 8)) === 0) {
        call.krb5_cc_destroy(context, slots.u64[1]);
      }
    } finally {
      call.krb5_free_context(context);
    }
  }
}

function openCache({ call }: Gss, krb5: Krb5, name: string): bigint {
  return krb5.must(
    "krb5_cc_resolve",
    (out) => call.krb5_cc_resolve(krb5.context, cString(name), out),
    (opened) => call.krb5_cc_close(krb5.context, opened),
  );
}

/**
 * Returns a store with this cache only. Its empty client key table keeps the library from filling the cache from the
 * machine's own client key table, with another principal's tickets.
 */
export function cacheStore(ccache: string): { readonly [key: string]: string } {
  return { ccache, client_keytab: "MEMORY:secure-sockets-none" };
}

/** The ticket to get, and how. */
export interface TicketRequest {
  /** The user; left out: the first principal of the key table. */
  readonly principal?: Principal;
  /** What authenticates the user: a password, which is not kept, or a key table. */
  readonly proof: { readonly password: string | Uint8Array } | { readonly keytab: string };
  /** Requests a ticket that can be delegated, independent of krb5.conf. `false`: as krb5.conf sets. */
  readonly forwardable: boolean;
  /** What is being done, for messages, after "Cannot ". */
  readonly doing: string;
  /** What messages add. */
  readonly hints: Hints;
}

/**
 * Gets an initial ticket into a cache, on another thread. Uses libkrb5's function: GSS-API's accepts a name as one
 * text only, gets a forwardable ticket only where krb5.conf sets that, and stores error details in thread-local
 * memory.
 *
 * @throws AuthenticationError with the reason that the KDC or the library gave.
 */
export async function initialTicket(gss: Gss, cache: MemoryCache, request: TicketRequest): Promise<void> {
  const { call } = gss;
  const { proof, doing, hints } = request;
  using krb5 = new Krb5(gss, doing, hints);
  const { context } = krb5;
  const to = openCache(gss, krb5, cache.name);
  const keytab = "keytab" in proof
    ? krb5.must(
      "krb5_kt_resolve",
      (out) => call.krb5_kt_resolve(context, cString(proof.keytab), out),
      (opened) => call.krb5_kt_close(context, opened),
    )
    : 0n;
  const { principal } = request;
  const client = krb5.must(
    principal === undefined ? "krb5_kt_next_entry" : "krb5_parse_name_flags",
    (out) =>
      principal === undefined ? firstPrincipal(gss, context, keytab, out) : call.krb5_parse_name_flags(
        context,
        cString(principal.text),
        principal.enterprise ? KRB5_PRINCIPAL_PARSE.ENTERPRISE : 0,
        out,
      ),
    (parsed) => call.krb5_free_principal(context, parsed),
  );
  const options = krb5.must(
    "krb5_get_init_creds_opt_alloc",
    (out) => call.krb5_get_init_creds_opt_alloc(context, out),
    (made) => call.krb5_get_init_creds_opt_free(context, made),
  );
  if (request.forwardable) call.krb5_get_init_creds_opt_set_forwardable(options, 1);
  krb5.check(
    "krb5_get_init_creds_opt_set_out_ccache",
    call.krb5_get_init_creds_opt_set_out_ccache(context, options, to),
  );
  const credentials = pinned(KRB5_STRUCT_BYTES);
  if ("password" in proof) {
    const secret = secretText(proof.password);
    try {
      const status = await gss.threaded
        .krb5_get_init_creds_password(context, credentials, client, secret, 0n, 0n, 0, null, options);
      krb5.check("krb5_get_init_creds_password", status);
    } finally {
      secret.fill(0);
    }
  } else {
    const status = await gss.threaded
      .krb5_get_init_creds_keytab(context, credentials, client, keytab, 0, null, options);
    krb5.check("krb5_get_init_creds_keytab", status);
  }
  // The cache has its own copy.
  call.krb5_free_cred_contents(context, credentials);
}

/** Returns a password as a C string, which the caller zeroes. */
function secretText(password: string | Uint8Array): Uint8Array {
  const encoded = typeof password === "string" ? new TextEncoder().encode(password) : password;
  const secret = pinned(encoded.length + 1);
  secret.set(encoded);
  if (typeof password === "string") encoded.fill(0);
  return secret;
}

/** Writes a copy of the principal of a key table's first entry to `out`. */
function firstPrincipal({ call, build }: Gss, context: bigint, keytab: bigint, out: Uint8Array): number {
  const cursor = pinned(8), entry = pinned(KRB5_STRUCT_BYTES);
  const started = call.krb5_kt_start_seq_get(context, keytab, cursor);
  if (started !== 0) return started;
  try {
    const status = call.krb5_kt_next_entry(context, keytab, entry, cursor);
    if (status !== 0) return status;
    try {
      const { principal } = build.layouts.keytabEntry.read(dataView(entry));
      return call.krb5_copy_principal(context, principal, out);
    } finally {
      call.krb5_free_keytab_entry_contents(context, entry);
    }
  } finally {
    call.krb5_kt_end_seq_get(context, keytab, cursor);
  }
}
