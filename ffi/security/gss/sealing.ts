/**
 * How the records of one context are sealed and opened: what the two ways of GSS-API have in common.
 *
 * @module
 */

import { AuthenticationError, type NativeError, ProtocolError, StateError } from "../../../errors.ts";
import { GSS_ERROR_MASK } from "../../raw/gssapi.ts";
import { type Gss, Slots } from "./gss.ts";

/** A record that the library opened; whether it may be used is the caller's to say. */
export interface Opened {
  /** The status, with its supplementary bits. */
  readonly major: number;
  /** Whether it was encrypted. */
  readonly encrypted: boolean;
  /** What was in it: a part of the record. */
  readonly plain: Uint8Array;
}

/** Seals and opens. */
export abstract class Sealing {
  protected readonly gss: Gss;
  protected readonly context: bigint;
  readonly #slots = new Slots(16);
  protected readonly minor: Uint8Array = this.#slots.slice(0, 4);
  protected readonly confidential: Uint8Array = this.#slots.slice(4, 4);

  constructor(gss: Gss, context: bigint) {
    this.gss = gss;
    this.context = context;
  }

  /** The most bytes that {@linkcode Sealing.seal} adds. */
  abstract readonly maxOverhead: number;
  /** Copies `plain` into `out` and seals it there, encrypted or only signed; returns the record. */
  abstract seal(plain: Uint8Array, out: Uint8Array, encrypt: boolean): Uint8Array;
  /** Opens `record` in place. */
  abstract open(record: Uint8Array): Opened;

  /** Seals `data` in place; returns the header that travels apart from it. */
  sealDetached(_data: Uint8Array, _encrypt: boolean): Uint8Array {
    throw new StateError("This mechanism cannot wrap data in place, apart from its header");
  }

  /** Opens `data` in place, whose header came apart from it. */
  openDetached(_header: Uint8Array, _data: Uint8Array): Opened {
    throw new StateError("This mechanism cannot unwrap data apart from its header");
  }

  /** The most bytes of data whose record has at most `recordBytes` bytes. */
  sizeLimit(recordBytes: number, encrypt: boolean): number {
    const { call } = this.gss;
    const max = this.#slots.slice(8, 4);
    const major = call.gss_wrap_size_limit(this.minor, this.context, encrypt ? 1 : 0, 0, recordBytes, max);
    if ((major & GSS_ERROR_MASK) !== 0) throw this.sealFailure("gss_wrap_size_limit", major);
    return this.#slots.u32[2];
  }

  /** Call it before whatever says in the end whether it encrypted. */
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

/** What the routine error of a failed opening means; the peer, not this end, is at fault. */
export function refusal(gss: Gss, fn: string, major: number, minor: number): Error {
  const failure = gss.failure(fn, major, minor, "open a record");
  if (failure instanceof AuthenticationError && failure.reason === "context-expired") return failure;
  const native = failure.cause as NativeError;
  const damaged = native.codeName === "GSS_S_DEFECTIVE_TOKEN";
  return new ProtocolError(
    damaged ? "malformed" : "altered",
    `A record was refused: ${native.message}. It was changed on the way, or is not from this connection`,
    { cause: native },
  );
}

/** The refusal of a function that kept no promise of its own; nothing of its work leaves. */
export function brokenPromise(fn: string): ProtocolError {
  return new ProtocolError(
    "not-encrypted",
    `Cannot seal a record: ${fn} did not do what it announced; nothing was sent`,
  );
}
