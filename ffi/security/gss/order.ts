/**
 * The order of Kerberos records where the client asked for no sequence detection, as .NET's NegotiateStream does
 * at EncryptAndSign: an MIT acceptor then detects nothing, so the sequence number in each token's header, which
 * the token's checksum covers, is held against the number the context must see next.
 *
 * @see https://www.rfc-editor.org/rfc/rfc4121#section-4.2.6
 * @module
 */

import { ProtocolError } from "../../../errors.ts";
import { GSS_ERROR_MASK, type LUCID_V1_FIELDS } from "../../raw/gssapi.ts";
import type { Values } from "../../memory/struct.ts";
import { dataView, type Gss, Slots } from "./gss.ts";

/** Protocol 1 of the lucid context: RFC 4121 tokens, whose sequence numbers are in the clear. */
const CFX = 1;

/**
 * The sequence number of the first record the peer sends; `null` where the context does not tell or where its
 * tokens hide their numbers (RFC 1964 encryption types).
 */
export function receiveSequence(gss: Gss, context: bigint): bigint | null {
  const lucid = describeContext(gss, context);
  return lucid !== null && lucid.protocol === CFX ? lucid.recv_seq : null;
}

/** Whether the numbers of a context's tokens have 64 bits (RFC 4121) instead of 32. */
export function hasWideSequence(gss: Gss, context: bigint): boolean {
  return describeContext(gss, context)?.protocol === CFX;
}

type Lucid = Values<typeof LUCID_V1_FIELDS>;

/** The lucid description of a Kerberos context, which stays as it is; `null` where it has none. */
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
      // It holds keys; the library overwrites them.
      call.gss_krb5_free_lucid_sec_context(minor, address);
    }
  } finally {
    call.gss_release_buffer_set(minor, set);
  }
}

/** Holds each record's sequence number against the one that must come next. */
export class KerberosOrder {
  readonly #first: bigint;
  #next: bigint;

  constructor(first: bigint) {
    this.#first = first;
    this.#next = first;
  }

  /** The number in an RFC 4121 token's header; it is not yet proved to be the peer's. */
  read(token: Uint8Array): bigint {
    const wrap = token[0] === 0x05 && token[1] === 0x04;
    const mic = token[0] === 0x04 && token[1] === 0x04;
    if (token.length < 16 || !(wrap || mic)) {
      throw new ProtocolError("malformed", "A record is no RFC 4121 token; it was refused");
    }
    return dataView(token).getBigUint64(8, false);
  }

  /** Call it once the token's checksum has proved the number. */
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
