/**
 * Reads what libkrb5 works with, for diagnosis: its configuration, the tickets in the default credential cache, and
 * the keys in the default key tables. Reads names, times and types only; no key is copied out of the library.
 *
 * @module
 */

import { cString, pinned } from "../../memory/memory.ts";
import { GSS_ERROR_MASK, KRB5_STRUCT_BYTES, TKT_FLG } from "../../raw/gssapi.ts";
import { KRB5_BASE } from "../../raw/gss_status.ts";
import type { NativeSystem } from "../../system.ts";
import { KRB5_KT_END } from "./key_table.ts";
import { dataView, Gss, NO_HINTS, Slots } from "./gss.ts";
import {
  cacheName,
  clientKeytabName,
  configurationFiles,
  defaultRealm,
  keytabName,
  Krb5,
  pointers,
} from "./krb5.ts";

/** The status after the last ticket. */
const KRB5_CC_END = (KRB5_BASE + 142) | 0;

/** One ticket of a credential cache. */
export interface TicketFacts {
  /** The service it is for, as `klist` prints it. */
  readonly server: string;
  /** The encryption type of its session key. */
  readonly enctype: number;
  /** When it begins and ends. */
  readonly validFrom: Date;
  readonly expiresAt: Date;
  /** Until when it can be renewed; left out where it cannot. */
  readonly renewableUntil?: Date;
  /** Whether it can be forwarded, which delegation needs. */
  readonly forwardable: boolean;
}

/** The default credential cache. */
export interface CacheFacts {
  /** Its name, with its type. */
  readonly name: string;
  /** Whose tickets it holds. */
  readonly owner?: string;
  /** Its tickets, without those that libkrb5 keeps its own settings in. */
  readonly tickets: readonly TicketFacts[];
  /** Why it cannot be read. */
  readonly problem?: string;
}

/** One key of a key table. */
export interface KeyFacts {
  /** Whose key it is, as `klist -k` prints it. */
  readonly principal: string;
  /** The key's version. */
  readonly kvno: number;
  /** Its encryption type. */
  readonly enctype: number;
}

/** A key table. */
export interface KeytabFacts {
  /** Its name, with its type. */
  readonly name: string;
  /** Its keys, in their order. */
  readonly keys: readonly KeyFacts[];
  /** Why it cannot be read. */
  readonly problem?: string;
}

/** What libkrb5 works with. */
export interface KerberosFacts {
  /** The configuration files that were read, and those where it was looked for. */
  readonly configuration: { readonly found: readonly string[]; readonly looked: readonly string[] };
  /** The default realm; left out where none is configured. */
  readonly realm?: string;
  /** The default credential cache. */
  readonly cache: CacheFacts;
  /** The default key table of servers. */
  readonly keytab: KeytabFacts;
  /** The default key table of clients, from which libkrb5 gets tickets by itself. */
  readonly clientKeytab: KeytabFacts;
  /** Whether a library of NTLM is installed for Negotiate. */
  readonly ntlm: boolean;
  /** Returns the values of a relation of krb5.conf, for instance `["libdefaults", "dns_lookup_kdc"]`. */
  setting(path: readonly string[]): readonly string[];
  /** Reads the default credential cache again. */
  readCache(): CacheFacts;
}

/**
 * Returns what libkrb5 works with.
 *
 * @throws AuthenticationError where its configuration cannot be read.
 * @throws PermissionError or UnsupportedPlatformError where the library cannot be opened.
 */
export function inspectKerberos(system: NativeSystem): KerberosFacts {
  const gss = new Gss(system);
  const inContext = <T>(read: (krb5: Krb5) => T): T => {
    using krb5 = new Krb5(gss, "read the Kerberos configuration", NO_HINTS);
    return read(krb5);
  };
  const readCache = (): CacheFacts => inContext((krb5) => cacheFacts(gss, krb5));
  return {
    configuration: configurationFiles(gss),
    ...inContext((krb5) => ({
      realm: defaultRealm(gss, krb5) ?? undefined,
      keytab: keytabFacts(gss, krb5, keytabName(gss, krb5)),
      clientKeytab: keytabFacts(gss, krb5, clientKeytabName(gss, krb5)),
    })),
    cache: readCache(),
    ntlm: hasMechanism(gss, "ntlm"),
    setting: (path) => inContext((krb5) => setting(gss, krb5, path)),
    readCache,
  };
}

function cacheFacts(gss: Gss, krb5: Krb5): CacheFacts {
  const { call } = gss;
  const { context } = krb5;
  const name = cacheName(gss, krb5);
  const tickets: TicketFacts[] = [];
  try {
    const cache = krb5.must(
      "krb5_cc_default",
      (out) => call.krb5_cc_default(context, out),
      (opened) => call.krb5_cc_close(context, opened),
    );
    const principal = krb5.must(
      "krb5_cc_get_principal",
      (out) => call.krb5_cc_get_principal(context, cache, out),
      (read) => call.krb5_free_principal(context, read),
    );
    const owner = principalText(gss, krb5, principal);
    const cursor = pinned(8);
    krb5.check("krb5_cc_start_seq_get", call.krb5_cc_start_seq_get(context, cache, cursor));
    const layout = gss.build.layouts.creds;
    const creds = pinned(KRB5_STRUCT_BYTES);
    let status: number;
    while ((status = call.krb5_cc_next_cred(context, cache, cursor, creds)) === 0) {
      const { server, key_enctype, ticket_flags, ...times } = layout.read(dataView(creds));
      const text = principalText(gss, krb5, server);
      call.krb5_free_cred_contents(context, creds);
      creds.fill(0);
      if (/@X-CACHECONF:$/.test(text)) continue;
      tickets.push({
        server: text,
        enctype: key_enctype,
        validFrom: date(times.starttime || times.authtime),
        expiresAt: date(times.endtime),
        ...((ticket_flags & TKT_FLG.RENEWABLE) === 0 ? {} : { renewableUntil: date(times.renew_till) }),
        forwardable: (ticket_flags & TKT_FLG.FORWARDABLE) !== 0,
      });
    }
    call.krb5_cc_end_seq_get(context, cache, cursor);
    if (status !== KRB5_CC_END) krb5.check("krb5_cc_next_cred", status);
    return { name, owner, tickets };
  } catch (error) {
    return { name, tickets, problem: nativeMessage(error) };
  }
}

/** libkrb5's times are 32 bits without a sign, until 2106. */
function date(seconds: number): Date {
  return new Date((seconds >>> 0) * 1000);
}

function keytabFacts(gss: Gss, krb5: Krb5, name: string): KeytabFacts {
  const { call, build } = gss;
  const { context } = krb5;
  const keys: KeyFacts[] = [];
  try {
    const table = krb5.must(
      "krb5_kt_resolve",
      (out) => call.krb5_kt_resolve(context, cString(name), out),
      (opened) => call.krb5_kt_close(context, opened),
    );
    const cursor = pinned(8), entry = pinned(KRB5_STRUCT_BYTES);
    krb5.check("krb5_kt_start_seq_get", call.krb5_kt_start_seq_get(context, table, cursor));
    let status: number;
    while ((status = call.krb5_kt_next_entry(context, table, entry, cursor)) === 0) {
      const { principal, vno, key_enctype } = build.layouts.keytabEntry.read(dataView(entry));
      keys.push({ principal: principalText(gss, krb5, principal), kvno: vno, enctype: key_enctype });
      call.krb5_free_keytab_entry_contents(context, entry);
      entry.fill(0);
    }
    call.krb5_kt_end_seq_get(context, table, cursor);
    if (status !== KRB5_KT_END) krb5.check("krb5_kt_next_entry", status);
    return { name, keys };
  } catch (error) {
    return { name, keys, problem: nativeMessage(error) };
  }
}

function principalText({ call, memory }: Gss, { context }: Krb5, principal: bigint): string {
  const slots = new Slots(8);
  if (call.krb5_unparse_name(context, principal, slots.bytes) !== 0) return "";
  try {
    return memory.cString(slots.u64[0]);
  } finally {
    call.krb5_free_unparsed_name(context, slots.u64[0]);
  }
}

function setting({ call, memory }: Gss, { context, own }: Krb5, path: readonly string[]): readonly string[] {
  const profile = own((out) => call.krb5_get_profile(context, out), (opened) => call.profile_release(opened));
  if (profile === null) return [];
  const texts = path.map(cString);
  const names = pinned(8 * (texts.length + 1));
  texts.forEach((text, at) => dataView(names).setBigUint64(8 * at, memory.addressOf(text), true));
  const list = own(
    (out) => Number(call.profile_get_values(profile, names, out)),
    (values) => call.profile_free_list(values),
  );
  return list === null ? [] : pointers(memory, list).map((address) => memory.cString(address));
}

function hasMechanism(gss: Gss, name: string): boolean {
  const slots = new Slots(16);
  const [minor, set] = [slots.slice(0, 4), slots.slice(8, 8)];
  if ((gss.call.gss_indicate_mechs(minor, set) & GSS_ERROR_MASK) !== 0) return false;
  try {
    const { oid, oidSet } = gss.build.layouts;
    const { count, elements } = oidSet.read(dataView(gss.memory.read(slots.u64[1], oidSet.size)));
    return Array.from({ length: Number(count) }, (_, at) => elements + BigInt(at * oid.size))
      .some((address) => gss.readMechanism(address) === name);
  } finally {
    gss.call.gss_release_oid_set(minor, set);
  }
}

/** The library's own text of a failure. */
function nativeMessage(error: unknown): string {
  const { cause, message } = error as Error & { cause?: Error };
  return cause?.message ?? message;
}
