/**
 * Checks the order of Kerberos records where the client did not request sequence detection, as .NET's NegotiateStream
 * does at EncryptAndSign. An MIT acceptor then detects nothing, so the sequence number in each token's header, which
 * the token's checksum covers, is compared with the next expected number.
 *
 * @see https://www.rfc-editor.org/rfc/rfc4121#section-4.2.6
 * @module
 */

import { ProtocolError } from "../../../errors.ts";
import { GSS_ERROR_MASK, type LUCID_V1_FIELDS } from "../../raw/gssapi.ts";
import type { Values } from "../../memory/struct.ts";
import { dataView, type Gss, Slots } from "./gss.ts";

/** Protocol 1 of the lucid context: RFC 4121 tokens, whose sequence numbers are not encrypted. */
const CFX = 1;

/**
 * Returns the sequence number of the peer's first record; `null` where the context does not report it, or where its
 * tokens encrypt their numbers (RFC 1964 encryption types).
 */
export function receiveSequence(gss: Gss, context: bigint): bigint | null {
  const lucid = describeContext(gss, context);
  return lucid !== null && lucid.protocol === CFX ? lucid.recv_seq : null;
}

/** Returns whether the sequence numbers of a context's tokens have 64 bits (RFC 4121) instead of 32. */
export function hasWideSequence(gss: Gss, context: bigint): boolean {
  return describeContext(gss, context)?.protocol === CFX;
}

type Lucid = Values<typeof LUCID_V1_FIELDS>;

/**
 * Returns the lucid description of a Kerberos context, which does not change the context; `null` where it has none.
 */
function describeContext(gss: Gss, context: bigint): Lucid | null {
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
      return lucid.version === 1 ? lucid : null;
    } finally {
      // It contains keys; the library overwrites them.
      call.gss_krb5_free_lucid_sec_context(minor, address);
    }
  } finally {
    call.gss_release_buffer_set(minor, set);
  }
}

/** Compares each record's sequence number with the next expected one. */
export class KerberosOrder {
  readonly #first: bigint;
  #next: bigint;

  constructor(first: bigint) {
    this.#first = first;
    this.#next = first;
  }

  /** Returns the sequence number in an RFC 4121 token's header. It is not verified yet. */
  read(token: Uint8Array): bigint {
    const wrap = token[0] === 0x05 && token[1] === 0x04;
    const mic = token[0] === 0x04 && token[1] === 0x04;
    if (token.length < 16 || !(wrap || mic)) {
      throw new ProtocolError("malformed", "A record is not an RFC 4121 token; it was refused");
    }
    return dataView(token).getBigUint64(8, false);
  }

  /** Accepts a number that the token's checksum has verified. */
  accept(sequence: bigint): void {
    if (sequence === this.#next) {
      this.#next = BigInt.asUintN(64, this.#next + 1n);
      return;
    }
    const seen = BigInt.asUintN(64, sequence - this.#first) < BigInt.asUintN(64, this.#next - this.#first);
    throw seen
      ? new ProtocolError("replayed", "A record arrived a second time; it was refused")
      : new ProtocolError("gap", "A record before this one is missing; it was refused");
  }
}
