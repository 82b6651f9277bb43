/** Finds copies of a secret: in every buffer that was written to, and in everything that a value can show. */

import { inspect as inspectOfNode } from "node:util";

/** UTF-8 and UTF-16 of a text. */
function encodings(secret: string): Uint8Array[] {
  const wide = new Uint8Array(secret.length * 2);
  const view = new DataView(wide.buffer);
  for (let index = 0; index < secret.length; index++) {
    view.setUint16(index * 2, secret.charCodeAt(index), true);
  }
  return [new TextEncoder().encode(secret), wide];
}

function holds(buffer: ArrayBufferLike, wanted: Uint8Array): boolean {
  const bytes = new Uint8Array(buffer);
  for (let at = bytes.indexOf(wanted[0]); at >= 0; at = bytes.indexOf(wanted[0], at + 1)) {
    if (wanted.every((byte, index) => bytes[at + index] === byte)) return true;
  }
  return false;
}

/** What was observed while a function ran. */
export interface Watched<T> {
  /** Its result. */
  readonly result: T;
  /** How many buffers contained the secret at some time. */
  readonly held: number;
  /** How many of them still contain it. */
  readonly left: number;
  /** What was written to the console. */
  readonly logged: string;
}

/**
 * Runs `fn` and observes every buffer that is written to with a `DataView`, `set`, `slice` or `TextEncoder`, which are the ways in
 * which the library writes. A password that the caller gave as bytes is not counted.
 */
export async function watchSecret<T>(
  secret: string,
  fn: () => Promise<T>,
  own?: Uint8Array,
): Promise<Watched<T>> {
  const forms = encodings(secret);
  const seen = new Set<ArrayBufferLike>();
  const note = (buffer: ArrayBufferLike): void => {
    if (buffer !== own?.buffer && !seen.has(buffer) && forms.some((form) => holds(buffer, form))) {
      seen.add(buffer);
    }
  };
  const logged: string[] = [];
  const undo = [
    replace(DataView.prototype, "setUint16", (original) =>
      function (this: DataView, ...args: unknown[]) {
        original.apply(this, args);
        note(this.buffer);
      }),
    replace(Uint8Array.prototype, "set", (original) =>
      function (this: Uint8Array, ...args: unknown[]) {
        original.apply(this, args);
        note(this.buffer);
      }),
    replace(Uint8Array.prototype, "slice", (original) =>
      function (this: Uint8Array, ...args: unknown[]) {
        const copy = original.apply(this, args) as Uint8Array;
        note(copy.buffer);
        return copy;
      }),
    replace(TextEncoder.prototype, "encode", (original) =>
      function (this: TextEncoder, ...args: unknown[]) {
        const encoded = original.apply(this, args) as Uint8Array;
        note(encoded.buffer);
        return encoded;
      }),
    ...(["log", "info", "warn", "error", "debug"] as const).map((level) =>
      replace(console, level, () => (...args: unknown[]) => void logged.push(shown(args)))
    ),
  ];
  try {
    const result = await fn();
    const left = [...seen].filter((buffer) => forms.some((form) => holds(buffer, form))).length;
    return { result, held: seen.size, left, logged: logged.join("\n") };
  } finally {
    for (const each of undo) each();
  }
}

type AnyFunction = (this: unknown, ...args: unknown[]) => unknown;

function replace(on: object, key: string, by: (original: AnyFunction) => unknown): () => void {
  const was = Object.getOwnPropertyDescriptor(on, key);
  const original = (on as { [key: string]: AnyFunction })[key];
  Object.defineProperty(on, key, { value: by(original), configurable: true, writable: true });
  return () => {
    if (was) Object.defineProperty(on, key, was);
    else delete (on as { [key: string]: unknown })[key];
  };
}

interface DenoInspect {
  inspect(value: unknown, options: object): string;
}

/** All that a log, a debugger or JSON can show of a value, with its prototypes' getters and an error's causes. */
export function shown(value: unknown): string {
  const deno = (globalThis as { Deno?: DenoInspect }).Deno;
  const parts = [
    String(value),
    inspectOfNode(value, { depth: Infinity, showHidden: true, getters: true, maxArrayLength: null }),
    deno?.inspect(value, { depth: 100, showHidden: true, getters: true, iterableLimit: 1e6 }),
    json(value),
  ];
  for (let error = value; error instanceof Error; error = error.cause) {
    parts.push(error.message, error.stack, json({ ...error }), json(Object.getOwnPropertyDescriptors(error)));
  }
  return parts.join("\n");
}

function json(value: unknown): string {
  const met = new Set<unknown>();
  return JSON.stringify(value, (_key, each) => {
    if (typeof each === "bigint") return String(each);
    if (typeof each !== "object" || each === null) return each;
    if (met.has(each)) return "again";
    met.add(each);
    return each;
  }) ?? "";
}
