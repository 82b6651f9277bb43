/**
 * Converts application data to records and back: wrapped if the context gives integrity or confidentiality, else
 * unchanged.
 *
 * @module
 */

import { ProtocolError } from "../errors.ts";
import type { ProviderContext } from "../contract.ts";
import { DATA_HEADER_SIZE, MAX_SENT_SIZE, readDataHeader, writeDataHeader } from "./framing.ts";
import { borrowBuffer, returnBuffer, type WireReader } from "./wire_reader.ts";
import type { Wire } from "./transport.ts";

/** How many protected records were read and written. */
export interface RecordCounts {
  readonly read: number;
  readonly written: number;
}

/** Carries application data over a wire, for one reader and one writer at a time. Every failure is final. */
export interface Records {
  /** About how many bytes {@linkcode Records.take} returns without waiting. */
  readonly buffered: number;
  /** Waits until there is at least one byte to take; false at the end of the stream. */
  ready(): Promise<boolean>;
  /** Moves bytes of complete records into `p`; returns how many. */
  take(p: Uint8Array): number;
  /** A failure that {@linkcode Records.take} met after it had taken valid bytes. */
  readonly failure: unknown;
  /** Sends all of `p`, without changing it. */
  write(p: Uint8Array): Promise<void>;
  /** How many protected records were read and written. */
  readonly counts: RecordCounts;
  /** Overwrites the buffered bytes. */
  wipe(): void;
}

/** The records of a connection with a security context. */
export function openRecords(context: ProviderContext, wire: Wire, reader: WireReader): Records {
  const { integrity, confidentiality } = context.attributes;
  reader.readAhead();
  // The same condition as .NET's: both ends use records, or neither does.
  return integrity || confidentiality
    ? new SealedRecords(context, wire, reader)
    : new BareBytes(wire, reader);
}

/** The bytes of a connection that the operating system protects. */
export function openBytes(wire: Wire, reader: WireReader): Records {
  reader.readAhead();
  return new BareBytes(wire, reader);
}

class SealedRecords implements Records {
  failure: unknown;
  readonly counts = { read: 0, written: 0 };
  readonly #context: ProviderContext;
  readonly #wire: Wire;
  readonly #reader: WireReader;
  readonly #overhead: number;
  #plain: Uint8Array = new Uint8Array();

  constructor(context: ProviderContext, wire: Wire, reader: WireReader) {
    this.#context = context;
    this.#wire = wire;
    this.#reader = reader;
    this.#overhead = context.maxOverhead;
    if (!(this.#overhead >= 0 && this.#overhead < MAX_SENT_SIZE)) {
      throw new ProtocolError(
        "oversized",
        `The provider adds ${this.#overhead} bytes to a record, which leaves no room for data`,
      );
    }
  }

  get buffered(): number {
    return this.#plain.length + this.#reader.buffered;
  }

  async ready(): Promise<boolean> {
    const reader = this.#reader;
    while (this.#plain.length === 0) {
      if (!await reader.fill(DATA_HEADER_SIZE)) {
        if (reader.buffered > 0) throw truncated();
        return false;
      }
      const size = DATA_HEADER_SIZE + readDataHeader(reader.peek(DATA_HEADER_SIZE), 0);
      if (!await reader.fill(size)) throw truncated();
      this.#unwrap(size);
    }
    return true;
  }

  take(p: Uint8Array): number {
    let taken = this.#copy(p);
    try {
      while (taken < p.length && this.#unwrapNext()) taken += this.#copy(p.subarray(taken));
    } catch (error) {
      if (taken === 0) throw error;
      this.failure = error;
    }
    return taken;
  }

  #copy(p: Uint8Array): number {
    const part = this.#plain.subarray(0, p.length);
    p.set(part);
    this.#plain = this.#plain.subarray(part.length);
    return part.length;
  }

  /** Unwraps the next record if it has arrived whole. */
  #unwrapNext(): boolean {
    const { buffered } = this.#reader;
    if (buffered < DATA_HEADER_SIZE) return false;
    const size = DATA_HEADER_SIZE + readDataHeader(this.#reader.peek(DATA_HEADER_SIZE), 0);
    if (buffered < size) return false;
    this.#unwrap(size);
    return true;
  }

  #unwrap(size: number): void {
    this.#plain = this.#context.unwrap(this.#reader.take(size).subarray(DATA_HEADER_SIZE));
    this.counts.read++;
  }

  async write(p: Uint8Array): Promise<void> {
    const step = MAX_SENT_SIZE - this.#overhead;
    // One record at a time, in one buffer. If a write fails, the transport may still use the buffer.
    const out = borrowBuffer();
    let used = 0;
    try {
      for (let at = 0; at < p.length; at += step) {
        const plain = p.subarray(at, at + step);
        used = Math.max(used, DATA_HEADER_SIZE + plain.length + this.#overhead);
        await this.#wire.write(this.#seal(plain, out));
      }
    } catch (error) {
      // Overwritten but not returned: with integrity only, it contains plain text.
      out.fill(0, 0, used);
      throw error;
    }
    returnBuffer(out, used);
  }

  #seal(plain: Uint8Array, out: Uint8Array): Uint8Array {
    try {
      const room = out.subarray(DATA_HEADER_SIZE, DATA_HEADER_SIZE + plain.length + this.#overhead);
      const sealed = this.#context.wrap(plain, room);
      const at = sealed.byteOffset - room.byteOffset;
      const fits = sealed.buffer === out.buffer && at >= 0 && at + sealed.length <= room.length;
      if (!fits || sealed.length === 0) {
        throw new ProtocolError(
          "malformed",
          "The provider's wrap did not write into the buffer that it was given",
        );
      }
      writeDataHeader(out, at, sealed.length);
      this.counts.written++;
      return out.subarray(at, at + DATA_HEADER_SIZE + sealed.length);
    } catch (error) {
      // Nothing that the provider left there may be sent; it may be plain text.
      out.fill(0);
      throw error;
    }
  }

  wipe(): void {
    this.#plain = new Uint8Array();
    this.#reader.wipe();
  }
}

class BareBytes implements Records {
  readonly failure: unknown;
  readonly counts: RecordCounts = { read: 0, written: 0 };
  readonly #wire: Wire;
  readonly #reader: WireReader;

  constructor(wire: Wire, reader: WireReader) {
    this.#wire = wire;
    this.#reader = reader;
  }

  get buffered(): number {
    return this.#reader.buffered;
  }

  ready(): Promise<boolean> {
    return this.#reader.fill(1);
  }

  take(p: Uint8Array): number {
    const part = this.#reader.take(Math.min(p.length, this.#reader.buffered));
    p.set(part);
    return part.length;
  }

  write(p: Uint8Array): Promise<void> {
    return this.#wire.write(p);
  }

  wipe(): void {
    this.#reader.wipe();
  }
}

function truncated(): ProtocolError {
  return new ProtocolError(
    "truncated",
    "The connection ended inside a record; the data of that record is lost",
  );
}
