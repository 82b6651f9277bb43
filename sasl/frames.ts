/**
 * RFC 4422's framing, from chunks to records: four bytes of length, then a record.
 *
 * @module
 */

import { ProtocolError } from "../errors.ts";

const LENGTH = 4;
/** What is held at first for a record; more only as its bytes arrive, since nobody has authenticated its length. */
const FIRST = 65_536;

/** Collects records. Holds no more than one, and never more than has arrived, but for the first 64 KiB and doubling. */
export class FrameReader {
  readonly #max: number;
  readonly #length = new Uint8Array(LENGTH);
  #record: Uint8Array | null = null;
  /** The record's length. */
  #size = 0;
  /** How many bytes of the length, or of the record, have arrived. */
  #have = 0;

  /** Takes records of at most `max` bytes. */
  constructor(max: number) {
    this.#max = max;
  }

  /** Takes a chunk, which is not kept, and gives every record that is whole, each in memory of its own. */
  *push(chunk: Uint8Array): Generator<Uint8Array> {
    for (let at = 0; at < chunk.length;) {
      if (this.#record === null) {
        this.#length[this.#have++] = chunk[at++];
        if (this.#have === LENGTH) this.#begin();
        continue;
      }
      const part = chunk.subarray(at, at + this.#size - this.#have);
      this.#grow(this.#have + part.length);
      this.#record.set(part, this.#have);
      at += part.length;
      this.#have += part.length;
      if (this.#have < this.#size) continue;
      const whole = this.#record.subarray(0, this.#size);
      this.#record = null;
      this.#have = 0;
      yield whole;
    }
  }

  #begin(): void {
    this.#size = new DataView(this.#length.buffer).getUint32(0);
    if (this.#size === 0) {
      throw new ProtocolError("empty", "A record of the peer has no bytes; the connection was ended");
    }
    if (this.#size > this.#max) {
      throw new ProtocolError(
        "oversized",
        `A record of the peer has ${this.#size} bytes, more than the ${this.#max} that this end takes; the ` +
          "connection was ended. options.maxReceive can be raised",
      );
    }
    this.#record = new Uint8Array(Math.min(this.#size, FIRST));
    this.#have = 0;
  }

  #grow(needed: number): void {
    const old = this.#record!;
    if (needed <= old.length) return;
    this.#record = new Uint8Array(Math.min(this.#size, Math.max(needed, 2 * old.length)));
    this.#record.set(old.subarray(0, this.#have));
  }

  /** The error of a connection that ends here; `null` where it may. */
  cutShort(): ProtocolError | null {
    if (this.#record === null && this.#have === 0) return null;
    return new ProtocolError("truncated", "The connection ended within a record of the peer");
  }
}
