/**
 * Counts the records of one direction, so that no sequence number is ever used a second time: the library would
 * go on from 0 without a word, and a record of long ago would pass as new.
 *
 * @module
 */

import { ProtocolError } from "../../errors.ts";

/** What 32-bit numbers (NTLM, RFC 1964) allow. */
const NARROW_LIMIT = 2 ** 32 - 1;
/** What this counts exactly: less than RFC 4121's 2^64, and more than any connection lasts. */
const WIDE_LIMIT = Number.MAX_SAFE_INTEGER;

/** How many more records one direction may carry. */
export class RecordCounter {
  #count: number;
  #limit: number;
  #wide: (() => boolean) | null;

  /**
   * @param wide tells whether the numbers have 64 bits; asked when 32 bits are used up.
   * @param limit another limit, which then stands.
   * @param count how many records there have been.
   */
  constructor(wide: () => boolean, limit?: number, count = 0) {
    this.#limit = limit ?? NARROW_LIMIT;
    this.#wide = limit === undefined ? wide : null;
    this.#count = count;
  }

  /**
   * Call it before each record.
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
      `This direction has carried ${this.#limit} records, as many as its security context can number; connect again`,
    );
  }
}
