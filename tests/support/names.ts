/** Generators of names. */

import fc from "fast-check";

/** Texts that often contain separators of names. */
export const names: fc.Arbitrary<string> = fc.string({
  unit: fc.oneof(
    fc.constantFrom("\\", "@", "/", "a", "B", ".", " ", "ß", "\u0007"),
    fc.string({ unit: "binary", maxLength: 1 }),
  ),
  maxLength: 12,
});
