/**
 * Records of an established SSPI context, laid out as Windows puts them on the wire: TOKEN, DATA, PADDING.
 *
 * @module
 */

import type { Unwrapped } from "../../../contract.ts";
import { ProtocolError, StateError } from "../../../errors.ts";
import { type Memory, pinned } from "../../memory/memory.ts";
import { MemoryBlock } from "../../memory/block.ts";
import {
  SECBUFFER,
  SECPKG_ATTR,
  SecPkgContext_SessionKey,
  SecPkgContext_Sizes,
  SECQOP_WRAP_NO_ENCRYPT,
} from "../../raw/secur32.ts";
import { RecordCounter } from "../record_counter.ts";
import { type EncryptionRules, requireEncryption } from "../context.ts";
import { Buffers, type Sspi } from "./sspi.ts";

/**
 * The least room given to a record's token. A failed EncryptMessage may have used up a sequence number, so the room
 * must be right the first time; some systems announce less than they use.
 */
const TOKEN_ROOM = 128;
/** A ULONG: what DecryptMessage says of a record's protection. */
const QOP_BYTES = 4;

function twoBuffers(memory: Memory): Buffers {
  return new Buffers(new MemoryBlock(memory, [Buffers.size(2)]), 2);
}

/** Seals and opens the records of one context. */
export class SspiRecords {
  readonly #sspi: Sspi;
  readonly #context: Uint8Array;
  readonly #rules: EncryptionRules;
  readonly #sent: RecordCounter;
  readonly #received: RecordCounter;
  readonly #seal: Buffers;
  readonly #open: Buffers;
  readonly #qop: Uint8Array;
  readonly #qopView: DataView;
  readonly #tokenRoom: number;
  readonly #padding: number;
  readonly #maxSignature: number;
  /** The most bytes that {@linkcode SspiRecords.wrap} adds. */
  readonly maxOverhead: number;

  /** The parts that it takes of a block. */
  static readonly parts: readonly number[] = [Buffers.size(3), Buffers.size(2), QOP_BYTES];

  /**
   * Those of `context`, in `block`, which has room for {@linkcode SspiRecords.parts}.
   *
   * @throws StateError where the package does not tell its sizes.
   */
  constructor(sspi: Sspi, context: Uint8Array, rules: EncryptionRules, block: MemoryBlock) {
    this.#sspi = sspi;
    this.#context = context;
    this.#rules = rules;
    // No package tells how wide its numbers are; 32 bits is the least there is.
    this.#sent = new RecordCounter(() => false, sspi.maxRecords);
    this.#received = new RecordCounter(() => false, sspi.maxRecords);
    const sizes = sspi.attribute(context, SECPKG_ATTR.SIZES, SecPkgContext_Sizes);
    if (sizes === null) throw new StateError("The security package does not tell the sizes of its records");
    this.#tokenRoom = Math.max(sizes.cbSecurityTrailer, TOKEN_ROOM);
    this.#padding = sizes.cbBlockSize;
    this.#maxSignature = Math.max(sizes.cbMaxSignature, TOKEN_ROOM);
    this.maxOverhead = this.#tokenRoom + this.#padding;
    this.#seal = new Buffers(block, 3);
    this.#open = new Buffers(block, 2);
    this.#qop = block.take(QOP_BYTES).bytes;
    this.#qopView = new DataView(this.#qop.buffer, this.#qop.byteOffset);
  }

  /** Copies `plain` into `out` and seals it there; returns the record. */
  wrap(plain: Uint8Array, out: Uint8Array): Uint8Array {
    requireEncryption(this.#rules);
    return this.#wrap(plain, out, this.#rules.encrypts);
  }

  /** As {@linkcode SspiRecords.wrap}, signed and not encrypted. */
  wrapUnencrypted(plain: Uint8Array, out: Uint8Array): Uint8Array {
    return this.#wrap(plain, out, false);
  }

  /** The most bytes of data whose record has at most `recordBytes` bytes; of either kind, the sizes being one. */
  wrapSizeLimit(recordBytes: number): number {
    return Math.max(0, recordBytes - this.maxOverhead);
  }

  #wrap(plain: Uint8Array, out: Uint8Array, encrypt: boolean): Uint8Array {
    this.#sent.take();
    const { memory } = this.#sspi;
    const room = this.#tokenRoom;
    const start = memory.addressOf(out);
    const dataEnd = room + plain.length;
    out.set(plain, room);
    this.#seal.set(0, SECBUFFER.TOKEN, room, start);
    this.#seal.set(1, SECBUFFER.DATA, plain.length, start + BigInt(room));
    this.#seal.set(2, SECBUFFER.PADDING, this.#padding, start + BigInt(dataEnd));
    this.#encrypt(encrypt);
    const token = this.#seal.length(0);
    const padding = this.#seal.length(2);
    if (token > room || padding > this.#padding || this.#seal.length(1) !== plain.length) {
      throw new ProtocolError(
        "not-encrypted",
        "EncryptMessage did not do what it announced; nothing was sent",
      );
    }
    // The token is as long as it is; moved up against the data it leaves the record in one piece.
    out.copyWithin(room - token, 0, token);
    return out.subarray(room - token, dataEnd + padding);
  }

  #encrypt(encrypt: boolean): void {
    const quality = encrypt ? 0 : SECQOP_WRAP_NO_ENCRYPT;
    const status = this.#sspi.call.EncryptMessage(this.#context, quality, this.#seal.desc, 0);
    if (status !== 0) throw this.#sspi.recordFailure("EncryptMessage", status, "protect a record");
  }

  /** Seals `data` in place; returns the header that travels apart from it. */
  wrapDetached(data: Uint8Array): Uint8Array {
    requireEncryption(this.#rules);
    this.#sent.take();
    const { memory } = this.#sspi;
    const header = pinned(this.#tokenRoom);
    const padding = pinned(Math.max(1, this.#padding));
    this.#seal.set(0, SECBUFFER.TOKEN, header.length, memory.addressOf(header));
    this.#seal.set(1, SECBUFFER.DATA, data.length, memory.addressOf(data));
    this.#seal.set(2, SECBUFFER.PADDING, this.#padding, memory.addressOf(padding));
    this.#encrypt(this.#rules.encrypts);
    const token = this.#seal.length(0);
    if (token > header.length || this.#seal.length(1) !== data.length || this.#seal.length(2) !== 0) {
      throw new ProtocolError(
        "not-encrypted",
        "EncryptMessage pads this record, so that it cannot be detached",
      );
    }
    return header.slice(0, token);
  }

  /** Checks and opens `data` in place, whose header came apart from it. */
  unwrapDetached(header: Uint8Array, data: Uint8Array): Uint8Array {
    const record = pinned(header.length + data.length);
    record.set(header);
    record.set(data, header.length);
    try {
      const plain = this.unwrap(record);
      data.set(plain);
      data.fill(0, plain.length);
      return data.subarray(0, plain.length);
    } finally {
      record.fill(0);
    }
  }

  /** Checks and opens `record` in place. */
  unwrap(record: Uint8Array): Uint8Array {
    const { data, encrypted } = this.unwrapAny(record);
    if (!this.#rules.mustBeEncrypted || encrypted) return data;
    throw new ProtocolError(
      "not-encrypted",
      "The peer sent a record that is signed but not encrypted; it was refused",
    );
  }

  /** Checks and opens `record` in place, encrypted or only signed. */
  unwrapAny(record: Uint8Array): Unwrapped {
    this.#received.take();
    const { call, memory } = this.#sspi;
    const start = memory.addressOf(record);
    this.#open.set(0, SECBUFFER.STREAM, record.length, start);
    this.#open.set(1, SECBUFFER.DATA, 0, 0n);
    // A package that did not write it would otherwise leave the last record's answer there.
    this.#qopView.setUint32(0, SECQOP_WRAP_NO_ENCRYPT, true);
    const status = call.DecryptMessage(this.#context, this.#open.desc, 0, this.#qop);
    if (status !== 0) throw this.#sspi.recordFailure("DecryptMessage", status, "open a record");
    const encrypted = this.#qopView.getUint32(0, true) === 0;
    const length = this.#open.length(1);
    if (length === 0) return { data: record.subarray(0, 0), encrypted };
    const at = Number(this.#open.address(1) - start);
    if (at < 0 || at + length > record.length) {
      throw new ProtocolError("malformed", "DecryptMessage left the plain text outside of the record");
    }
    return { data: record.subarray(at, at + length), encrypted };
  }

  /** A signature over `message`. */
  sign(message: Uint8Array): Uint8Array {
    this.#sent.take();
    const { call, memory } = this.#sspi;
    const copy = pinned(message.length);
    copy.set(message);
    const token = pinned(this.#maxSignature);
    const buffers = twoBuffers(memory);
    buffers.set(0, SECBUFFER.DATA, copy.length, memory.addressOf(copy));
    buffers.set(1, SECBUFFER.TOKEN, token.length, memory.addressOf(token));
    const status = call.MakeSignature(this.#context, 0, buffers.desc, 0);
    // Used behind the call, too: the collector sees no addresses.
    copy.fill(0);
    if (status !== 0) throw this.#sspi.recordFailure("MakeSignature", status, "sign a message");
    return token.slice(0, buffers.length(1));
  }

  /** Throws unless `signature` is the peer's over `message`. */
  verify(message: Uint8Array, signature: Uint8Array): void {
    this.#received.take();
    const { call, memory } = this.#sspi;
    const [text, token] = [message, signature].map((bytes) => {
      const copy = pinned(bytes.length);
      copy.set(bytes);
      return copy;
    });
    const buffers = twoBuffers(memory);
    buffers.set(0, SECBUFFER.DATA, text.length, memory.addressOf(text));
    buffers.set(1, SECBUFFER.TOKEN, token.length, memory.addressOf(token));
    const status = call.VerifySignature(this.#context, buffers.desc, 0, this.#qop);
    text.fill(0);
    token.fill(0);
    if (status !== 0) throw this.#sspi.recordFailure("VerifySignature", status, "verify a signature");
  }

  /** The session key. */
  sessionKey(): Uint8Array {
    const { call, memory } = this.#sspi;
    const key = this.#sspi.attribute(this.#context, SECPKG_ATTR.SESSION_KEY, SecPkgContext_SessionKey);
    if (key === null) throw new StateError("The security package does not give its session key");
    try {
      return memory.read(key.SessionKey, key.SessionKeyLength);
    } finally {
      memory.write(key.SessionKey, new Uint8Array(key.SessionKeyLength));
      call.FreeContextBuffer(key.SessionKey);
    }
  }
}
