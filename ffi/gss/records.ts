/**
 * Records of an established GSS-API context: sealed and opened in place, every one of them checked for change,
 * encryption and order.
 *
 * @module
 */

import {
  AuthenticationError,
  type NativeError,
  ProtocolError,
  SecurityRequirementError,
  StateError,
} from "../../errors.ts";
import { GSS_ERROR_MASK, GSS_S, IOV_TYPE } from "../raw/gssapi.ts";
import { pinned } from "../memory.ts";
import { RecordCounter } from "./counter.ts";
import { dataView, type Gss, Slots } from "./gss.ts";
import { hasWideSequence, KerberosOrder, receiveSequence } from "./order.ts";
import type { Layouts } from "./structs.ts";

/** What records must be. */
export interface RecordRules {
  /** The mechanism is Kerberos. */
  readonly kerberos: boolean;
  /** Encrypt what is sent. */
  readonly encrypts: boolean;
  /** Refuse what arrives without encryption. */
  readonly mustBeEncrypted: boolean;
  /** The library itself detects replay and reordering. */
  readonly sequence: boolean;
}

const AT = { minor: 0, confidential: 4, token: 8, set: 24, length: 32 } as const;
const IOV = { header: 0, data: 1, padding: 2, trailer: 3 } as const;

/** The lengths a mechanism adds, where they do not depend on the message. */
interface Sizes {
  readonly header: number;
  readonly padding: number;
  readonly trailer: number;
}

/** Seals and opens the records of one context. */
export class GssRecords {
  readonly #gss: Gss;
  readonly #context: bigint;
  readonly #rules: RecordRules;
  readonly #slots = new Slots(AT.length);
  readonly #layout: Layouts["iov"];
  readonly #iov: Uint8Array<ArrayBuffer>;
  readonly #iovView: DataView;
  readonly #order: KerberosOrder | null;
  readonly #sent: RecordCounter;
  readonly #received: RecordCounter;
  /** `null`: they depend on the message and are asked for each time. */
  readonly #fixed: Sizes | null;
  /** The most bytes that {@linkcode GssRecords.wrap} adds. */
  readonly maxOverhead: number;

  constructor(gss: Gss, context: bigint, rules: RecordRules) {
    this.#gss = gss;
    this.#context = context;
    this.#rules = rules;
    this.#layout = gss.build.layouts.iov;
    this.#iov = pinned(this.#layout.size * 4);
    this.#iovView = dataView(this.#iov);
    const receive = rules.sequence || !rules.kerberos ? null : receiveSequence(gss, context);
    this.#order = receive === null ? null : new KerberosOrder(receive);
    const wide = (): boolean => hasWideSequence(gss, context);
    this.#sent = new RecordCounter(wide, gss.maxRecords);
    this.#received = new RecordCounter(wide, gss.maxRecords);
    const odd = this.#sizes(1);
    const even = this.#sizes(4096);
    const fixed = odd.padding === 0 && even.padding === 0 && odd.header === even.header &&
      odd.trailer === even.trailer;
    this.#fixed = fixed ? even : null;
    // Block ciphers pad by one block at most; no mechanism has one of over 64 bytes.
    this.maxOverhead = even.header + even.trailer + (fixed ? 0 : 64);
  }

  /** Whether a replayed, missing or reordered record is refused. */
  get ordered(): boolean {
    return this.#rules.sequence || this.#order !== null;
  }

  /** Written by hand: this is the one place where the general writer's cost would show. */
  #entry(index: number, type: number, length: number, value: bigint): void {
    const at = index * this.#layout.size;
    this.#iovView.setUint32(at, type, true);
    this.#iovView.setBigUint64(at + this.#layout.offsets.length, BigInt(length), true);
    this.#iovView.setBigUint64(at + this.#layout.offsets.value, value, true);
  }

  #entryLength(index: number): number {
    return Number(this.#iovView.getBigUint64(index * this.#layout.size + this.#layout.offsets.length, true));
  }

  #entryValue(index: number): bigint {
    return this.#iovView.getBigUint64(index * this.#layout.size + this.#layout.offsets.value, true);
  }

  #sizes(length: number): Sizes {
    this.#entry(IOV.header, IOV_TYPE.HEADER, 0, 0n);
    this.#entry(IOV.data, IOV_TYPE.DATA, length, 0n);
    this.#entry(IOV.padding, IOV_TYPE.PADDING, 0, 0n);
    this.#entry(IOV.trailer, IOV_TYPE.TRAILER, 0, 0n);
    const confidential = this.#rules.encrypts ? 1 : 0;
    const major = this.#gss.call.gss_wrap_iov_length(
      this.#minor,
      this.#context,
      confidential,
      0,
      this.#confidential,
      this.#iov,
      4,
    );
    this.#gss.check("gss_wrap_iov_length", major, this.#slots.u32[0], "measure a record");
    return {
      header: this.#entryLength(IOV.header),
      padding: this.#entryLength(IOV.padding),
      trailer: this.#entryLength(IOV.trailer),
    };
  }

  readonly #minor: Uint8Array = this.#slots.slice(AT.minor, 4);
  readonly #confidential: Uint8Array = this.#slots.slice(AT.confidential, 4);

  /** Copies `plain` into `out` and seals it there; returns the record. */
  wrap(plain: Uint8Array, out: Uint8Array): Uint8Array {
    const { encrypts, mustBeEncrypted } = this.#rules;
    if (mustBeEncrypted && !encrypts) {
      throw new SecurityRequirementError(
        "confidentiality",
        "signed only",
        "Encryption is required and the peer did not agree to it; nothing was sent",
      );
    }
    this.#sent.take();
    const sizes = this.#fixed ?? this.#sizes(plain.length);
    const start = this.#gss.memory.addressOf(out);
    const dataAt = sizes.header;
    const paddingAt = dataAt + plain.length;
    const trailerAt = paddingAt + sizes.padding;
    const end = trailerAt + sizes.trailer;
    if (end > out.length) throw new RangeError(`out has ${out.length} bytes; this record needs ${end}`);
    out.set(plain, dataAt);
    this.#entry(IOV.header, IOV_TYPE.HEADER, sizes.header, start);
    this.#entry(IOV.data, IOV_TYPE.DATA, plain.length, start + BigInt(dataAt));
    this.#entry(IOV.padding, IOV_TYPE.PADDING, sizes.padding, start + BigInt(paddingAt));
    this.#entry(IOV.trailer, IOV_TYPE.TRAILER, sizes.trailer, start + BigInt(trailerAt));
    this.#slots.u32[1] = 0;
    const major = this.#gss.call.gss_wrap_iov(
      this.#minor,
      this.#context,
      encrypts ? 1 : 0,
      0,
      this.#confidential,
      this.#iov,
      4,
    );
    if ((major & GSS_ERROR_MASK) !== 0) throw this.#sealFailure("gss_wrap_iov", major);
    const moved = this.#entryLength(IOV.header) !== sizes.header ||
      this.#entryLength(IOV.trailer) !== sizes.trailer ||
      this.#entryLength(IOV.padding) !== sizes.padding;
    if (moved || (encrypts && this.#slots.u32[1] === 0)) {
      throw new ProtocolError(
        "not-encrypted",
        "Cannot seal a record: gss_wrap_iov did not do what it announced; nothing was sent",
      );
    }
    return out.subarray(0, end);
  }

  /** Checks and opens `record` in place. */
  unwrap(record: Uint8Array): Uint8Array {
    const { call, memory } = this.#gss;
    this.#received.take();
    // The header is read first: opening turns it over.
    const sequence = this.#order?.read(record);
    const start = memory.addressOf(record);
    this.#entry(0, IOV_TYPE.STREAM, record.length, start);
    this.#entry(1, IOV_TYPE.DATA, 0, 0n);
    this.#slots.u32[1] = 0;
    const major = call.gss_unwrap_iov(this.#minor, this.#context, this.#confidential, null, this.#iov, 2);
    if ((major & GSS_ERROR_MASK) !== 0) throw this.#openFailure("gss_unwrap_iov", major);
    refuseDisorder(major);
    if (sequence !== undefined) this.#order!.accept(sequence);
    if (this.#rules.mustBeEncrypted && this.#slots.u32[1] === 0) {
      throw new ProtocolError(
        "not-encrypted",
        "The peer sent a record that is signed but not encrypted; it was refused",
      );
    }
    const at = Number(this.#entryValue(1) - start);
    const length = this.#entryLength(1);
    if (length === 0) return record.subarray(0, 0);
    if (at < 0 || at + length > record.length) {
      throw new ProtocolError(
        "malformed",
        "Cannot open a record: gss_unwrap_iov left the plain text outside of it",
      );
    }
    return record.subarray(at, at + length);
  }

  /** A signature over `message`. */
  sign(message: Uint8Array): Uint8Array {
    const { build, call } = this.#gss;
    this.#sent.take();
    const token = this.#slots.slice(AT.token, 16);
    token.fill(0);
    const copy = pinned(message.length);
    copy.set(message);
    const major = call.gss_get_mic(this.#minor, this.#context, 0, build.buffer(copy), token);
    if ((major & GSS_ERROR_MASK) !== 0) throw this.#sealFailure("gss_get_mic", major);
    return this.#gss.takeBuffer(token);
  }

  /** Throws unless `signature` is the peer's over `message`. */
  verify(message: Uint8Array, signature: Uint8Array): void {
    const { build, call } = this.#gss;
    this.#received.take();
    const copies = [message, signature].map((bytes) => {
      const copy = pinned(bytes.length);
      copy.set(bytes);
      return copy;
    });
    const [text, token] = copies.map((copy) => build.buffer(copy));
    const sequence = this.#order?.read(copies[1]);
    const major = call.gss_verify_mic(this.#minor, this.#context, text, token, null);
    if ((major & GSS_ERROR_MASK) !== 0) throw this.#openFailure("gss_verify_mic", major);
    refuseDisorder(major);
    if (sequence !== undefined) this.#order!.accept(sequence);
  }

  /** The session key; the library's copy of it is overwritten. */
  sessionKey(): Uint8Array {
    const { call, memory, oids } = this.#gss;
    const set = this.#slots.slice(AT.set, 8);
    this.#slots.u64[AT.set / 8] = 0n;
    const major = call.gss_inquire_sec_context_by_oid(this.#minor, this.#context, oids.sessionKey, set);
    this.#gss.check("gss_inquire_sec_context_by_oid", major, this.#slots.u32[0], "read the session key");
    try {
      const first = this.#gss.firstOfSet(this.#slots.u64[AT.set / 8]);
      if (first === null) throw new StateError("The mechanism does not give its session key");
      const key = memory.read(first.value, first.length);
      memory.write(first.value, new Uint8Array(first.length));
      return key;
    } finally {
      call.gss_release_buffer_set(this.#minor, set);
    }
  }

  #sealFailure(fn: string, major: number): Error {
    return this.#gss.failure(fn, major, this.#slots.u32[0], "protect a record");
  }

  /** What the routine error of a failed opening means; the peer, not this end, is at fault. */
  #openFailure(fn: string, major: number): Error {
    const failure = this.#gss.failure(fn, major, this.#slots.u32[0], "open a record");
    if (failure instanceof AuthenticationError && failure.reason === "context-expired") return failure;
    const native = failure.cause as NativeError;
    const damaged = native.codeName === "GSS_S_DEFECTIVE_TOKEN";
    return new ProtocolError(
      damaged ? "malformed" : "altered",
      `A record was refused: ${native.message}. It was changed on the way, or is not from this connection`,
      { cause: native },
    );
  }
}

/** Refuses what the supplementary bits tell, none of which is an error to the library. */
function refuseDisorder(major: number): void {
  if (major & (GSS_S.DUPLICATE_TOKEN | GSS_S.OLD_TOKEN)) {
    throw new ProtocolError("replayed", "A record arrived a second time; it was refused");
  }
  if (major & GSS_S.UNSEQ_TOKEN) {
    throw new ProtocolError("out-of-order", "A record arrived out of order; it was refused");
  }
  if (major & GSS_S.GAP_TOKEN) {
    throw new ProtocolError("gap", "A record before this one is missing; it was refused");
  }
}
