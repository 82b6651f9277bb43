/**
 * Text that has a form in UTF-8 and UTF-16: JavaScript's strings may hold half of a surrogate pair, which has none.
 *
 * @module
 */

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
