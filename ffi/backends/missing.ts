/**
 * The errors of both backends for a missing symbol.
 *
 * @module
 */

import type { LibrarySpec } from "../abi.ts";
import { UnsupportedPlatformError } from "../../errors.ts";

/** Returns the error for a function of `spec` that is missing in the opened file. */
export function missingSymbol(spec: LibrarySpec, name: string, cause?: unknown): UnsupportedPlatformError {
  const symbol = spec.fns[name]?.symbol ?? name;
  return new UnsupportedPlatformError(`${spec.name} has no ${symbol} here`, {
    dll: spec.name,
    symbol,
    instead: spec.instead,
  }, { cause });
}

/** Returns a function that throws that error, for a missing optional function. */
export function missingFunction(spec: LibrarySpec, name: string): () => never {
  return () => {
    throw missingSymbol(spec, name);
  };
}
