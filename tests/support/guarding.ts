/** The guard with the rules of the tests: any exports, the host's imports. */

import { guard, type GuardedModule, type GuardRules } from "../../plugins/sandbox/guard.ts";
import { IMPORT_SIGNATURES } from "../../plugins/sandbox/host_functions.ts";
import { DEFAULT_LIMITS } from "../../plugins/sandbox/limits.ts";
import { Counter } from "../../plugins/sandbox/counter.ts";

/** Rules that require only the memory, and grant all imports. */
export const ANY_MODULE: GuardRules = {
  limits: DEFAULT_LIMITS,
  importModule: "host",
  imports: new Map(Object.entries(IMPORT_SIGNATURES)),
  required: new Map(),
  optional: new Map(),
};

/** Guards a module with {@linkcode ANY_MODULE}, changed by `rules`. */
export function guardAny(module: Uint8Array, rules: Partial<GuardRules> = {}): GuardedModule {
  return guard(module, { ...ANY_MODULE, ...rules });
}

/** The part of an instance that a test uses. */
export type AnyExports = Record<string, CallableFunction> & {
  memory: WebAssembly.Memory;
  /** The fuel that is left; undefined where the module was not guarded. */
  fuel: { value: number };
};

/** Instantiates a module with harmless imports. */
export function instantiate(bytes: Uint8Array<ArrayBuffer>): AnyExports {
  const host = { random: () => {}, clock: () => 0n, log: () => {} };
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes), { host });
  const { [Counter.refuel]: refuel, [Counter.spend]: spend } = exports as Record<string, CallableFunction>;
  const fuel = refuel && {
    get value() {
      return spend(0);
    },
    set value(units: number) {
      refuel(units);
    },
  };
  return { ...exports, fuel } as AnyExports;
}

/** Calls `fn` and returns its result or its error as text. */
export function outcomeOf(fn: () => unknown): string {
  try {
    return `result ${fn()}`;
  } catch (error) {
    // The depth at which the stack overflows depends on the size of its frames.
    return error instanceof RangeError ? "stack" : `trap ${(error as Error).message}`;
  }
}
