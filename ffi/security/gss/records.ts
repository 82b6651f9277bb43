/**
 * Records of an established GSS-API context. Each record is checked for changes, encryption and order.
 *
 * @module
 */

import type { Unwrapped } from "../../../contract.ts";
import { ProtocolError, StateError } from "../../../errors.ts";
import { GSS_S } from "../../raw/gssapi.ts";
import { RecordCounter } from "../record_counter.ts";
import { type EncryptionRules, requireEncryption } from "../context.ts";
import { acceleratedSealing } from "./accelerated_sealing.ts";
import { BufferSealing } from "./buffer_sealing.ts";
import { type Gss, Slots } from "./gss.ts";
import { IovSealing } from "./iov_sealing.ts";
import { hasWideSequence, receiveSequence } from "./lucid.ts";
import { KerberosOrder } from "./order.ts";
import type { Opened, Sealing } from "./sealing.ts";

/** The rules for records. */
export interface RecordRules extends EncryptionRules {
  /** The mechanism is Kerberos. */
  readonly kerberos: boolean;
  /** The library itself detects replay and reordering. */
  readonly sequence: boolean;
  /** SPNEGO made the context. */
  readonly negotiated: boolean;
  /** Records may be protected by libcrypto instead of the library: they are as RFC 4121 describes. */
  readonly accelerate: boolean;
}

const AT = { minor: 0, set: 8, length: 16 } as const;

/** Wraps and unwraps the records of one context. */
export class GssRecords {
  /** Whether libcrypto protects the records, instead of the library. */
  readonly accelerated: boolean;
  readonly #gss: Gss;
  readonly #context: bigint;
  readonly #rules: RecordRules;
  #slotsMade?: Slots;
  #made?: Sealing;
  readonly #order: KerberosOrder | null;
  readonly #sent: RecordCounter;
  readonly #received: RecordCounter;

  constructor(gss: Gss, context: bigint, rules: RecordRules) {
    this.#gss = gss;
    this.#context = context;
    this.#rules = rules;
    const receive = rules.sequence || !rules.kerberos ? null : receiveSequence(gss, context);
    this.#order = receive === null ? null : new KerberosOrder(receive);
    const wide = (): boolean => hasWideSequence(gss, context);
    this.#sent = new RecordCounter(wide, gss.maxRecords);
    this.#received = new RecordCounter(wide, gss.maxRecords);
    const accelerated = rules.kerberos && rules.accelerate ? acceleratedSealing(gss, context, rules) : null;
    this.accelerated = accelerated !== null;
    if (accelerated !== null) this.#made = accelerated;
  }

  get #slots(): Slots {
    return this.#slotsMade ??= new Slots(AT.length);
  }

  get #minor(): Uint8Array {
    return this.#slots.slice(AT.minor, 4);
  }

  /** The library's is made on first use, with the sizes that the mechanism adds: many protocols only authenticate. */
  get #sealing(): Sealing {
    return this.#made ??= this.#rules.kerberos
      ? new IovSealing(this.#gss, this.#context, this.#rules.encrypts)
      : new BufferSealing(this.#gss, this.#context, this.#rules.encrypts);
  }

  /** The most bytes that {@linkcode GssRecords.wrap} adds. */
  get maxOverhead(): number {
    return this.#sealing.maxOverhead;
  }

  /** Whether a replayed, missing or reordered record is refused. */
  get ordered(): boolean {
    return this.#rules.sequence || this.#order !== null;
  }

  /** Copies `plain` to `out`, wraps it there and returns the record. */
  wrap(plain: Uint8Array, out: Uint8Array): Uint8Array {
    requireEncryption(this.#rules);
    this.#sent.take();
    return this.#sealing.seal(plain, out, this.#rules.encrypts);
  }

  /** Like {@linkcode GssRecords.wrap}, but signs without encrypting. */
  wrapUnencrypted(plain: Uint8Array, out: Uint8Array): Uint8Array {
    this.#sent.take();
    return this.#sealing.seal(plain, out, false);
  }

  /** Wraps `data` in place; returns its header, which is sent separately. */
  wrapDetached(data: Uint8Array): Uint8Array {
    requireEncryption(this.#rules);
    this.#sent.take();
    return this.#sealing.sealDetached(data, this.#rules.encrypts);
  }

  /** Returns the most bytes of data whose record has at most `recordBytes` bytes. */
  wrapSizeLimit(recordBytes: number, encrypt: boolean): number {
    return this.#sealing.sizeLimit(recordBytes, encrypt);
  }

  /** Verifies and opens `record` in place. */
  unwrap(record: Uint8Array): Uint8Array {
    return this.#encrypted(this.unwrapAny(record));
  }

  /** Verifies and opens `record` in place, encrypted or only signed. */
  unwrapAny(record: Uint8Array): Unwrapped {
    // The header is read first: opening changes it.
    return this.#open(record, () => this.#sealing.open(record));
  }

  /** Verifies and opens `data` in place; `header` was sent separately. */
  unwrapDetached(header: Uint8Array, data: Uint8Array): Uint8Array {
    return this.#encrypted(this.#open(header, () => this.#sealing.openDetached(header, data)));
  }

  #open(header: Uint8Array, open: () => Opened): Unwrapped {
    this.#received.take();
    const sequence = this.#order?.read(header);
    const { major, encrypted, plain } = open();
    this.#accept(major, sequence);
    return { data: plain, encrypted };
  }

  #encrypted({ data, encrypted }: Unwrapped): Uint8Array {
    if (!this.#rules.mustBeEncrypted || encrypted) return data;
    throw new ProtocolError(
      "not-encrypted",
      "The peer sent a record that is signed but not encrypted; the record was refused",
    );
  }

  #accept(major: number, sequence: bigint | undefined): void {
    refuseDisorder(major);
    if (sequence !== undefined) this.#order!.accept(sequence);
  }

  /** Returns a signature over `message`. */
  sign(message: Uint8Array): Uint8Array {
    this.#sent.take();
    return this.#sealing.sign(message);
  }

  /** Verifies that `signature` is the peer's over `message`; throws where it is not. */
  verify(message: Uint8Array, signature: Uint8Array): void {
    this.#received.take();
    const sequence = this.#order?.read(signature);
    this.#accept(this.#sealing.verify(message, signature), sequence);
  }

  /** Returns a copy of the session key; the library's own copy is overwritten. */
  sessionKey(): Uint8Array {
    const { call, memory, oids } = this.#gss;
    const set = this.#slots.slice(AT.set, 8);
    const major = call.gss_inquire_sec_context_by_oid(this.#minor, this.#context, oids.sessionKey, set);
    this.#gss.check("gss_inquire_sec_context_by_oid", major, this.#slots.u32[0], "read the session key");
    try {
      const [first] = this.#gss.buffersOfSet(this.#slots.u64[AT.set / 8]);
      if (first === undefined) throw new StateError("The mechanism does not return its session key");
      const key = memory.read(first.value, first.length);
      memory.write(first.value, new Uint8Array(first.length));
      return key;
    } finally {
      call.gss_release_buffer_set(this.#minor, set);
    }
  }

  /** Overwrites the keys that are held besides the context. */
  close(): void {
    this.#made?.close();
  }
}

/** Refuses records by the supplementary status bits, which the library does not treat as errors. */
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
