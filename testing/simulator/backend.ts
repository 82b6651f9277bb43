/**
 * Lowers library tables to a simulated host: the same tables and owners as for real libraries, without native code.
 *
 * @module
 */

import { type Backend, type Calls, type Library, type LibrarySpec, missingFunction } from "../../ffi/abi.ts";
import { currentRuntime } from "../../ffi/permissions.ts";
import type { Machine } from "./machine.ts";
import type { UCRTBASE } from "../../ffi/raw/ucrtbase.ts";

type Functions = { readonly [name: string]: unknown };
type Callable = (...args: unknown[]) => unknown;

/** The functions of a simulated host, by library. */
export interface SimulatedLibraries {
  readonly [library: string]: { readonly call: Functions; readonly threaded?: Functions };
}

/** The backend of one host. */
export function simulatedBackend(machine: Machine, libraries: SimulatedLibraries): Backend {
  const bind = (functions: Functions | undefined, spec: LibrarySpec, name: string): Callable => {
    const fn = functions?.[name] as Callable | undefined;
    return fn === undefined ? missingFunction(spec, name) : (...args) => {
      const fault = machine.faults.next(name);
      return fault === null ? fn(...args) : machine.fail(fault.code, fault.result);
    };
  };
  return {
    runtime: currentRuntime(),
    simulated: true,
    permits: () => true,
    open<L extends LibrarySpec>(path: string, spec: L): Library<L> {
      const library = libraries[spec.name];
      const call: Record<string, Callable> = {};
      const threaded: Record<string, Callable> = {};
      for (const [name, fn] of Object.entries(spec.fns)) {
        call[name] = bind(library?.call, spec, name);
        if (fn.threaded) threaded[name] = bind(library?.threaded, spec, name);
      }
      return {
        path,
        call: call as Library<L>["call"],
        threaded: threaded as Library<L>["threaded"],
        close: () => {},
      };
    },
  };
}

const EINVAL = 22;

/** The functions of a machine. */
export function libcCalls({ memory }: Machine): Calls<typeof UCRTBASE> {
  return {
    addressOf(dest, src, count) {
      if (count > 0n) dest!.set(src!.subarray(0, Number(count)));
      return memory.addressOf(dest!);
    },
    copyFrom(dest, src, count) {
      dest!.set(memory.at(src, Number(count)));
      return memory.addressOf(dest!);
    },
    copyTo(dest, src, count) {
      memory.at(dest, Number(count)).set(src!.subarray(0, Number(count)));
      return dest;
    },
    access: () => -1,
    fopen: () => 0n,
    fread: () => 0n,
    fclose: () => -1,
    _strdate_s: () => EINVAL,
    _strtime_s: () => EINVAL,
  };
}
