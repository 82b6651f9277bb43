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
  /** Whether there is at least one byte to take already. */
  readonly complete: boolean;
  /** Waits until there is at least one byte to take; false at the end of the stream. */
  ready(): Promise<boolean>;
  /** Moves bytes of complete records into `p`; returns how many. */
  take(p: Uint8Array): number;
  /** A failure that {@linkcode Records.take} met after it had taken valid bytes. */
  readonly failure: unknown;
  /** Sends all bytes of `parts` in order, without changing them, in as few writes of the wire as the buffer allows. */
  write(...parts: readonly Uint8Array[]): Promise<void>;
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

/** Parts up to this size are collected into one record; longer ones are protected where they are. */
const SMALL = 4096;

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

  get complete(): boolean {
    return this.#plain.length > 0 || this.#nextSize() > 0;
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
    const size = this.#nextSize();
    if (size > 0) this.#unwrap(size);
    return size > 0;
  }

  /** The size of the next record with its header; 0 where it has not arrived whole. */
  #nextSize(): number {
    const { buffered } = this.#reader;
    if (buffered < DATA_HEADER_SIZE) return 0;
    const size = DATA_HEADER_SIZE + readDataHeader(this.#reader.peek(DATA_HEADER_SIZE), 0);
    return buffered < size ? 0 : size;
  }

  #unwrap(size: number): void {
    this.#plain = this.#context.unwrap(this.#reader.take(size).subarray(DATA_HEADER_SIZE));
    this.counts.read++;
  }

  async write(...parts: readonly Uint8Array[]): Promise<void> {
    const step = MAX_SENT_SIZE - this.#overhead;
    const outgoing: Outgoing = { out: borrowBuffer(), end: 0, used: 0 };
    try {
      for (let index = 0; index < parts.length;) {
        const count = Math.max(1, countSmall(parts, index, step));
        const part = parts[index];
        const size = count === 1 ? part.length : parts.slice(index, index + count).reduce(sumLengths, 0);
        for (let at = 0; at < size; at += step) {
          // Nothing waits for more: this is only what there is already.
          if (outgoing.end + this.#most(Math.min(step, size - at)) > outgoing.out.length) {
            await this.#send(outgoing);
          }
          if (count === 1) this.#add(outgoing, part.subarray(at, at + step));
          else this.#addCollected(outgoing, parts.slice(index, index + count));
        }
        index += count;
      }
      if (outgoing.end > 0) await this.#send(outgoing);
    } catch (error) {
      // Overwritten but not returned: with integrity only, it contains plain text, and the transport may still use it.
      outgoing.out.fill(0, 0, outgoing.used);
      throw error;
    }
    returnBuffer(outgoing.out, outgoing.used);
  }

  /** The most bytes that a record takes with its header. */
  #most(length: number): number {
    return DATA_HEADER_SIZE + length + this.#overhead;
  }

  async #send(outgoing: Outgoing): Promise<void> {
    await this.#wire.write(outgoing.out.subarray(0, outgoing.end));
    outgoing.end = 0;
  }

  /** Adds one record, for which there must be room. */
  #add(outgoing: Outgoing, plain: Uint8Array): void {
    outgoing.used = Math.max(outgoing.used, outgoing.end + this.#most(plain.length));
    outgoing.end += this.#seal(plain, outgoing.out, outgoing.end);
  }

  /** Adds one record with the bytes of all parts. */
  #addCollected(outgoing: Outgoing, parts: readonly Uint8Array[]): void {
    const collected = borrowBuffer();
    let end = 0;
    for (const part of parts) {
      collected.set(part, end);
      end += part.length;
    }
    try {
      this.#add(outgoing, collected.subarray(0, end));
    } finally {
      returnBuffer(collected, end);
    }
  }

  /** Writes a record with its header at `from`; returns its length with the header. */
  #seal(plain: Uint8Array, out: Uint8Array, from: number): number {
    try {
      const room = out.subarray(from + DATA_HEADER_SIZE, from + this.#most(plain.length));
      const sealed = this.#context.wrap(plain, room);
      const at = sealed.byteOffset - room.byteOffset;
      const fits = sealed.buffer === out.buffer && at >= 0 && at + sealed.length <= room.length;
      if (!fits || sealed.length === 0) {
        throw new ProtocolError(
          "malformed",
          "The provider's wrap did not write into the buffer that it was given",
        );
      }
      if (at > 0) room.copyWithin(0, at, at + sealed.length);
      writeDataHeader(out, from, sealed.length);
      this.counts.written++;
      return DATA_HEADER_SIZE + sealed.length;
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

/** Records that wait to be sent together, in a borrowed buffer. */
interface Outgoing {
  readonly out: Uint8Array<ArrayBuffer>;
  /** Where the next record begins. */
  end: number;
  /** How many bytes may have been written. */
  used: number;
}

const sumLengths = (sum: number, { length }: Uint8Array): number => sum + length;

/** How many parts from `index` on are small and have at most `most` bytes together. */
function countSmall(parts: readonly Uint8Array[], index: number, most: number): number {
  let count = 0;
  for (let sum = 0; index + count < parts.length; count++) {
    const { length } = parts[index + count];
    if (length > SMALL || (sum += length) > most) break;
  }
  return count;
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

  get complete(): boolean {
    return this.#reader.buffered > 0;
  }

  ready(): Promise<boolean> {
    return this.#reader.fill(1);
  }

  take(p: Uint8Array): number {
    const part = this.#reader.take(Math.min(p.length, this.#reader.buffered));
    p.set(part);
    return part.length;
  }

  async write(...parts: readonly Uint8Array[]): Promise<void> {
    for (const part of parts) await this.#wire.write(part);
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
