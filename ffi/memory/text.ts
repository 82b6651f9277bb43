/**
 * Text that the system gives, as it is. Names are compared with others: two that differ must never read the same, and
 * a decoder by itself drops a byte order mark in front, which is a letter like any other here.
 *
 * @module
 */

const lossy = new TextDecoder("utf-8", { ignoreBOM: true });
const strict = new TextDecoder("utf-8", { ignoreBOM: true, fatal: true });
/** As many units as an argument list takes on every engine. */
const PART_UNITS = 4096;

/** UTF-8 for people to read: what is none of it is shown as U+FFFD. */
export function messageText(bytes: Uint8Array): string {
  return lossy.decode(bytes);
}

/** UTF-8 that names somebody; throws a TypeError where it is no UTF-8. */
export function nameText(bytes: Uint8Array): string {
  return strict.decode(bytes);
}

/** UTF-16, little-endian, unit for unit, surrogates without their other half too; an odd byte behind is left out. */
export function wideText(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at + 1 < bytes.length; at += 2 * PART_UNITS) {
    const units: number[] = [];
    const end = Math.min(bytes.length - 1, at + 2 * PART_UNITS);
    for (let unit = at; unit < end; unit += 2) units.push(bytes[unit] | bytes[unit + 1] << 8);
    text += String.fromCharCode(...units);
  }
  return text;
}

/**
 * Refuses text that native code would get as another text, or not at all; what it holds may be secret and is not told.
 *
 * @throws TypeError that names the argument.
 */
export function checkWellFormed(text: string, name: string): void {
  if (text.isWellFormed()) return;
  throw new TypeError(
    `${name} holds half of a surrogate pair, which no keyboard types; check where it is from`,
  );
}
