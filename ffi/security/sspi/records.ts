/**
 * Records of an established SSPI context, laid out as Windows puts them on the wire: TOKEN, DATA, PADDING.
 *
 * @module
 */

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
    this.#sent.take();
    const { call, memory } = this.#sspi;
    const room = this.#tokenRoom;
    const start = memory.addressOf(out);
    const dataEnd = room + plain.length;
    out.set(plain, room);
    this.#seal.set(0, SECBUFFER.TOKEN, room, start);
    this.#seal.set(1, SECBUFFER.DATA, plain.length, start + BigInt(room));
    this.#seal.set(2, SECBUFFER.PADDING, this.#padding, start + BigInt(dataEnd));
    const { encrypts } = this.#rules;
    const status = call.EncryptMessage(
      this.#context,
      encrypts ? 0 : SECQOP_WRAP_NO_ENCRYPT,
      this.#seal.desc,
      0,
    );
    if (status !== 0) throw this.#sspi.recordFailure("EncryptMessage", status, "protect a record");
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

  /** Checks and opens `record` in place. */
  unwrap(record: Uint8Array): Uint8Array {
    this.#received.take();
    const { call, memory } = this.#sspi;
    const start = memory.addressOf(record);
    this.#open.set(0, SECBUFFER.STREAM, record.length, start);
    this.#open.set(1, SECBUFFER.DATA, 0, 0n);
    // A package that did not write it would otherwise leave the last record's answer there.
    this.#qopView.setUint32(0, SECQOP_WRAP_NO_ENCRYPT, true);
    const status = call.DecryptMessage(this.#context, this.#open.desc, 0, this.#qop);
    if (status !== 0) throw this.#sspi.recordFailure("DecryptMessage", status, "open a record");
    const qop = this.#qopView.getUint32(0, true);
    if (this.#rules.mustBeEncrypted && qop !== 0) {
      throw new ProtocolError(
        "not-encrypted",
        "The peer sent a record that is signed but not encrypted; it was refused",
      );
    }
    const length = this.#open.length(1);
    if (length === 0) return record.subarray(0, 0);
    const at = Number(this.#open.address(1) - start);
    if (at < 0 || at + length > record.length) {
      throw new ProtocolError("malformed", "DecryptMessage left the plain text outside of the record");
    }
    return record.subarray(at, at + length);
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
