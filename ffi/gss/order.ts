/**
 * The order of Kerberos records where the client asked for no sequence detection, as .NET's NegotiateStream does
 * at EncryptAndSign: an MIT acceptor then detects nothing, so the sequence number in each token's header, which
 * the token's checksum covers, is held against the number the context must see next.
 *
 * @see https://www.rfc-editor.org/rfc/rfc4121#section-4.2.6
 * @module
 */

import { ProtocolError } from "../../errors.ts";
import { GSS_ERROR_MASK } from "../raw/gssapi.ts";
import { dataView, type Gss, Slots } from "./gss.ts";

/** Protocol 1 of the lucid context: RFC 4121 tokens, whose sequence numbers are in the clear. */
const CFX = 1;

/**
 * The sequence number of the first record the peer sends; `null` where the context does not tell or where its
 * tokens hide their numbers (RFC 1964 encryption types).
 */
export function receiveSequence(gss: Gss, context: bigint): bigint | null {
  const slots = new Slots(16);
  const { call, memory, oids, build } = gss;
  const major = call.gss_inquire_sec_context_by_oid(
    slots.slice(0, 4),
    context,
    oids.lucidV1.bytes,
    slots.slice(8, 8),
  );
  if ((major & GSS_ERROR_MASK) !== 0) return null;
  try {
    const set = dataView(memory.read(slots.u64[1], 16));
    const element = build.layouts.buffer.read(dataView(memory.read(set.getBigUint64(8, true), 16)));
    const address = dataView(memory.read(element.value, 8)).getBigUint64(0, true);
    const lucid = build.layouts.lucid.read(dataView(memory.read(address, build.layouts.lucid.size)));
    call.gss_krb5_free_lucid_sec_context(slots.slice(0, 4), address);
    return lucid.version === 1 && lucid.protocol === CFX ? lucid.recv_seq : null;
  } finally {
    call.gss_release_buffer_set(slots.slice(0, 4), slots.slice(8, 8));
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
