/**
 * What MIT's library reports of an established Kerberos context: its token format, sequence numbers and keys. The
 * query returns a copy and does not change the context; `gss_krb5_export_lucid_sec_context`, which deletes it, is not
 * called.
 *
 * @see https://github.com/krb5/krb5/blob/master/src/lib/gssapi/krb5/lucid_context.c
 * @module
 */

import { GSS_ERROR_MASK, type LUCID_V1_FIELDS } from "../../raw/gssapi.ts";
import { pinned } from "../../memory/memory.ts";
import type { Values } from "../../memory/struct.ts";
import { dataView, type Gss, Slots } from "./gss.ts";

/** Protocol 1 of the lucid context: RFC 4121 tokens, whose sequence numbers are not encrypted. */
const CFX = 1;

type Lucid = Values<typeof LUCID_V1_FIELDS>;

/**
 * Returns what `read` returns for the lucid description of a Kerberos context; `null` where the context has none. The
 * keys that it points to are overwritten and freed afterwards.
 */
function describeContext<T>(gss: Gss, context: bigint, read: (lucid: Lucid) => T): T | null {
  const slots = new Slots(16);
  const { call, memory, oids, build } = gss;
  const [minor, set] = [slots.slice(0, 4), slots.slice(8, 8)];
  const major = call.gss_inquire_sec_context_by_oid(minor, context, oids.lucidV1, set);
  if ((major & GSS_ERROR_MASK) !== 0) return null;
  try {
    const [pointer] = gss.buffersOfSet(slots.u64[1]);
    if (pointer === undefined) return null;
    const address = dataView(memory.read(pointer.value, 8)).getBigUint64(0, true);
    try {
      const lucid = build.layouts.lucid.read(dataView(memory.read(address, build.layouts.lucid.size)));
      return lucid.version === 1 ? read(lucid) : null;
    } finally {
      call.gss_krb5_free_lucid_sec_context(minor, address);
    }
  } finally {
    call.gss_release_buffer_set(minor, set);
  }
}

/**
 * Returns the sequence number of the peer's first record; `null` where the context does not report it, or where its
 * tokens encrypt their numbers (RFC 1964 encryption types).
 */
export function receiveSequence(gss: Gss, context: bigint): bigint | null {
  return describeContext(gss, context, ({ protocol, recv_seq }) => protocol === CFX ? recv_seq : null);
}

/** Returns whether the sequence numbers of a context's tokens have 64 bits (RFC 4121) instead of 32. */
export function hasWideSequence(gss: Gss, context: bigint): boolean {
  return describeContext(gss, context, ({ protocol }) => protocol === CFX) ?? false;
}

/** A key with its encryption type; the caller overwrites it. */
export interface TypedKey {
  /** Its encryption type. */
  readonly enctype: number;
  /** Its bytes. */
  readonly key: Uint8Array<ArrayBuffer>;
}

/** What protects the records of a context with RFC 4121 tokens. */
export interface ContextKeys {
  /** Whether this end is the initiator. */
  readonly initiator: boolean;
  /** The key of the session: the ticket's, or the initiator's subkey. */
  readonly session: TypedKey;
  /** The acceptor's subkey, which then replaces the other one; `null` where there is none. */
  readonly acceptorSubkey: TypedKey | null;
  /** The sequence number of the next record that is sent. */
  readonly sendSequence: bigint;
  /** The sequence number of the first record that the peer sends, or of a signature by which SPNEGO ended. */
  readonly receiveSequence: bigint;
}

/** The longest key of any encryption type that exists. */
const MAX_KEY_BYTES = 64;

/** Returns the keys of a context with RFC 4121 tokens; `null` where it has others, or does not report them. */
export function contextKeys(gss: Gss, context: bigint): ContextKeys | null {
  const typedKey = (enctype: number, length: number, data: bigint): TypedKey | null => {
    if (length === 0 || length > MAX_KEY_BYTES) return null;
    const key = pinned(length);
    gss.memory.readInto(data, key);
    return { enctype, key };
  };
  return describeContext(gss, context, (lucid) => {
    if (lucid.protocol !== CFX) return null;
    const session = typedKey(lucid.cfx_key_type, lucid.cfx_key_length, lucid.cfx_key_data);
    const has = lucid.have_acceptor_subkey !== 0;
    const acceptorSubkey = has
      ? typedKey(lucid.acceptor_subkey_type, lucid.acceptor_subkey_length, lucid.acceptor_subkey_data)
      : null;
    if (session === null || (has && acceptorSubkey === null)) {
      session?.key.fill(0);
      return null;
    }
    return {
      initiator: lucid.initiate !== 0,
      session,
      acceptorSubkey,
      sendSequence: lucid.send_seq,
      receiveSequence: lucid.recv_seq,
    };
  });
}
