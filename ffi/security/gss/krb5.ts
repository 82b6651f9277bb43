/**
 * Direct use of libkrb5: its contexts and messages, and which realm, caches, key tables and files it uses.
 *
 * @module
 */

import { cString, type Memory, pinned } from "../../memory/memory.ts";
import { dataView, type Gss, type Hints, NO_HINTS, Slots } from "./gss.ts";

const NAME_BYTES = 4096;

/** A `krb5_context` and the objects made in it. Never used by two threads at once: its owner awaits every call. */
export class Krb5 implements Disposable {
  readonly context: bigint;
  readonly #gss: Gss;
  readonly #doing: string;
  readonly #hints: Hints;
  readonly #releases: (() => unknown)[] = [];

  /**
   * @param doing the purpose, for messages, after "Cannot ".
   * @param hints what messages add.
   */
  constructor(gss: Gss, doing: string, hints: Hints = NO_HINTS) {
    this.#gss = gss;
    this.#doing = doing;
    this.#hints = hints;
    const slots = new Slots(8);
    const status = gss.call.krb5_init_context(slots.bytes);
    if (status !== 0) throw gss.kerberosFailure("krb5_init_context", status, "", doing, hints);
    this.context = slots.u64[0];
    this.#releases.push(() => gss.call.krb5_free_context(this.context));
  }

  /** Returns the handle that `make` writes; it is released with this context. */
  readonly own = (
    make: (out: Uint8Array) => number,
    release: (handle: bigint) => unknown,
  ): bigint | null => {
    const slots = new Slots(8);
    if (make(slots.bytes) !== 0) return null;
    const handle = slots.u64[0];
    this.#releases.unshift(() => release(handle));
    return handle;
  };

  /** Like {@linkcode Krb5.own}; throws an AuthenticationError where `fn` fails. */
  must(fn: string, make: (out: Uint8Array) => number, release: (handle: bigint) => unknown): bigint {
    let status = 0;
    const handle = this.own((out) => status = make(out), release);
    this.check(fn, status);
    return handle!;
  }

  /** Throws an AuthenticationError where `fn` failed. */
  check(fn: string, status: number): void {
    if (status === 0) return;
    throw this.#gss.kerberosFailure(fn, status, this.#message(status), this.#doing, this.#hints);
  }

  /** The library's own message for a status, with the names in it. */
  #message(status: number): string {
    const { call, memory } = this.#gss;
    const text = call.krb5_get_error_message(this.context, status);
    if (!text) return "";
    try {
      return memory.cString(text);
    } finally {
      call.krb5_free_error_message(this.context, text);
    }
  }

  [Symbol.dispose](): void {
    for (const release of this.#releases) release();
  }
}

/** The sources that were used; `default`: the library's default. */
export interface UsedSources {
  /** The realm; left out: the default one. */
  readonly realm?: string;
  /** The credential cache. */
  readonly cache?: string;
  /** A server's key table. */
  readonly keytab?: string;
  /** Whether the machine's client key table is used, from which the library fills an empty cache. */
  readonly clientKeytab?: boolean;
}

const DEFAULT = "default";

/** Returns the sources that were used, as a sentence: they depend on environment variables and on krb5.conf. */
export function describeUsed(gss: Gss, { realm, cache, keytab, clientKeytab }: UsedSources): string {
  const { found, looked } = configurationFiles(gss);
  const files = found.join(" and ") || `none (this process can read no ${looked.join(" and no ")})`;
  const parts = withKrb5(gss, (krb5) => [
    `realm ${realm ?? defaultRealm(gss, krb5) ?? "none"}`,
    ...(cache === undefined ? [] : [`cache ${cache === DEFAULT ? cacheName(gss, krb5) : cache}`]),
    ...(keytab === undefined ? [] : [`key table ${keytab === DEFAULT ? keytabName(gss, krb5) : keytab}`]),
    ...(clientKeytab ? [`client key table ${clientKeytabName(gss, krb5)}`] : []),
  ]);
  return `Used: ${[...parts ?? [], `krb5.conf ${files}`].join(", ")}`;
}

/** Returns the name of the library's default cache; empty where it has none. */
export function defaultCache(gss: Gss): string {
  return withKrb5(gss, (krb5) => cacheName(gss, krb5)) ?? "";
}

/** Returns the name of a server's default key table; empty where it has none. */
export function defaultKeytab(gss: Gss): string {
  return withKrb5(gss, (krb5) => keytabName(gss, krb5)) ?? "";
}

/** Returns the result of `read`; `null` where no context can be made: the call that needs one then reports why. */
function withKrb5<T>(gss: Gss, read: (krb5: Krb5) => T): T | null {
  let krb5: Krb5;
  try {
    krb5 = new Krb5(gss, "read the Kerberos configuration");
  } catch {
    return null;
  }
  using _ = krb5;
  return read(krb5);
}

/** Returns the default realm; `null` where none is configured. */
export function defaultRealm({ call, memory }: Gss, { context, own }: Krb5): string | null {
  const text = own(
    (out) => call.krb5_get_default_realm(context, out),
    (realm) => call.krb5_free_default_realm(context, realm),
  );
  return text === null ? null : memory.cString(text);
}

/** Returns the name of the default cache; empty where there is none. */
export function cacheName({ call, memory }: Gss, { context }: Krb5): string {
  const name = call.krb5_cc_default_name(context);
  return name ? memory.cString(name) : "";
}

/** Returns the name of a server's default key table; empty where there is none. */
export function keytabName(gss: Gss, { context }: Krb5): string {
  return written(gss, (out) => gss.call.krb5_kt_default_name(context, out, NAME_BYTES));
}

/** Returns the name of a client's default key table; empty where there is none. */
export function clientKeytabName(gss: Gss, { context, own }: Krb5): string {
  const { call } = gss;
  const keytab = own(
    (out) => call.krb5_kt_client_default(context, out),
    (opened) => call.krb5_kt_close(context, opened),
  );
  return keytab === null
    ? ""
    : written(gss, (out) => call.krb5_kt_get_name(context, keytab, out, NAME_BYTES));
}

function written({ memory }: Gss, write: (out: Uint8Array) => number): string {
  const out = pinned(NAME_BYTES);
  return write(out) === 0 ? memory.cString(memory.addressOf(out)) : "";
}

/** The files in which the library looks for its configuration, and those of them that this process can read. */
export function configurationFiles(
  { call, memory }: Gss,
): { readonly looked: readonly string[]; readonly found: readonly string[] } {
  const slots = new Slots(8);
  if (call.krb5_get_default_config_files(slots.bytes) !== 0) return { looked: [], found: [] };
  const list = slots.u64[0];
  try {
    const looked = pointers(memory, list).map((address) => memory.cString(address));
    const READABLE = 4;
    return { looked, found: looked.filter((path) => call.access(cString(path), READABLE) === 0) };
  } finally {
    call.krb5_free_config_files(list);
  }
}

/** The addresses in an array that ends with 0. */
export function pointers(memory: Memory, array: bigint): bigint[] {
  const all: bigint[] = [];
  for (let at = array;; at += 8n) {
    const address = dataView(memory.read(at, 8)).getBigUint64(0, true);
    if (address === 0n) return all;
    all.push(address);
  }
}
