/**
 * The common part of GSS-API's two ways to wrap and unwrap records.
 *
 * @module
 */

import { AuthenticationError, type NativeError, ProtocolError, StateError } from "../../../errors.ts";
import { pinned } from "../../memory/memory.ts";
import { GSS_ERROR_MASK } from "../../raw/gssapi.ts";
import { type Gss, Slots } from "./gss.ts";

/** A record that the library opened; the caller decides whether it is accepted. */
export interface Opened {
  /** The status, with its supplementary bits. */
  readonly major: number;
  /** Whether it was encrypted. */
  readonly encrypted: boolean;
  /** Its contents: a part of the record. */
  readonly plain: Uint8Array;
}

/** Where a signature is returned, in the slots. */
const AT_TOKEN = 16;

/** A copy that does not move. */
function copyOf(bytes: Uint8Array): Uint8Array {
  const copy = pinned(bytes.length);
  copy.set(bytes);
  return copy;
}

/** What the library writes to in each call. */
interface SealingMemory {
  readonly slots: Slots;
  readonly minor: Uint8Array;
  readonly confidential: Uint8Array;
}

/** Wraps and unwraps the records of one context. */
export abstract class Sealing {
  protected readonly gss: Gss;
  protected readonly context: bigint;
  #made?: SealingMemory;

  constructor(gss: Gss, context: bigint) {
    this.gss = gss;
    this.context = context;
  }

  /** Made on first use: libcrypto's records need none, and most connections wait. */
  #memory(): SealingMemory {
    if (this.#made === undefined) {
      const slots = new Slots(AT_TOKEN + 16);
      this.#made = { slots, minor: slots.slice(0, 4), confidential: slots.slice(4, 4) };
    }
    return this.#made;
  }

  get #slots(): Slots {
    return this.#memory().slots;
  }

  protected get minor(): Uint8Array {
    return this.#memory().minor;
  }

  protected get confidential(): Uint8Array {
    return this.#memory().confidential;
  }

  /** The most bytes that {@linkcode Sealing.seal} adds. */
  abstract readonly maxOverhead: number;
  /** Copies `plain` to `out`, wraps it there, encrypted or only signed, and returns the record. */
  abstract seal(plain: Uint8Array, out: Uint8Array, encrypt: boolean): Uint8Array;
  /** Opens `record` in place. */
  abstract open(record: Uint8Array): Opened;

  /** Wraps `data` in place; returns its header, which is sent separately. */
  sealDetached(_data: Uint8Array, _encrypt: boolean): Uint8Array {
    throw new StateError("This mechanism cannot wrap data separately from its header");
  }

  /** Opens `data` in place; its header was sent separately. */
  openDetached(_header: Uint8Array, _data: Uint8Array): Opened {
    throw new StateError("This mechanism cannot unwrap data separately from its header");
  }

  /** Returns the most bytes of data whose record has at most `recordBytes` bytes. */
  sizeLimit(recordBytes: number, encrypt: boolean): number {
    const { call } = this.gss;
    const max = this.#slots.slice(8, 4);
    const major = call.gss_wrap_size_limit(this.minor, this.context, encrypt ? 1 : 0, 0, recordBytes, max);
    if ((major & GSS_ERROR_MASK) !== 0) throw this.sealFailure("gss_wrap_size_limit", major);
    return this.#slots.u32[2];
  }

  /** Returns a signature over `message`. */
  sign(message: Uint8Array): Uint8Array {
    const { build, call } = this.gss;
    const token = this.#slots.slice(AT_TOKEN, 16);
    token.fill(0);
    const major = call.gss_get_mic(this.minor, this.context, 0, build.buffer(copyOf(message)), token);
    if ((major & GSS_ERROR_MASK) !== 0) {
      throw this.gss.failure("gss_get_mic", major, this.#slots.u32[0], "protect a message");
    }
    return this.gss.takeBuffer(token);
  }

  /** Verifies that `signature` is the peer's over `message`, and returns the status with its supplementary bits. */
  verify(message: Uint8Array, signature: Uint8Array): number {
    const { build, call } = this.gss;
    const [text, token] = [message, signature].map((bytes) => build.buffer(copyOf(bytes)));
    const major = call.gss_verify_mic(this.minor, this.context, text, token, null);
    if ((major & GSS_ERROR_MASK) !== 0) throw this.openFailure("gss_verify_mic", major);
    return major;
  }

  /** Releases what is held besides the context. */
  close(): void {}

  /** Clears the encryption flag before a call that writes it. */
  protected clearEncrypted(): void {
    this.#slots.u32[1] = 0;
  }

  /** Whether the last record was encrypted. */
  protected get encrypted(): boolean {
    return this.#slots.u32[1] !== 0;
  }

  protected sealFailure(fn: string, major: number): Error {
    return this.gss.failure(fn, major, this.#slots.u32[0], "protect a record");
  }

  protected openFailure(fn: string, major: number): Error {
    return refusal(this.gss, fn, major, this.#slots.u32[0]);
  }
}

/** Returns the error for a record that cannot be opened; the fault is the peer's. */
function refusal(gss: Gss, fn: string, major: number, minor: number): Error {
  const failure = gss.failure(fn, major, minor, "open a record");
  if (failure instanceof AuthenticationError && failure.reason === "context-expired") return failure;
  const native = failure.cause as NativeError;
  const damaged = native.codeName === "GSS_S_DEFECTIVE_TOKEN";
  return new ProtocolError(
    damaged ? "malformed" : "altered",
    `A record was refused: ${native.message}. It was changed in transit, or is not from this connection`,
    { cause: native },
  );
}

/**
 * Returns the error for a function whose result has another size than announced, or is not encrypted; the result is
 * not sent.
 */
export function unexpectedResult(fn: string): ProtocolError {
  return new ProtocolError(
    "not-encrypted",
    `Cannot wrap a record: ${fn} returned another size than announced, or did not encrypt; nothing was sent`,
  );
}
