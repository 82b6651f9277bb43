/**
 * The memory that this process holds. Needs `--v8-flags=--expose-gc`.
 *
 * @module
 */

import { readFileSync } from "node:fs";
import process from "node:process";

/** Memory of a process, in bytes. */
export interface Held {
  readonly resident: number;
  readonly heap: number;
  readonly buffers: number;
}

/** Collects garbage and returns the memory of the process, in bytes. */
export async function memory(): Promise<Held> {
  const { gc } = globalThis as { gc?: () => void };
  for (let round = 0; round < 5; round++) {
    gc?.();
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const resident = Number(/VmRSS:\s+(\d+)/.exec(readFileSync("/proc/self/status", "utf8"))?.[1]) * 1024;
  const { heapUsed, external } = process.memoryUsage();
  return { resident, heap: heapUsed, buffers: external };
}
