/**
 * Security identifiers (SIDs): converts between the system's bytes and text.
 *
 * @module
 */

const MAX_AUTHORITIES = 15;

/** Returns the length of the SID at the start of `bytes`. @throws RangeError where it is longer than `bytes`. */
export function sidLength(bytes: Uint8Array): number {
  const length = 8 + 4 * (bytes[1] ?? 0);
  if (bytes[0] !== 1 || bytes[1] > MAX_AUTHORITIES || bytes.length < length) {
    throw new RangeError("The bytes are not a security identifier");
  }
  return length;
}

/** Returns the text `S-1-5-21-…` for the system's bytes. @throws RangeError where they are not a SID. */
export function formatSid(bytes: Uint8Array): string {
  const length = sidLength(bytes);
  const view = new DataView(bytes.buffer, bytes.byteOffset, length);
  const authority = view.getUint16(2) * 2 ** 32 + view.getUint32(4);
  const parts = Array.from({ length: bytes[1] }, (_, index) => view.getUint32(8 + 4 * index, true));
  return ["S-1", authority, ...parts].join("-");
}

/** Returns the system's bytes for the text `S-1-5-21-…`; `null` where it is not a SID. */
export function parseSid(text: string): Uint8Array | null {
  const match = /^S-1-(\d{1,15})((?:-\d{1,10}){0,15})$/i.exec(text);
  if (match === null) return null;
  const parts = match[2].split("-").slice(1).map(Number);
  const authority = Number(match[1]);
  if (authority >= 2 ** 48 || parts.some((part) => part > 0xffff_ffff)) return null;
  const bytes = new Uint8Array(8 + 4 * parts.length);
  const view = new DataView(bytes.buffer);
  bytes[0] = 1;
  bytes[1] = parts.length;
  view.setUint16(2, Math.floor(authority / 2 ** 32));
  view.setUint32(4, authority % 2 ** 32);
  parts.forEach((part, index) => view.setUint32(8 + 4 * index, part, true));
  return bytes;
}
