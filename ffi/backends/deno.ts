/**
 * Opens libraries with `Deno.dlopen`, by their tables.
 *
 * @module
 */

import {
  type AbiType,
  type Backend,
  type FnSpec,
  type Library,
  type LibrarySpec,
  missingFunction,
  missingSymbol,
} from "../abi.ts";
import { holding, poolSemaphore } from "./thread_pool.ts";

interface DenoLibrary {
  symbols: Record<string, ((...args: unknown[]) => unknown) | null>;
  close(): void;
}

/** The part of the Deno namespace used here, so that no `Deno.*` type reaches a signature. */
interface DenoFfi {
  build: { os: string };
  dlopen(path: string, symbols: Record<string, unknown>): DenoLibrary;
  permissions: { querySync(query: { name: "ffi"; path: string }): { state: string } };
}

const NAMES: { readonly [T in AbiType]: string } = {
  u8: "u8",
  i32: "i32",
  u32: "u32",
  i64: "i64",
  u64: "u64",
  usize: "usize",
  buf: "buffer",
  void: "void",
};

/** The key for the variant of a function that runs on another thread. */
const threadedKey = (name: string): string => `${name}\u0000threaded`;

function lower(name: string, fn: FnSpec, nonblocking: boolean): Record<string, unknown> {
  return {
    name: fn.symbol ?? name,
    parameters: fn.params.map(([, type]) => NAMES[type]),
    result: NAMES[fn.result],
    optional: fn.optional ?? false,
    nonblocking,
  };
}

/** Deno's error message for a missing symbol. */
const NO_SYMBOL = /^Failed to register symbol ([^:]+):/;

function openFile(
  deno: DenoFfi,
  path: string,
  spec: LibrarySpec,
  table: Record<string, unknown>,
): DenoLibrary {
  try {
    return deno.dlopen(path, table);
  } catch (error) {
    const symbol = NO_SYMBOL.exec(error instanceof Error ? error.message : "")?.[1];
    if (symbol === undefined) throw error;
    throw missingSymbol(spec, symbol.split("\u0000")[0], error);
  }
}

/** The backend over `Deno.dlopen`. */
export function denoBackend(): Backend {
  const deno = (globalThis as unknown as { Deno: DenoFfi }).Deno;
  return {
    runtime: "deno",
    permits: (path) => deno.permissions.querySync({ name: "ffi", path }).state === "granted",
    open<L extends LibrarySpec>(path: string, spec: L): Library<L> {
      const table: Record<string, unknown> = {};
      for (const [name, fn] of Object.entries(spec.fns)) {
        table[name] = lower(name, fn, false);
        if (fn.threaded) table[threadedKey(name)] = lower(name, fn, true);
      }
      const library = openFile(deno, path, spec, table);
      const call: Record<string, unknown> = {};
      const threaded: Record<string, unknown> = {};
      for (const [name, fn] of Object.entries(spec.fns)) {
        const found = library.symbols[name];
        call[name] = found ?? missingFunction(spec, name);
        if (!fn.threaded) continue;
        // Deno returns a function for the threaded variant even where the symbol is missing.
        const twin = library.symbols[threadedKey(name)]!;
        const endless = fn.threaded === "endless";
        threaded[name] = found
          ? (...args: unknown[]) =>
            holding(args, () => endless ? twin(...args) : poolSemaphore().run(() => twin(...args)))
          : missingFunction(spec, name);
      }
      return {
        path,
        call: call as Library<L>["call"],
        threaded: threaded as Library<L>["threaded"],
        close: () => library.close(),
      };
    },
  };
}
