/**
 * What both backends say of a symbol that a library does not have.
 *
 * @module
 */

import type { LibrarySpec } from "../abi.ts";
import { UnsupportedPlatformError } from "../../errors.ts";

/** The error for a function of `spec` that the opened file lacks. */
export function missingSymbol(spec: LibrarySpec, name: string, cause?: unknown): UnsupportedPlatformError {
  const symbol = spec.fns[name]?.symbol ?? name;
  return new UnsupportedPlatformError(`${spec.name} has no ${symbol} here`, {
    dll: spec.name,
    symbol,
    instead: spec.instead,
  }, { cause });
}

/** Stands in for an optional function that is not there: says so when called. */
export function missingFunction(spec: LibrarySpec, name: string): () => never {
  return () => {
    throw missingSymbol(spec, name);
  };
}
