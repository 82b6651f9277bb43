/**
 * Buffers of the size of two records, lent to connections while they have one under way: a connection that waits
 * for its peer, as nearly all of a server's do, holds none.
 *
 * @module
 */

import { DATA_HEADER_SIZE, MAX_RECEIVED_SIZE } from "./framing.ts";

/** Two of the longest records. */
const SIZE = 2 * (MAX_RECEIVED_SIZE + DATA_HEADER_SIZE);
/** How many are kept for whoever comes next: 2 MiB. */
const MOST_KEPT = 16;

const spare: Uint8Array<ArrayBuffer>[] = [];

/** A buffer that is all zeros; the borrower's until it is given back, or for good. */
export function borrowBuffer(): Uint8Array<ArrayBuffer> {
  return spare.pop() ?? new Uint8Array(SIZE);
}

/**
 * Takes a borrowed buffer back. Nothing may use it any more: not a call of a transport's that was never settled
 * either, which is why a connection that is cut off lets its buffer go instead.
 *
 * @param used How many bytes from its start may have been written to; they are overwritten.
 */
export function giveBackBuffer(buffer: Uint8Array<ArrayBuffer>, used: number): void {
  buffer.fill(0, 0, used);
  if (spare.length < MOST_KEPT) spare.push(buffer);
}
