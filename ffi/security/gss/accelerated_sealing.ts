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

import { ProtocolError, StateError } from "../../../errors.ts";
import { pinned } from "../../memory/memory.ts";
import { type Enctype, ENCTYPES, USAGE } from "./accelerated_keys.ts";
import { type RecordCrypto, takeConfounder } from "./accelerated_crypto.ts";
import { ChecksumKey, MessageKeys } from "./accelerated_messages.ts";
import { dataView, type Gss } from "./gss.ts";
import { IovSealing } from "./iov_sealing.ts";
import { type ContextKeys, contextKeys, type TypedKey } from "./lucid.ts";
import { SequenceWindow } from "./order.ts";
import { type Opened, Sealing } from "./sealing.ts";

/** The bytes of a token's header, and of a confounder. */
const HEADER = 16;
const CONFOUNDER = 16;
const FLAG = { sentByAcceptor: 1, sealed: 2, acceptorSubkey: 4 } as const;
const WRAP = 0x05;
const MIC = 0x04;
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

/** Which end a direction's records come from, and by which of its keys. */
interface DirectionOptions {
  readonly fromInitiator: boolean;
  readonly acceptorSubkey: boolean;
  /** Whether this end sends them. */
  readonly sends: boolean;
}

/** The keys of one direction, made when they are first needed. */
class Direction {
  readonly type: Enctype;
  readonly flags: number;
  readonly #crypto: RecordCrypto;
  #key: Uint8Array | null;
  readonly #sends: boolean;
  readonly #usage: { readonly seal: number; readonly sign: number };
  #message?: MessageKeys;
  #wrapChecksum?: ChecksumKey;
  #micChecksum?: ChecksumKey;

  constructor(crypto: RecordCrypto, key: TypedKey, options: DirectionOptions) {
    const { fromInitiator, acceptorSubkey, sends } = options;
    this.type = ENCTYPES.get(key.enctype)!;
    this.#crypto = crypto;
    this.#key = key.key;
    this.#sends = sends;
    this.#usage = fromInitiator
      ? { seal: USAGE.initiatorSeal, sign: USAGE.initiatorSign }
      : { seal: USAGE.acceptorSeal, sign: USAGE.acceptorSign };
    this.flags = (fromInitiator ? 0 : FLAG.sentByAcceptor) | (acceptorSubkey ? FLAG.acceptorSubkey : 0);
  }

  get message(): MessageKeys {
    return this.#message ??= new MessageKeys(
      this.#crypto,
      this.type,
      this.#live,
      this.#usage.seal,
      this.#sends,
    );
  }

  /** For records that are signed only. */
  get wrapChecksum(): ChecksumKey {
    return this.#wrapChecksum ??= new ChecksumKey(this.#crypto, this.type, this.#live, this.#usage.seal);
  }

  /** For signatures. */
  get micChecksum(): ChecksumKey {
    return this.#micChecksum ??= new ChecksumKey(this.#crypto, this.type, this.#live, this.#usage.sign);
  }

  /** The key; never the zeros with which it was overwritten. */
  get #live(): Uint8Array {
    if (this.#key === null) throw new StateError("The keys of this context are closed");
    return this.#key;
  }

  close(): void {
    this.#key = null;
    for (const keys of [this.#message, this.#wrapChecksum, this.#micChecksum]) keys?.close();
    this.#message = this.#wrapChecksum = this.#micChecksum = undefined;
  }
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
  readonly #sending: Direction;
  readonly #receiving: Direction;
  /** By the session's key where the acceptor's subkey has replaced it; a peer may still use it. */
  readonly #earlier: Direction;
  readonly #window: SequenceWindow;
  readonly #headerCopy = pinned(HEADER);
  /** The bytes of the next number that is sent. */
  readonly #next = new Uint8Array(8);
  /** Whether the library's place in the order of arriving records is known here. */
  #synchronized: boolean;
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
    const direction = (key: TypedKey, sends: boolean): Direction =>
      new Direction(crypto, key, {
        fromInitiator: keys.initiator === sends,
        acceptorSubkey: key === keys.acceptorSubkey,
        sends,
      });
    const key = keys.acceptorSubkey ?? keys.session;
    this.#sending = direction(key, true);
    this.#receiving = direction(key, false);
    this.#earlier = key === keys.session ? this.#receiving : direction(keys.session, false);
    this.#macBytes = this.#sending.type.macBytes;
    dataView(this.#next).setBigUint64(0, keys.sendSequence, false);
    this.#window = new SequenceWindow(keys.receiveSequence);
    this.#synchronized = !rules.negotiated;
    this.maxOverhead = this.#overhead(rules.encrypts);
  }

  #overhead(encrypt: boolean, macBytes = this.#macBytes): number {
    return HEADER + (encrypt ? CONFOUNDER + HEADER : 0) + macBytes;
  }

  /** The keys by which a token is protected, as its header says. */
  #keysOf(token: Uint8Array): Direction {
    return (token[2] & FLAG.acceptorSubkey) === 0 ? this.#earlier : this.#receiving;
  }

  override seal(plain: Uint8Array, out: Uint8Array, encrypt: boolean): Uint8Array {
    const end = plain.length + this.#overhead(encrypt);
    if (end > out.length) throw new RangeError(`out has ${out.length} bytes; this record needs ${end}`);
    if (end > MAX_RECORD_BYTES) {
      throw new RangeError(`plain has ${plain.length} bytes; one record cannot have so many`);
    }
    const record = out.subarray(0, end);
    const macAt = end - this.#macBytes;
    const flags = this.#sending.flags | (encrypt ? FLAG.sealed : 0);
    if (encrypt) {
      record.set(plain, HEADER + CONFOUNDER);
      takeConfounder(record, HEADER);
      this.#writeHeader(record, macAt - HEADER, WRAP, flags, 0);
      this.#sending.message.seal(record, macAt);
      this.#writeHeader(record, 0, WRAP, flags, 0);
    } else {
      record.set(plain, HEADER);
      this.#writeHeader(record, 0, WRAP, flags, 0);
      const header = record.subarray(0, HEADER);
      this.#sending.wrapChecksum.write(record.subarray(HEADER, macAt), header, record, macAt);
      // Only now: the checksum is of a header without its length.
      record[5] = this.#macBytes;
    }
    this.#sent();
    return record;
  }

  #writeHeader(bytes: Uint8Array, at: number, id: number, flags: number, filler: number): void {
    bytes[at] = id;
    bytes[at + 1] = 0x04;
    bytes[at + 2] = flags;
    bytes[at + 3] = 0xff;
    for (let index = 4; index < 8; index++) bytes[at + index] = filler;
    for (let index = 0; index < 8; index++) bytes[at + 8 + index] = this.#next[index];
  }

  /** Counts a token that is complete. */
  #sent(): void {
    for (let at = 7; at >= 0; at--) {
      this.#next[at]++;
      if (this.#next[at] !== 0) break;
    }
  }

  override open(record: Uint8Array): Opened {
    if (!this.#synchronized) return this.#openBySystem(record, (system) => system.open(record));
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
    return { major: this.#arrived(header), encrypted, plain };
  }

  /** Checks a token's header and returns a copy: opening overwrites it. */
  #header(token: Uint8Array, id: number): Uint8Array {
    if (token.length < HEADER || token[0] !== id || token[1] !== 0x04) throw malformed();
    // Not from this end itself.
    if (((token[2] ^ this.#receiving.flags) & FLAG.sentByAcceptor) !== 0) throw altered();
    if (token[3] !== 0xff) throw malformed();
    const header = this.#headerCopy;
    for (let at = 0; at < HEADER; at++) header[at] = token[at];
    return header;
  }

  /** Returns the status bits for a header that a checksum has verified. */
  #arrived(header: Uint8Array): number {
    const major = this.#window.accept(header);
    return this.#rules.sequence ? major : 0;
  }

  #openBySystem(token: Uint8Array, open: (system: IovSealing) => Opened): Opened {
    const header = idChecked(token);
    const opened = open(this.#system ??= new IovSealing(this.gss, this.context, this.#rules.encrypts));
    return { ...opened, major: this.#arrivedBySystem(opened.major, header) };
  }

  /**
   * Looks at a token that the library has opened, and returns its status bits. The library knows whether SPNEGO ended with
   * a signature; the first token that it finds in order shows which number is next.
   */
  #arrivedBySystem(major: number, header: Uint8Array): number {
    const ahead = BigInt.asUintN(64, dataView(header).getBigUint64(8, false) - this.#keys.receiveSequence);
    if (major === 0 && ahead <= 1n) {
      if (ahead === 1n) {
        const signature = header.slice();
        dataView(signature).setBigUint64(8, this.#keys.receiveSequence, false);
        this.#window.accept(signature);
      }
      this.#window.accept(header);
      this.#synchronized = true;
    }
    return major;
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
    if (!this.#synchronized) {
      return this.#openBySystem(header, (system) => system.openDetached(header, data));
    }
    const encrypted = (idChecked(header)[2] & FLAG.sealed) !== 0;
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
    this.#writeHeader(token, 0, MIC, this.#sending.flags, 0xff);
    this.#sending.micChecksum.write(message, token.subarray(0, HEADER), token, HEADER);
    this.#sent();
    return token;
  }

  override verify(message: Uint8Array, token: Uint8Array): number {
    if (!this.#synchronized) {
      const header = idChecked(token);
      return this.#arrivedBySystem(super.verify(message, token), header);
    }
    const header = this.#header(token, MIC);
    const keys = this.#keysOf(header);
    const filled = header.subarray(4, 8).every((byte) => byte === 0xff);
    if (!filled || token.length !== HEADER + keys.type.macBytes) throw malformed();
    if (!keys.micChecksum.verify(message, header, token, HEADER)) throw altered();
    return this.#arrived(header);
  }

  override close(): void {
    for (const direction of [this.#sending, this.#receiving, this.#earlier]) direction.close();
    for (const { key } of keysOf(this.#keys)) key.fill(0);
  }
}

/** How far a detached record is rotated: what follows the data is moved to its header. */
function detachedRotation(encrypted: boolean, macBytes: number): number {
  return (encrypted ? HEADER : 0) + macBytes;
}

/** Undoes a rotation to the right of what follows the header; the rotation may be longer than that. */
function rotateLeft(record: Uint8Array, count: number): void {
  if (count === 0 || record.length === HEADER) return;
  const bytes = record.subarray(HEADER);
  const rotation = count % bytes.length;
  if (rotation === 0) return;
  // Not by slice(): a Buffer's slice shares its memory.
  const first = pinned(rotation);
  first.set(bytes.subarray(0, rotation));
  bytes.copyWithin(0, rotation);
  bytes.set(first, bytes.length - rotation);
  first.fill(0);
}

/** Whether the header's encrypted copy is at `at`. The rotation is not part of it. */
function isCopy(record: Uint8Array, at: number, header: Uint8Array): boolean {
  for (let index = 0; index < HEADER; index++) {
    if (index !== 6 && index !== 7 && record[at + index] !== header[index]) return false;
  }
  return true;
}

/** Returns a copy of the header of a token of RFC 4121. */
function idChecked(token: Uint8Array): Uint8Array {
  if (token.length < HEADER || (token[0] !== WRAP && token[0] !== MIC) || token[1] !== 0x04) {
    throw malformed();
  }
  const header = pinned(HEADER);
  header.set(token.subarray(0, HEADER));
  return header;
}

function malformed(): ProtocolError {
  return new ProtocolError(
    "malformed",
    "A record was refused: it is not as RFC 4121 describes. It was changed in transit, or is not from this connection",
  );
}

function altered(): ProtocolError {
  return new ProtocolError(
    "altered",
    "A record was refused: its checksum is wrong. It was changed in transit, or is not from this connection",
  );
}
