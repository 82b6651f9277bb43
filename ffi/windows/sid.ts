/**
 * Security identifiers: the system's bytes and the text people know them by.
 *
 * @module
 */

const MAX_AUTHORITIES = 15;

/** The bytes of a SID that begins at `bytes`. @throws RangeError where it does not fit. */
export function sidLength(bytes: Uint8Array): number {
  const length = 8 + 4 * (bytes[1] ?? 0);
  if (bytes[0] !== 1 || bytes[1] > MAX_AUTHORITIES || bytes.length < length) {
    throw new RangeError("these bytes are no security identifier");
  }
  return length;
}

/** `S-1-5-21-…` for the system's bytes. @throws RangeError where they are no SID. */
export function formatSid(bytes: Uint8Array): string {
  const length = sidLength(bytes);
  const view = new DataView(bytes.buffer, bytes.byteOffset, length);
  const authority = view.getUint16(2) * 2 ** 32 + view.getUint32(4);
  const parts = Array.from({ length: bytes[1] }, (_, index) => view.getUint32(8 + 4 * index, true));
  return ["S-1", authority, ...parts].join("-");
}

/** The system's bytes for `S-1-5-21-…`; `null` where the text is none. */
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
