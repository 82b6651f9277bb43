/**
 * Tokens of RFC 4121: their header, and the rotation of what follows it.
 *
 * @see https://www.rfc-editor.org/rfc/rfc4121#section-4.2
 * @module
 */

import { ProtocolError } from "../../../errors.ts";
import { pinned } from "../../memory/memory.ts";

/** The bytes of a token's header. */
export const HEADER = 16;
/** The bytes of a confounder, the random start of what is encrypted. */
export const CONFOUNDER = 16;
/** The bits of a header's third byte. */
export const FLAG = { sentByAcceptor: 1, sealed: 2, acceptorSubkey: 4 } as const;
/** The first byte of a record. */
export const WRAP = 0x05;
/** The first byte of a signature. */
export const MIC = 0x04;

/** What a header says, apart from its number. */
interface HeaderFields {
  readonly id: typeof WRAP | typeof MIC;
  readonly flags: number;
}

/** Writes a header with the bytes of `sequence` as its number to `bytes` at `at`. */
export function writeHeader(bytes: Uint8Array, at: number, fields: HeaderFields, sequence: Uint8Array): void {
  const { id, flags } = fields;
  bytes[at] = id;
  bytes[at + 1] = 0x04;
  bytes[at + 2] = flags;
  bytes[at + 3] = 0xff;
  // Signatures have a filler in place of the lengths.
  const filler = id === MIC ? 0xff : 0;
  for (let index = 4; index < 8; index++) bytes[at + index] = filler;
  for (let index = 0; index < 8; index++) bytes[at + 8 + index] = sequence[index];
}

/** Adds one to a number of a header, byte by byte: large integers are slower. */
export function increment(sequence: Uint8Array): void {
  for (let at = 7; at >= 0; at--) {
    sequence[at]++;
    if (sequence[at] !== 0) break;
  }
}

/** Returns a copy of the header of a record or signature, which opening overwrites. */
export function headerOf(token: Uint8Array): Uint8Array {
  if (token.length < HEADER || (token[0] !== WRAP && token[0] !== MIC) || token[1] !== 0x04) {
    throw malformed();
  }
  const header = pinned(HEADER);
  header.set(token.subarray(0, HEADER));
  return header;
}

/** How far a detached record is rotated: what follows the data is moved to its header. */
export function detachedRotation(encrypted: boolean, macBytes: number): number {
  return (encrypted ? HEADER : 0) + macBytes;
}

/** Undoes a rotation to the right of what follows the header; the rotation may be longer than that. */
export function rotateLeft(record: Uint8Array, count: number): void {
  const rotation = count % (record.length - HEADER);
  if (rotation === 0) return;
  const bytes = record.subarray(HEADER);
  // Not by slice(): a Buffer's slice shares its memory.
  const first = pinned(rotation);
  first.set(bytes.subarray(0, rotation));
  bytes.copyWithin(0, rotation);
  bytes.set(first, bytes.length - rotation);
}

/** Whether the header's encrypted copy is at `at`. The rotation is not part of it. */
export function isCopy(record: Uint8Array, at: number, header: Uint8Array): boolean {
  for (let index = 0; index < HEADER; index++) {
    if (index !== 6 && index !== 7 && record[at + index] !== header[index]) return false;
  }
  return true;
}

/** Returns the error for a token that is not as RFC 4121 describes. */
export function malformed(): ProtocolError {
  return new ProtocolError(
    "malformed",
    "A record was refused: it is not as RFC 4121 describes. It was changed in transit, or is not from this connection",
  );
}

/** Returns the error for a token whose checksum is wrong. */
export function altered(): ProtocolError {
  return new ProtocolError(
    "altered",
    "A record was refused: its checksum is wrong. It was changed in transit, or is not from this connection",
  );
}
