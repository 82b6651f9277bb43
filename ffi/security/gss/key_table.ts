/**
 * Checks whose key decrypted a ticket, which libgssapi does not report: it tries the keys of its key table in turn
 * and names the entry whose key decrypted the ticket, independent of the clear-text name in the ticket.
 *
 * @module
 */

import { cString } from "../../memory/memory.ts";
import { KRB5_BASE } from "../../raw/gss_status.ts";
import { dataView, type Gss, Slots } from "./gss.ts";
import type { Ticket } from "./ticket_name.ts";

/** The status after the last entry. */
export const KRB5_KT_END = (KRB5_BASE + 182) | 0;

/** One key of one principal. */
interface Entry {
  readonly name: string;
  readonly enctype: number;
  readonly key: Uint8Array;
}

/** The keys of a server's credentials. */
export interface KeySource {
  /** The key table's name, as in krb5; left out: the default one. */
  readonly keytab?: string;
  /** True where only one principal's keys are used. */
  readonly pinned: boolean;
}

/**
 * Returns whether the key that decrypted a ticket belongs to the clear-text name in it, as far as the key table
 * shows: the name is that entry's, or its entries have the same keys, or it has no entry and every key in the table
 * is that entry's.
 *
 * Returns false where the table cannot be read. Names that share a key cannot be distinguished.
 *
 * @param opened the entry whose key decrypted the ticket, as libkrb5 writes a principal.
 */
export function keyBelongsTo(
  gss: Gss,
  source: KeySource,
  { name, enctype }: Ticket,
  opened: string,
): boolean {
  if (fold(name) === fold(opened)) return true;
  const entries: Entry[] = [];
  try {
    if (!readKeyTable(gss, source.keytab, entries)) return false;
    const usable = entries.filter((entry) => entry.enctype === enctype);
    const named = usable.filter((entry) => fold(entry.name) === fold(name));
    const used = usable.filter((entry) => entry.name === opened);
    if (used.length === 0) return false;
    // The entry has several versions of its key; which of them decrypted the ticket is not known.
    if (named.length > 0) return used.every((entry) => isAmong(entry, named));
    return source.pinned || usable.every((entry) => isAmong(entry, used));
  } finally {
    for (const { key } of entries) key.fill(0);
  }
}

/** Lower case for A to Z only, as in all comparisons of names. */
function fold(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
}

function isAmong({ key }: Entry, entries: readonly Entry[]): boolean {
  return entries.some((other) =>
    key.length === other.key.length && key.every((byte, at) => byte === other.key[at])
  );
}

/** Adds every entry with its key to `entries`; returns false where the table cannot be read to its end. */
function readKeyTable(gss: Gss, keytab: string | undefined, entries: Entry[]): boolean {
  const { call } = gss;
  const slots = new Slots(24);
  const [table, cursor] = [slots.slice(8, 8), slots.slice(16, 8)];
  if (call.krb5_init_context(slots.slice(0, 8)) !== 0) return false;
  const context = slots.u64[0];
  try {
    const found = keytab === undefined
      ? call.krb5_kt_default(context, table)
      : call.krb5_kt_resolve(context, cString(keytab), table);
    if (found !== 0) return false;
    try {
      if (call.krb5_kt_start_seq_get(context, slots.u64[1], cursor) !== 0) return false;
      try {
        let status = 0;
        while (status === 0) status = addEntry(gss, context, slots.u64[1], cursor, entries);
        return status === KRB5_KT_END;
      } finally {
        call.krb5_kt_end_seq_get(context, slots.u64[1], cursor);
      }
    } finally {
      call.krb5_kt_close(context, slots.u64[1]);
    }
  } finally {
    call.krb5_free_context(context);
  }
}

/** Adds the next entry and returns the status of reading it. */
function addEntry(gss: Gss, context: bigint, table: bigint, cursor: Uint8Array, entries: Entry[]): number {
  const { call, memory, build } = gss;
  const layout = build.layouts.keytabEntry;
  const slots = new Slots(layout.size + 8);
  const bytes = slots.slice(8, layout.size);
  const next = call.krb5_kt_next_entry(context, table, bytes, cursor);
  if (next !== 0) return next;
  try {
    const { principal, key_enctype, key_length, key_contents } = layout.read(dataView(bytes));
    const named = call.krb5_unparse_name(context, principal, slots.slice(0, 8));
    if (named !== 0) return named;
    try {
      const name = memory.cString(slots.u64[0]);
      entries.push({ name, enctype: key_enctype, key: memory.read(key_contents, key_length) });
      return 0;
    } finally {
      call.krb5_free_unparsed_name(context, slots.u64[0]);
    }
  } finally {
    call.krb5_free_keytab_entry_contents(context, bytes);
  }
}
