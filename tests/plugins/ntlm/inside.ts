/** The guest's inside (guest/testing.ts), compiled once and wrapped so that tests hand over bytes. */

import { compileGuest } from "../../../scripts/assembly.ts";
import { ROOT } from "../../support/root.ts";

interface Exports {
  memory: WebAssembly.Memory;
  _initialize(): void;
  room(length: number): number;
  writtenAt(): number;
  writtenLength(): number;
  // deno-lint-ignore no-explicit-any
  [name: string]: any;
}

/** Calls into the guest's inside; pointers stay in here. */
export class Inside {
  readonly exports: Exports;
  #next = 0;
  #room = 0;

  constructor(module: WebAssembly.Module) {
    const host = { random() {}, clock: () => 0n };
    this.exports = new WebAssembly.Instance(module, { host }).exports as unknown as Exports;
    this.exports._initialize();
    this.#room = this.exports.room(1 << 20);
  }

  /** Forgets every place that was handed out. */
  reset(): void {
    this.#next = 0;
  }

  /** A place for `length` bytes. */
  place(length: number): number {
    const at = this.#room + this.#next;
    this.#next += (length + 15) & ~15;
    if (this.#next > 1 << 20) throw new RangeError("no room left");
    return at;
  }

  /** A place that holds `bytes`. */
  put(bytes: Uint8Array): number {
    const at = this.place(bytes.length);
    new Uint8Array(this.exports.memory.buffer).set(bytes, at);
    return at;
  }

  /** A copy of what stands at a place. */
  get(at: number, length: number): Uint8Array {
    return new Uint8Array(this.exports.memory.buffer).slice(at, at + length);
  }

  /** A copy of the last message the guest wrote. */
  written(): Uint8Array {
    return this.get(this.exports.writtenAt(), this.exports.writtenLength());
  }

  /** Calls `name` with `args` and a place of 16 bytes, and returns what stands there afterwards. */
  key(name: string, ...args: (number | Uint8Array)[]): Uint8Array {
    const to = this.place(16);
    this.exports[name](...this.flat(args), to);
    return this.get(to, 16);
  }

  /** Bytes as pointer and length. */
  flat(args: (number | bigint | Uint8Array)[]): (number | bigint)[] {
    return args.flatMap((arg) => arg instanceof Uint8Array ? [this.put(arg), arg.length] : [arg]);
  }
}

let module: Promise<WebAssembly.Module> | null = null;

/** A fresh instance of the guest's inside. */
export async function inside(): Promise<Inside> {
  module ??= compileGuest(ROOT, "plugins/ntlm/guest/testing.ts").then((wasm) => WebAssembly.compile(wasm));
  return new Inside(await module);
}
