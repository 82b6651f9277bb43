/**
 * Decodes text from the system without changing it. Names are compared with others, so two different names must never
 * decode to the same text; a decoder by default removes a leading byte order mark, which here is an ordinary
 * character.
 *
 * @module
 */

const lossy = new TextDecoder("utf-8", { ignoreBOM: true });
const strict = new TextDecoder("utf-8", { ignoreBOM: true, fatal: true });
/** The number of code units that an argument list may have on every engine. */
const PART_UNITS = 4096;

/** Decodes UTF-8 for display: invalid bytes become U+FFFD. */
export function messageText(bytes: Uint8Array): string {
  return ascii(bytes) ?? lossy.decode(bytes);
}

/** Decodes UTF-8 that is a name. @throws TypeError where it is not UTF-8. */
export function nameText(bytes: Uint8Array): string {
  return ascii(bytes) ?? strict.decode(bytes);
}

/** The most bytes for which decoding here is faster than a call of the decoder. */
const SHORT = 64;

/** Decodes short ASCII; `null` for everything else. */
function ascii(bytes: Uint8Array): string | null {
  if (bytes.length > SHORT) return null;
  let text = "";
  for (let at = 0; at < bytes.length; at++) {
    if (bytes[at] >= 0x80) return null;
    text += String.fromCharCode(bytes[at]);
  }
  return text;
}

/** Decodes little-endian UTF-16 unit by unit, lone surrogates included; ignores an odd byte at the end. */
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
 * Refuses text with a lone surrogate, which native code would receive as other text or not at all. The text may be
 * secret and is not in the message.
 *
 * @throws TypeError that names the argument.
 */
export function checkWellFormed(text: string, name: string): void {
  if (text.isWellFormed()) return;
  throw new TypeError(
    `${name} contains a lone surrogate, which no keyboard types; check where it comes from`,
  );
}
