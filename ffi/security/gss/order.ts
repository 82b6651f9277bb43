/**
 * Checks the order of Kerberos records by the sequence number in each token's header, which the token's checksum
 * covers: as MIT's library does where sequence detection was agreed on, and more strictly where it was not.
 *
 * @see https://www.rfc-editor.org/rfc/rfc4121#section-4.2.6
 * @module
 */

import { ProtocolError } from "../../../errors.ts";
import { GSS_S } from "../../raw/gssapi.ts";
import { dataView } from "./gss.ts";
import { increment } from "./rfc4121.ts";

/**
 * The sequence numbers that have arrived, with the results of MIT's library where both replay and sequence detection
 * are agreed on: the 64 numbers before the highest one are remembered.
 *
 * @see https://github.com/krb5/krb5/blob/master/src/lib/gssapi/generic/util_seqstate.c
 */
export class SequenceWindow {
  readonly #base: bigint;
  /** One more than the highest number that has arrived; relative to the base, like every number here. */
  #next = 0n;
  /** Bit n is set where number `#next - 1 - n` has arrived. */
  #arrived = 0n;
  /** The bytes of the next number in a token, and how many tokens had them that are not in `#next` yet. */
  readonly #expected = new Uint8Array(8);
  #inOrder = 0;

  /** @param base the first number. */
  constructor(base: bigint) {
    this.#base = base;
    dataView(this.#expected).setBigUint64(0, base, false);
  }

  /**
   * Stores the number in a header that a checksum has verified, and returns the supplementary bits of a status; 0: it is
   * in order.
   */
  accept(header: Uint8Array): number {
    const expected = this.#expected;
    for (let at = 0; at < 8; at++) {
      if (header[8 + at] !== expected[at]) return this.#acceptOther(dataView(header).getBigUint64(8, false));
    }
    // The usual case, without large integers.
    this.#inOrder++;
    increment(expected);
    return 0;
  }

  #acceptOther(sequence: bigint): number {
    const bits = this.#acceptNumber(BigInt.asUintN(64, sequence - this.#base));
    dataView(this.#expected).setBigUint64(0, this.#base + this.#next, false);
    return bits;
  }

  #acceptNumber(relative: bigint): number {
    const inOrder = BigInt(this.#inOrder);
    this.#inOrder = 0;
    this.#next = BigInt.asUintN(64, this.#next + inOrder);
    const count = inOrder > 64n ? 64n : inOrder;
    this.#arrived = BigInt.asUintN(64, (this.#arrived << count) | ((1n << count) - 1n));
    // Not the next number itself: that is the expected one.
    if (relative > this.#next) {
      const skipped = relative - this.#next;
      this.#arrived = skipped > 62n ? 1n : BigInt.asUintN(64, (this.#arrived << (skipped + 1n)) | 1n);
      this.#next = relative + 1n;
      return GSS_S.GAP_TOKEN;
    }
    const back = this.#next - relative;
    if (back > 64n) return GSS_S.UNSEQ_TOKEN;
    const bit = 1n << (back - 1n);
    if ((this.#arrived & bit) !== 0n) return GSS_S.DUPLICATE_TOKEN;
    this.#arrived |= bit;
    return GSS_S.UNSEQ_TOKEN;
  }
}

/** The order of records that either the library or libcrypto opens. */
export class SharedOrder {
  readonly #first: bigint;
  readonly #window: SequenceWindow;
  readonly #detects: boolean;
  #synchronized: boolean;

  /**
   * @param first the number of the first record, or of a signature by which SPNEGO ended.
   * @param rules whether the library detects replay and reordering, and whether SPNEGO made the context.
   */
  constructor(first: bigint, rules: { readonly sequence: boolean; readonly negotiated: boolean }) {
    this.#first = first;
    this.#window = new SequenceWindow(first);
    this.#detects = rules.sequence;
    this.#synchronized = !rules.negotiated;
  }

  /** Whether the number that the library expects next is known here. Until then, the library opens what arrives. */
  get synchronized(): boolean {
    return this.#synchronized;
  }

  /** Returns the status bits for a header that a checksum has verified here. */
  accept(header: Uint8Array): number {
    const major = this.#window.accept(header);
    return this.#detects ? major : 0;
  }

  /**
   * Looks at the header of a token that the library has opened with the status `major`, which is returned. The library
   * knows whether SPNEGO ended with a signature; the first token that it finds in order shows which number is next.
   */
  acceptBySystem(major: number, header: Uint8Array): number {
    const ahead = BigInt.asUintN(64, dataView(header).getBigUint64(8, false) - this.#first);
    if (major === 0 && ahead <= 1n) {
      if (ahead === 1n) {
        const signature = header.slice();
        dataView(signature).setBigUint64(8, this.#first, false);
        this.#window.accept(signature);
      }
      this.#window.accept(header);
      this.#synchronized = true;
    }
    return major;
  }
}

/**
 * Compares each record's sequence number with the next expected one: for contexts whose client did not request sequence
 * detection, as .NET's NegotiateStream does at EncryptAndSign. An MIT acceptor then detects nothing.
 */
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
