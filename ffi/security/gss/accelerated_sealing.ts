/**
 * Records of RFC 4121 made by this library, with the context's keys and libcrypto's algorithms. What is accepted and
 * refused is the same as by MIT's library, and so is what is sent, apart from the random confounder.
 *
 * A context either sends all its records in this way or none: the library does not learn which sequence numbers were
 * used here. Records that arrive may be opened by either.
 *
 * @see https://www.rfc-editor.org/rfc/rfc4121#section-4.2
 * @module
 */

import { pinned } from "../../memory/memory.ts";
import { type RecordCrypto, takeConfounder } from "./accelerated_crypto.ts";
import { type Direction, type Directions, directionsOf } from "./accelerated_directions.ts";
import { ENCTYPES } from "./accelerated_keys.ts";
import { dataView, type Gss } from "./gss.ts";
import { IovSealing } from "./iov_sealing.ts";
import { type ContextKeys, contextKeys, type TypedKey } from "./lucid.ts";
import { SharedOrder } from "./order.ts";
import {
  altered,
  CONFOUNDER,
  detachedRotation,
  FLAG,
  HEADER,
  headerOf,
  increment,
  isCopy,
  malformed,
  MIC,
  rotateLeft,
  WRAP,
  writeHeader,
} from "./rfc4121.ts";
import { type Opened, Sealing } from "./sealing.ts";

/** The longest record: libcrypto's lengths have 31 bits. */
const MAX_RECORD_BYTES = 0x7fffffff;

/** What a context has agreed on, as far as its records depend on it. */
export interface AcceleratedRules {
  /** What is sent is encrypted. */
  readonly encrypts: boolean;
  /** The library detects replay and reordering. */
  readonly sequence: boolean;
  /** SPNEGO made the context, and may have ended with a signature, which has a sequence number. */
  readonly negotiated: boolean;
}

/**
 * Returns what protects the records of a Kerberos context by libcrypto; `null` where an encryption type of it is another
 * one, or where libcrypto is not used.
 */
export function acceleratedSealing(
  gss: Gss,
  context: bigint,
  rules: AcceleratedRules,
): AcceleratedSealing | null {
  const crypto = gss.recordCrypto;
  const keys = crypto === null ? null : contextKeys(gss, context);
  if (crypto === null || keys === null) return null;
  const known = ({ enctype, key }: TypedKey): boolean => ENCTYPES.get(enctype)?.keyBytes === key.length;
  if (keysOf(keys).every(known)) return new AcceleratedSealing(gss, context, rules, crypto, keys);
  for (const { key } of keysOf(keys)) key.fill(0);
  return null;
}

function keysOf({ session, acceptorSubkey }: ContextKeys): TypedKey[] {
  return acceptorSubkey === null ? [session] : [session, acceptorSubkey];
}

/** Wraps and unwraps in place, by libcrypto. */
export class AcceleratedSealing extends Sealing {
  readonly #rules: AcceleratedRules;
  readonly #macBytes: number;
  readonly #keys: ContextKeys;
  readonly #directions: Directions;
  readonly #order: SharedOrder;
  readonly #headerCopy = pinned(HEADER);
  /** The bytes of the next number that is sent. */
  readonly #next = new Uint8Array(8);
  #system?: IovSealing;
  override readonly maxOverhead: number;

  constructor(
    gss: Gss,
    context: bigint,
    rules: AcceleratedRules,
    crypto: RecordCrypto,
    keys: ContextKeys,
  ) {
    super(gss, context);
    this.#rules = rules;
    this.#keys = keys;
    this.#directions = directionsOf(crypto, keys);
    this.#macBytes = this.#directions.sending.type.macBytes;
    dataView(this.#next).setBigUint64(0, keys.sendSequence, false);
    this.#order = new SharedOrder(keys.receiveSequence, rules);
    this.maxOverhead = this.#overhead(rules.encrypts);
  }

  #overhead(encrypt: boolean, macBytes = this.#macBytes): number {
    return HEADER + (encrypt ? CONFOUNDER + HEADER : 0) + macBytes;
  }

  /** The keys by which a token is protected, as its header says. */
  #keysOf(token: Uint8Array): Direction {
    const { earlier, receiving } = this.#directions;
    return (token[2] & FLAG.acceptorSubkey) === 0 ? earlier : receiving;
  }

  override seal(plain: Uint8Array, out: Uint8Array, encrypt: boolean): Uint8Array {
    const end = plain.length + this.#overhead(encrypt);
    if (end > out.length) throw new RangeError(`out has ${out.length} bytes; this record needs ${end}`);
    if (end > MAX_RECORD_BYTES) {
      throw new RangeError(`plain has ${plain.length} bytes; one record cannot have so many`);
    }
    const record = out.subarray(0, end);
    const macAt = end - this.#macBytes;
    const { sending } = this.#directions;
    const fields = { id: WRAP, flags: sending.flags | (encrypt ? FLAG.sealed : 0) } as const;
    if (encrypt) {
      record.set(plain, HEADER + CONFOUNDER);
      takeConfounder(record, HEADER);
      writeHeader(record, macAt - HEADER, fields, this.#next);
      sending.message.seal(record, macAt);
      writeHeader(record, 0, fields, this.#next);
    } else {
      record.set(plain, HEADER);
      writeHeader(record, 0, fields, this.#next);
      const header = record.subarray(0, HEADER);
      sending.wrapChecksum.write(record.subarray(HEADER, macAt), header, record, macAt);
      // Only now: the checksum is of a header without its length.
      record[5] = this.#macBytes;
    }
    increment(this.#next);
    return record;
  }

  override open(record: Uint8Array): Opened {
    if (!this.#order.synchronized) return this.#openBySystem(record, (system) => system.open(record));
    const header = this.#header(record, WRAP);
    const keys = this.#keysOf(header);
    const { macBytes } = keys.type;
    const extra = (header[4] << 8) | header[5];
    const encrypted = (header[2] & FLAG.sealed) !== 0;
    const fixed = macBytes + (encrypted ? CONFOUNDER + extra + HEADER : 0);
    const macAt = record.length - macBytes;
    if (record.length < HEADER + fixed || record.length > MAX_RECORD_BYTES) throw malformed();
    rotateLeft(record, (header[6] << 8) | header[7]);
    let plain: Uint8Array;
    if (encrypted) {
      if (!keys.message.open(record, macAt)) throw altered();
      if (!isCopy(record, macAt - HEADER, header)) throw malformed();
      plain = record.subarray(HEADER + CONFOUNDER, macAt - HEADER - extra);
    } else {
      if (extra !== macBytes) throw malformed();
      // The checksum is of a header without its length and rotation.
      header.fill(0, 4, 8);
      plain = record.subarray(HEADER, macAt);
      if (!keys.wrapChecksum.verify(plain, header, record, macAt)) throw altered();
    }
    return { major: this.#order.accept(header), encrypted, plain };
  }

  /** Checks a token's header and returns a copy: opening overwrites it. */
  #header(token: Uint8Array, id: number): Uint8Array {
    if (token.length < HEADER || token[0] !== id || token[1] !== 0x04) throw malformed();
    // Not from this end itself.
    if (((token[2] ^ this.#directions.receiving.flags) & FLAG.sentByAcceptor) !== 0) throw altered();
    if (token[3] !== 0xff) throw malformed();
    const header = this.#headerCopy;
    for (let at = 0; at < HEADER; at++) header[at] = token[at];
    return header;
  }

  #openBySystem(token: Uint8Array, open: (system: IovSealing) => Opened): Opened {
    const header = headerOf(token);
    const opened = open(this.#system ??= new IovSealing(this.gss, this.context, this.#rules.encrypts));
    const major = this.#order.acceptBySystem(opened.major, header);
    // The library opens nothing any more.
    if (this.#order.synchronized) this.#system = undefined;
    return { ...opened, major };
  }

  override sealDetached(data: Uint8Array, encrypt: boolean): Uint8Array {
    const overhead = this.#overhead(encrypt);
    const whole = pinned(data.length + overhead);
    try {
      const record = this.seal(data, whole, encrypt);
      const rotation = detachedRotation(encrypt, this.#macBytes);
      rotateLeft(record, record.length - HEADER - rotation);
      dataView(record).setUint16(6, rotation, false);
      data.set(record.subarray(overhead));
      return record.slice(0, overhead);
    } finally {
      whole.fill(0);
    }
  }

  override openDetached(header: Uint8Array, data: Uint8Array): Opened {
    if (!this.#order.synchronized) {
      return this.#openBySystem(header, (system) => system.openDetached(header, data));
    }
    const encrypted = (headerOf(header)[2] & FLAG.sealed) !== 0;
    const { macBytes } = this.#keysOf(header).type;
    const whole = pinned(header.length + data.length);
    try {
      whole.set(header);
      whole.set(data, header.length);
      // The data is at its place only with this rotation.
      const rotation = detachedRotation(encrypted, macBytes);
      const isPlaced = header.length === this.#overhead(encrypted, macBytes) &&
        dataView(header).getUint16(6, false) === rotation;
      if (!isPlaced) throw malformed();
      const opened = this.open(whole);
      if (opened.plain.length !== data.length) throw malformed();
      data.set(opened.plain);
      return { ...opened, plain: data };
    } finally {
      whole.fill(0);
    }
  }

  override sign(message: Uint8Array): Uint8Array {
    const token = pinned(HEADER + this.#macBytes);
    const { sending } = this.#directions;
    writeHeader(token, 0, { id: MIC, flags: sending.flags }, this.#next);
    sending.micChecksum.write(message, token.subarray(0, HEADER), token, HEADER);
    increment(this.#next);
    return token;
  }

  override verify(message: Uint8Array, token: Uint8Array): number {
    if (!this.#order.synchronized) {
      const header = headerOf(token);
      return this.#order.acceptBySystem(super.verify(message, token), header);
    }
    const header = this.#header(token, MIC);
    const keys = this.#keysOf(header);
    const filled = header.subarray(4, 8).every((byte) => byte === 0xff);
    if (!filled || token.length !== HEADER + keys.type.macBytes) throw malformed();
    if (!keys.micChecksum.verify(message, header, token, HEADER)) throw altered();
    return this.#order.accept(header);
  }

  override close(): void {
    const { sending, receiving, earlier } = this.#directions;
    for (const direction of [sending, receiving, earlier]) direction.close();
    for (const { key } of keysOf(this.#keys)) key.fill(0);
  }
}
