/**
 * What calls on other threads need of this side: their arguments held until they end, and a bound on how many run.
 *
 * @module
 */

import { gateOfPool, type Semaphore } from "./semaphore.ts";

const underWay = new Set<readonly unknown[]>();

/**
 * Runs a call on another thread and holds what it was given until it has ended: no runtime promises that, and the
 * native side knows only addresses.
 */
export async function holding<T>(args: readonly unknown[], call: () => T | PromiseLike<T>): Promise<T> {
  underWay.add(args);
  try {
    return await call();
  } finally {
    underWay.delete(args);
  }
}

/** How many calls on other threads have not ended. */
export function callsUnderWay(): number {
  return underWay.size;
}

/** koffi takes 256 calls on other threads at a time and refuses the next; half of them are the application's own. */
const MOST_THREADS = 128;

/** The threads of the pool that koffi shares with Node, read as libuv reads `UV_THREADPOOL_SIZE`; 128 at most. */
export function poolThreads(size: string | undefined): number {
  if (size === undefined) return 4;
  return Math.min(Math.max(Number.parseInt(size, 10) || 0, 1), MOST_THREADS);
}

/** The parts of the runtimes used here. */
interface Runtimes {
  readonly Deno?: { readonly build: { readonly os: string } };
  readonly process?: { readonly env: { readonly UV_THREADPOOL_SIZE?: string } };
  readonly navigator?: { readonly hardwareConcurrency?: number };
}

/**
 * The threads that the runtime keeps for whatever blocks, its files and DNS included. Deno offers no way to ask.
 *
 * @see https://github.com/denoland/deno/blob/main/runtime/tokio_util.rs
 */
function threadsOfRuntime(): number {
  const { Deno, process, navigator } = globalThis as unknown as Runtimes;
  if (!Deno) return poolThreads(process?.env.UV_THREADPOOL_SIZE);
  return Deno.build.os === "windows" ? 4 * (navigator?.hardwareConcurrency ?? 1) : 32;
}

let gate: Semaphore | undefined;

/** The gate of the runtime's pool: one for all libraries and systems. */
export function poolSemaphore(): Semaphore {
  return gate ??= gateOfPool(threadsOfRuntime());
}
