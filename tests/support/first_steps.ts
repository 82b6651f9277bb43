/** A backend that counts on which thread clients make their first steps. */

import { statSync } from "node:fs";
import type { Backend, Library, LibrarySpec } from "../../ffi/abi.ts";
import { runtimeBackend } from "./native.ts";

type Call = (...args: unknown[]) => unknown;

/** Counts calls of gss_init_sec_context without a token. */
export class FirstSteps {
  #here = 0;
  #elsewhere = 0;

  /** The first steps since the last time, in words. */
  take(): string {
    const text = `${this.#here} here, ${this.#elsewhere} elsewhere`;
    this.#here = this.#elsewhere = 0;
    return text;
  }

  /** The backend to open a system with, over another one. */
  backend(real: Backend = runtimeBackend()): Backend {
    const open = <L extends LibrarySpec>(path: string, spec: L): Library<L> => {
      const library = real.open(path, spec);
      const call = this.#counting(library.call, () => this.#here++) as Library<L>["call"];
      const threaded = this.#counting(library.threaded, () => this.#elsewhere++) as Library<L>["threaded"];
      return { ...library, call, threaded };
    };
    return { ...real, open };
  }

  #counting(calls: object, count: () => void): object {
    const { gss_init_sec_context: init } = calls as { gss_init_sec_context: Call };
    const TOKEN = 8;
    return {
      ...calls,
      gss_init_sec_context: (...args: unknown[]) => {
        if (args[TOKEN] === null) count();
        return init(...args);
      },
    };
  }
}

/** Waits until a file is old enough for another change of it to show in its time. */
export async function settled(path: string): Promise<void> {
  while (Date.now() - statSync(path).mtimeMs < 2100) await new Promise((resolve) => setTimeout(resolve, 50));
}
