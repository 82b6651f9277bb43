/**
 * Lowers library tables to koffi, on Node.
 *
 * @module
 */

import type { AbiType, Backend, FnSpec, Library, LibrarySpec } from "../abi.ts";
import { UnsupportedPlatformError } from "../../errors.ts";
import { missingFunction, missingSymbol } from "./missing.ts";

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
  load(path: string): KoffiLibrary;
}

/** The part of Node's `process` used here. */
interface NodeProcess {
  getBuiltinModule(name: "node:module"): { createRequire(from: string): (name: string) => unknown };
  permission?: { has(scope: string): boolean };
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

function bindThreaded(fn: KoffiFunction, spec: FnSpec): (...args: unknown[]) => Promise<unknown> {
  return (...args) =>
    new Promise((resolve, reject) => {
      fn.async(...args, (error: unknown, result: unknown) => {
        // `args` is named here so that the buffers stay reachable until the call has ended.
        if (error) reject(error);
        else resolve(args.length >= 0 && isWide(spec.result) ? BigInt(result as number | bigint) : result);
      });
    });
}

/** The backend over koffi, which is loaded by the first library opened. */
export function koffiBackend(): Backend {
  const process = (globalThis as unknown as { process: NodeProcess }).process;
  let koffi: Koffi | undefined;
  const load = (): Koffi => {
    // Not `import("koffi")`: Deno would then ask the npm registry for it whenever this module is loaded.
    const { createRequire } = process.getBuiltinModule("node:module");
    try {
      return koffi ??= createRequire(import.meta.url)("koffi") as Koffi;
    } catch (cause) {
      // Under --permission without --allow-addons it is there and may not be loaded: another error's business.
      if ((cause as { code?: string }).code !== "MODULE_NOT_FOUND") throw cause;
      const instead = "Install the package with its dependencies: npm install koffi";
      throw new UnsupportedPlatformError("koffi, through which Node calls native libraries, is missing", {
        dll: "koffi",
        instead,
      }, { cause });
    }
  };
  return {
    runtime: "node",
    permits: () => process.permission?.has("addon") ?? true,
    open<L extends LibrarySpec>(path: string, spec: L): Library<L> {
      const library = load().load(path);
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
