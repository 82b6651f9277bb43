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
 * The least space for a record's token. A failed EncryptMessage may have used a sequence number, so the first call
 * must have enough space; some systems announce less than they use.
 */
const TOKEN_ROOM = 128;
/** A ULONG: the quality of protection that DecryptMessage reports. */
const QOP_BYTES = 4;

function twoBuffers(memory: Memory): Buffers {
  return new Buffers(new MemoryBlock(memory, [Buffers.size(2)]), 2);
}

/** Wraps and unwraps the records of one context. */
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

  /** The sizes of the parts that it takes from a block. */
  static readonly parts: readonly number[] = [Buffers.size(3), Buffers.size(2), QOP_BYTES];

  /**
   * Records of `context`; uses memory of `block`, which must have {@linkcode SspiRecords.parts} left.
   *
   * @throws StateError where the package does not report its sizes.
   */
  constructor(sspi: Sspi, context: Uint8Array, rules: EncryptionRules, block: MemoryBlock) {
    this.#sspi = sspi;
    this.#context = context;
    this.#rules = rules;
    // No package reports the width of its sequence numbers; the smallest is 32 bits.
    this.#sent = new RecordCounter(() => false, sspi.maxRecords);
    this.#received = new RecordCounter(() => false, sspi.maxRecords);
    const sizes = sspi.attribute(context, SECPKG_ATTR.SIZES, SecPkgContext_Sizes);
    if (sizes === null) throw new StateError("The security package does not report the sizes of its records");
    this.#tokenRoom = Math.max(sizes.cbSecurityTrailer, TOKEN_ROOM);
    this.#padding = sizes.cbBlockSize;
    this.#maxSignature = Math.max(sizes.cbMaxSignature, TOKEN_ROOM);
    this.maxOverhead = this.#tokenRoom + this.#padding;
    this.#seal = new Buffers(block, 3);
    this.#open = new Buffers(block, 2);
    this.#qop = block.take(QOP_BYTES).bytes;
    this.#qopView = new DataView(this.#qop.buffer, this.#qop.byteOffset);
  }

  /** Copies `plain` to `out`, wraps it there and returns the record. */
  wrap(plain: Uint8Array, out: Uint8Array): Uint8Array {
    requireEncryption(this.#rules);
    return this.#wrap(plain, out, this.#rules.encrypts);
  }

  /** Like {@linkcode SspiRecords.wrap}, but signs without encrypting. */
  wrapUnencrypted(plain: Uint8Array, out: Uint8Array): Uint8Array {
    return this.#wrap(plain, out, false);
  }

  /**
   * Returns the most bytes of data whose record has at most `recordBytes` bytes; the same for encrypted and signed
   * records.
   */
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
        "EncryptMessage returned another size than announced; nothing was sent",
      );
    }
    // Moves the token next to the data, because it may be shorter than its space.
    out.copyWithin(room - token, 0, token);
    return out.subarray(room - token, dataEnd + padding);
  }

  #encrypt(encrypt: boolean): void {
    const quality = encrypt ? 0 : SECQOP_WRAP_NO_ENCRYPT;
    const status = this.#sspi.call.EncryptMessage(this.#context, quality, this.#seal.desc, 0);
    if (status !== 0) throw this.#sspi.recordFailure("EncryptMessage", status, "protect a record");
  }

  /** Wraps `data` in place; returns its header, which is sent separately. */
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
        "EncryptMessage adds padding to this record, so its header cannot be sent separately",
      );
    }
    return header.slice(0, token);
  }

  /** Verifies and opens `data` in place; `header` was sent separately. */
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

  /** Verifies and opens `record` in place. */
  unwrap(record: Uint8Array): Uint8Array {
    const { data, encrypted } = this.unwrapAny(record);
    if (!this.#rules.mustBeEncrypted || encrypted) return data;
    throw new ProtocolError(
      "not-encrypted",
      "The peer sent a record that is signed but not encrypted; the record was refused",
    );
  }

  /** Verifies and opens `record` in place, encrypted or only signed. */
  unwrapAny(record: Uint8Array): Unwrapped {
    this.#received.take();
    const { call, memory } = this.#sspi;
    const start = memory.addressOf(record);
    this.#open.set(0, SECBUFFER.STREAM, record.length, start);
    this.#open.set(1, SECBUFFER.DATA, 0, 0n);
    // A package that does not write it would otherwise leave the previous record's value.
    this.#qopView.setUint32(0, SECQOP_WRAP_NO_ENCRYPT, true);
    const status = call.DecryptMessage(this.#context, this.#open.desc, 0, this.#qop);
    if (status !== 0) throw this.#sspi.recordFailure("DecryptMessage", status, "open a record");
    const encrypted = this.#qopView.getUint32(0, true) === 0;
    const length = this.#open.length(1);
    if (length === 0) return { data: record.subarray(0, 0), encrypted };
    const at = Number(this.#open.address(1) - start);
    if (at < 0 || at + length > record.length) {
      throw new ProtocolError("malformed", "DecryptMessage returned plain text outside the record");
    }
    return { data: record.subarray(at, at + length), encrypted };
  }

  /** Returns a signature over `message`. */
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
    // Also keeps the copy reachable until the call has ended: the garbage collector does not follow addresses.
    copy.fill(0);
    if (status !== 0) throw this.#sspi.recordFailure("MakeSignature", status, "sign a message");
    return token.slice(0, buffers.length(1));
  }

  /** Verifies that `signature` is the peer's over `message`; throws where it is not. */
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

  /** Returns a copy of the session key. */
  sessionKey(): Uint8Array {
    const { call, memory } = this.#sspi;
    const key = this.#sspi.attribute(this.#context, SECPKG_ATTR.SESSION_KEY, SecPkgContext_SessionKey);
    if (key === null) throw new StateError("The security package does not return its session key");
    try {
      return memory.read(key.SessionKey, key.SessionKeyLength);
    } finally {
      memory.write(key.SessionKey, new Uint8Array(key.SessionKeyLength));
      call.FreeContextBuffer(key.SessionKey);
    }
  }
}
