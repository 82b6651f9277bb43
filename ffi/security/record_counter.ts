/**
 * Counts the records of one direction, so that no sequence number is used twice: the native library would silently
 * continue from 0 and accept an old record as new.
 *
 * @module
 */

import { ProtocolError } from "../../errors.ts";

/** The most records that 32-bit sequence numbers allow (NTLM, RFC 1964). */
const NARROW_LIMIT = 2 ** 32 - 1;
/**
 * The most that a JavaScript number counts exactly: less than RFC 4121's 2^64, and more than any connection needs.
 */
const WIDE_LIMIT = Number.MAX_SAFE_INTEGER;

/** Limits the number of records of one direction. */
export class RecordCounter {
  #count: number;
  #limit: number;
  #wide: (() => boolean) | null;

  /**
   * @param wide returns whether the sequence numbers have 64 bits; called when 32 bits are used up.
   * @param limit replaces the default limit.
   * @param count the number of records so far.
   */
  constructor(wide: () => boolean, limit?: number, count = 0) {
    this.#limit = limit ?? NARROW_LIMIT;
    this.#wide = limit === undefined ? wide : null;
    this.#count = count;
  }

  /**
   * Counts one record; called before each of them.
   *
   * @throws ProtocolError `sequence-exhausted`.
   */
  take(): void {
    if (this.#count >= this.#limit) this.#widen();
    this.#count++;
  }

  #widen(): void {
    if (this.#wide?.()) {
      this.#limit = WIDE_LIMIT;
      this.#wide = null;
      return;
    }
    throw new ProtocolError(
      "sequence-exhausted",
      `This direction has carried ${this.#limit} records, the most that its security context can number; connect again`,
    );
  }
}
