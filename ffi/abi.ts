/**
 * The types of the tables in `ffi/raw`, which declare a library's functions and their signatures as plain data. A
 * table is declared once; the backends convert it for `Deno.dlopen` and for koffi.
 *
 * @module
 */

import { UnsupportedPlatformError } from "../errors.ts";

/**
 * A parameter's or a result's type.
 *
 * `buf` is the address of a buffer's first byte (`null`: a null pointer). `usize` is for handles, lengths and
 * addresses, as `bigint`. Addresses are never pointer objects, which a path-limited `--allow-ffi` refuses.
 */
export type AbiType = "u8" | "i32" | "u32" | "i64" | "u64" | "usize" | "buf" | "void";

/** How one function is called. */
export interface FnSpec {
  /** The exported symbol, where it differs from the key in the table. */
  readonly symbol?: string;
  /** Each parameter's name, as in its documentation, and its type. */
  readonly params: readonly (readonly [name: string, type: AbiType])[];
  /** What it returns. */
  readonly result: AbiType;
  /**
   * True where older or other systems do not have the function; calling it there throws an
   * `UnsupportedPlatformError`.
   */
  readonly optional?: true;
  /**
   * True where it may wait for a network: it can then also be called on another thread, limited by the semaphore.
   * `"endless"` where it may wait for ever: the caller itself then uses `Semaphore.wait`.
   */
  readonly threaded?: true | "endless";
}

/** The operating systems a library can be looked for on. */
export type LibraryOs = "windows" | "linux" | "darwin";

/** One library and the functions taken from it. */
export interface LibrarySpec {
  /** The library's name in errors and tables. */
  readonly name: string;
  /** What to do where the library cannot be found. */
  readonly instead: string;
  /**
   * Where the library is: on Windows a file name in the system directory, elsewhere absolute paths in the order to
   * try (`{multiarch}` is replaced by the architecture's triplet).
   */
  readonly files: { readonly [os in LibraryOs]?: readonly string[] };
  /**
   * True where Node contains the library, and exports its functions. They are then used instead of a file's: a second
   * copy would call functions of the first by their names, which ends the process where the versions differ.
   */
  readonly inNode?: true;
  /** Its functions. */
  readonly fns: { readonly [name: string]: FnSpec };
}

/** What JavaScript passes for a parameter. */
export type AbiArgument<T extends AbiType> = T extends "buf" ? Uint8Array | null
  : T extends "usize" | "i64" | "u64" ? bigint
  : T extends "void" ? never
  : number;

/** What JavaScript gets for a result. */
export type AbiResult<T extends AbiType> = T extends "usize" | "i64" | "u64" ? bigint
  : T extends "void" ? undefined
  : number;

/** The arguments of a function, in order. */
export type AbiArguments<P extends FnSpec["params"]> = {
  -readonly [K in keyof P]: P[K] extends readonly [string, infer T extends AbiType] ? AbiArgument<T> : never;
};

/** The names of the functions that can be called on another thread. */
export type Threaded<F extends LibrarySpec["fns"]> = {
  [K in keyof F]: F[K] extends { readonly threaded: true | "endless" } ? K : never;
}[keyof F];

/** A library's functions, ready to call on this thread. */
export type Calls<L extends LibrarySpec> = {
  readonly [K in keyof L["fns"]]: (
    ...args: AbiArguments<L["fns"][K]["params"]>
  ) => AbiResult<L["fns"][K]["result"]>;
};

/** The functions that can be called on another thread; buffers given to one stay pinned until it settles. */
export type ThreadedCalls<L extends LibrarySpec> = {
  readonly [K in Threaded<L["fns"]>]: (
    ...args: AbiArguments<L["fns"][K]["params"]>
  ) => Promise<AbiResult<L["fns"][K]["result"]>>;
};

/** An open library. */
export interface Library<L extends LibrarySpec = LibrarySpec> {
  /** The file it was opened from. */
  readonly path: string;
  /** Its functions, called on this thread. */
  readonly call: Calls<L>;
  /** Those of its functions that may wait, called on another thread. */
  readonly threaded: ThreadedCalls<L>;
  /** Closes it; its functions must not be called afterwards. */
  close(): void;
}

/** How a runtime opens libraries. */
export interface Backend {
  /** The runtime. */
  readonly runtime: "deno" | "node";
  /** True for the simulator: it makes no native call, and nothing is protected. */
  readonly simulated?: true;
  /** Whether the runtime's permissions let the file be opened; never prompts. */
  permits(path: string): boolean;
  /** Opens the file at an absolute path and binds the table's functions; throws what the runtime throws. */
  open<L extends LibrarySpec>(path: string, spec: L): Library<L>;
}

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
