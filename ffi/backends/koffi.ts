/**
 * Opens libraries with koffi, by their tables, on Node.
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
import { UnsupportedPlatformError } from "../../errors.ts";
import { EXIT_FNS } from "../raw/signal.ts";
import { type ExitFunctions, limitExit } from "./exit_limit.ts";
import { holding, poolSemaphore } from "./thread_pool.ts";

interface KoffiFunction {
  (...args: unknown[]): unknown;
  async(...args: unknown[]): void;
}

interface KoffiLibrary {
  func(name: string, result: string, params: string[]): KoffiFunction;
  unload(): void;
}

/** The part of koffi used here. */
interface Koffi {
  load(path: string | null): KoffiLibrary;
  config(): { async_stack_size: number };
  config(changes: { async_stack_size: number }): unknown;
}

interface NodeModules {
  readonly "node:module": { createRequire(from: string): Require };
  readonly "node:worker_threads": { readonly isMainThread: boolean };
}

/** The part of Node's `process` used here. */
interface NodeProcess {
  getBuiltinModule<N extends keyof NodeModules>(name: N): NodeModules[N];
  permission?: { has(scope: string): boolean };
  readonly platform: string;
  readonly arch: string;
  on(event: "exit", listener: (code: number) => void): unknown;
}

const NAMES: { readonly [T in AbiType]: string } = {
  u8: "uint8_t",
  i32: "int32_t",
  u32: "uint32_t",
  i64: "int64_t",
  u64: "uint64_t",
  usize: "uintptr_t",
  buf: "void *",
  void: "void",
};

function isWide(type: AbiType): boolean {
  return type === "usize" || type === "u64" || type === "i64";
}

function bindSync(fn: KoffiFunction, spec: FnSpec): (...args: unknown[]) => unknown {
  if (isWide(spec.result)) return (...args) => BigInt(fn(...args) as number | bigint);
  return fn;
}

/**
 * The stack of a call on another thread. With koffi's default of 128 KiB the process crashes where name service
 * modules need more.
 */
const STACK_BYTES = 1 << 20;

function bindThreaded(fn: KoffiFunction, spec: FnSpec): (...args: unknown[]) => Promise<unknown> {
  const wide = isWide(spec.result);
  const start = (args: unknown[]): Promise<unknown> =>
    new Promise((resolve, reject) => {
      fn.async(...args, (error: unknown, result: unknown) => {
        if (error) reject(error);
        else resolve(wide ? BigInt(result as number | bigint) : result);
      });
    });
  if (spec.threaded === "endless") return (...args) => holding(args, () => start(args));
  return (...args) => holding(args, () => poolSemaphore().run(() => start(args)));
}

let exitLimited = false;

/** Node's `require`, of a module or made by `createRequire`. */
interface Require {
  (name: string): unknown;
  resolve?: unknown;
}

/** What `require` throws. */
interface LoadError extends Error {
  code?: string;
  requireStack?: string[];
}

/** The `require` of a CommonJS module; this file is one in some bundles. */
declare const require: Require | undefined;

/** Loads koffi, sets the stack size of its threads unless the application uses koffi already, and limits the exit. */
function loadKoffi(process: NodeProcess): Koffi {
  let koffi: Koffi;
  try {
    // Not `import("koffi")`: Deno would then contact the npm registry whenever it loads this module.
    koffi = requireFromHere(process)("koffi") as Koffi;
  } catch (error) {
    throw koffiNotLoaded(process, error as LoadError);
  }
  try {
    if (koffi.config().async_stack_size < STACK_BYTES) koffi.config({ async_stack_size: STACK_BYTES });
  } catch {
    // The application has opened a library with koffi before; koffi's settings can no longer be changed.
  }
  const isMainThread = process.getBuiltinModule("node:worker_threads").isMainThread;
  if (process.platform === "linux" && isMainThread && !exitLimited) {
    exitLimited = true;
    limitExit(process, () => exitFunctions(koffi));
  }
  return koffi;
}

/** The functions that end a process, from the process itself. */
function exitFunctions(koffi: Koffi): ExitFunctions {
  const spec = { name: "libc", instead: "", files: {}, fns: EXIT_FNS };
  const own = koffi.load(null);
  const bound = Object.entries(EXIT_FNS).map(([name, fn]) => [name, bind(own, spec, name, fn)]);
  return Object.fromEntries(bound) as ExitFunctions;
}

/**
 * Returns a `require` that looks for packages from this file, or from the bundle that contains it. It never uses the
 * path that the file had on the machine that made the bundle: another user of this machine could put a different
 * koffi there.
 */
function requireFromHere(process: NodeProcess): Require {
  const { createRequire } = process.getBuiltinModule("node:module");
  // An ES module. webpack writes the build machine's path into `import.meta.url`, but not into
  // `import.meta.filename`. Bun leaves the latter in CommonJS, where it is a syntax error, unless the condition is as
  // simple as this.
  if (typeof require !== "function") return createRequire(import.meta.filename ?? import.meta.url);
  // A CommonJS bundle, where `import.meta.url` is undefined (esbuild) or that path (webpack, Bun).
  const isOwn = typeof require.resolve === "function" &&
    require !== (globalThis as { require?: unknown }).require;
  // Otherwise an ES module: `require` is then the global one of `node --eval`, or esbuild's, which only throws.
  return isOwn ? require : createRequire(import.meta.url);
}

/** Returns the error for a missing or broken koffi; an error of Node's permissions is returned unchanged. */
function koffiNotLoaded(process: NodeProcess, error: LoadError): Error {
  if (["ERR_ACCESS_DENIED", "ERR_DLOPEN_DISABLED"].includes(error.code ?? "")) return error;
  const [problem] = error.message.split("\n");
  const [from] = error.requireStack ?? [];
  const isMissing = error.code === "MODULE_NOT_FOUND" && problem.includes("'koffi'");
  return isMissing
    ? new UnsupportedPlatformError(
      `The npm package koffi, through which Node calls libraries, is missing${
        from ? `, seen from ${from}` : ""
      }`,
      {
        dll: "koffi",
        instead:
          "Install it: npm install koffi. A bundle needs node_modules/koffi beside it or in a folder above",
      },
      { cause: error },
    )
    : new UnsupportedPlatformError(
      `The npm package koffi, through which Node calls libraries, cannot be loaded on ${process.platform} ` +
        `${process.arch} (${problem})`,
      {
        dll: "koffi",
        instead:
          "Install it on this system, with its optional dependencies: npm install --include=optional koffi",
      },
      { cause: error },
    );
}

/** Returns the backend over koffi. Opening the first library loads koffi. */
export function koffiBackend(): Backend {
  const process = (globalThis as unknown as { process: NodeProcess }).process;
  let koffi: Koffi | undefined;
  return {
    runtime: "node",
    permits: () => process.permission?.has("addon") ?? true,
    open<L extends LibrarySpec>(path: string, spec: L): Library<L> {
      const library = (koffi ??= loadKoffi(process)).load(spec.inNode ? null : path);
      const call: Record<string, unknown> = {};
      const threaded: Record<string, unknown> = {};
      try {
        for (const [name, fn] of Object.entries(spec.fns)) {
          const bound = bind(library, spec, name, fn);
          call[name] = bound === null ? missingFunction(spec, name) : bindSync(bound, fn);
          if (fn.threaded) {
            threaded[name] = bound === null ? missingFunction(spec, name) : bindThreaded(bound, fn);
          }
        }
      } catch (error) {
        library.unload();
        throw error;
      }
      return {
        path,
        call: call as Library<L>["call"],
        threaded: threaded as Library<L>["threaded"],
        close: () => library.unload(),
      };
    },
  };
}

function bind(library: KoffiLibrary, spec: LibrarySpec, name: string, fn: FnSpec): KoffiFunction | null {
  try {
    return library.func(fn.symbol ?? name, NAMES[fn.result], fn.params.map(([, type]) => NAMES[type]));
  } catch (error) {
    if (fn.optional) return null;
    throw missingSymbol(spec, name, error);
  }
}
