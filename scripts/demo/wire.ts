/**
 * Looking at recorded bytes: as a hexdump, and for a text that must not be in them.
 *
 * @module
 */

/** One stream of the pieces it arrived in. */
export function joined(pieces: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    all.set(piece, at);
    at += piece.length;
  }
  return all;
}

/** The first `lines` times 16 bytes as offset, hexadecimal and text: 73 columns. */
export function hexdump(bytes: Uint8Array, lines: number): string {
  const rows: string[] = [];
  for (let at = 0; at < bytes.length && rows.length < lines; at += 16) {
    const row = [...bytes.subarray(at, at + 16)];
    const hex = row.map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
    const text = row.map((byte) => byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : ".").join("");
    rows.push(`${at.toString(16).padStart(6, "0")}  ${hex.padEnd(47)} ${text}`);
  }
  return rows.join("\n");
}

/** The longest part of `text` that is found in `bytes`, byte for byte. */
export function longestPart(bytes: Uint8Array, text: Uint8Array): number {
  let longest = 0;
  for (let start = 0; start < bytes.length; start++) {
    for (let from = 0; from < text.length; from++) {
      let length = 0;
      while (from + length < text.length && bytes[start + length] === text[from + length]) length++;
      longest = Math.max(longest, length);
    }
  }
  return longest;
}
