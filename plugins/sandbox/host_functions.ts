/**
 * The functions that a host may grant to a provider. They are synchronous, call nothing else, and cost fuel.
 *
 * @module
 */

import type { Signature } from "./declarations.ts";
import { breach, printable } from "./wire.ts";

/** One line that a provider logged. */
export interface LogLine {
  /** The provider's name. */
  readonly provider: string;
  /** How serious it is. */
  readonly level: "debug" | "information" | "warning";
  /** The text; control characters are replaced. The provider wrote it: do not trust it. */
  readonly text: string;
}

/** The host functions that a provider is granted; the others are refused. */
export interface ImportGrants {
  /** Cryptographic randomness. */
  random?: true;
  /** The time of day. */
  clock?: true;
  /**
   * Lines of text, for debugging; called after the provider's call has returned. A provider that has a secret can
   * write it here: do not grant it to a provider that handles real passwords.
   */
  log?: (line: LogLine) => void;
}

/** The name of a function that can be granted. */
export type ImportName = keyof ImportGrants;

/** The WebAssembly types of the functions. */
export const IMPORT_SIGNATURES: Readonly<Record<ImportName, Signature>> = {
  random: "i32,i32->",
  clock: "->i64",
  log: "i32,i32,i32->",
};

const RANDOM_BYTES = 65_536; // what crypto.getRandomValues gives at once
const RANDOM_COST = 1_000;
const CLOCK_COST = 1_000;
const LOG_COST = 2_000;
const COST_PER_BYTE = 8;
const LOG_BYTES = 1_024;
const LOG_LINES_PER_SECOND = 64;
const LEVELS = ["debug", "information", "warning"] as const;
const LOSSY_DECODER = new TextDecoder();

/** What the functions need from their instance. */
export interface HostedInstance {
  /** Uses up fuel; throws if none is left. */
  charge(cost: number): void;
  /** The bytes of a region that the guest named; throws if they are not all in its memory. */
  region(pointer: number, length: number, what: string): Uint8Array<ArrayBuffer>;
}

type HostFunction = (...parameters: number[]) => bigint | void;

/** Makes the functions that `names` lists, for one instance. */
export function hostFunctions(
  names: readonly ImportName[],
  grants: ImportGrants,
  provider: string,
  instance: HostedInstance,
): Record<string, HostFunction> {
  const all: Record<ImportName, HostFunction> = {
    random(pointer, length) {
      length >>>= 0;
      if (length > RANDOM_BYTES) {
        throw breach(`it requested ${length} random bytes, ${RANDOM_BYTES} are allowed`);
      }
      const region = instance.region(pointer >>> 0, length, "random");
      instance.charge(RANDOM_COST + COST_PER_BYTE * length);
      crypto.getRandomValues(region);
    },
    clock() {
      instance.charge(CLOCK_COST);
      return BigInt(Date.now());
    },
    log: logger(grants.log, provider, instance),
  };
  return Object.fromEntries(names.map((name) => [name, all[name]]));
}

function logger(sink: ImportGrants["log"], provider: string, instance: HostedInstance) {
  return (level: number, pointer: number, length: number): void => {
    length >>>= 0;
    if (length > LOG_BYTES) throw breach(`it logged ${length} bytes at once, ${LOG_BYTES} are allowed`);
    const region = instance.region(pointer >>> 0, length, "log");
    instance.charge(LOG_COST + COST_PER_BYTE * length);
    const text = printable(LOSSY_DECODER.decode(region));
    sink?.({ provider, level: LEVELS[level] ?? "warning", text });
  };
}

/**
 * Passes on the log lines of all instances of a provider: at a limited rate, and not while one of them runs.
 *
 * Lines over the limit are dropped silently.
 */
export function limitLines(sink: (line: LogLine) => void): (line: LogLine) => void {
  let second = 0, lines = 0;
  return (line) => {
    const now = Math.floor(Date.now() / 1000);
    if (now !== second) [second, lines] = [now, 0];
    if (++lines <= LOG_LINES_PER_SECOND) queueMicrotask(() => sink(line));
  };
}
