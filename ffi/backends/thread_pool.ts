/**
 * Calls on other threads: keeps their arguments reachable until they end, and limits how many run.
 *
 * @module
 */

import { type Semaphore, semaphoreOfPool } from "./semaphore.ts";

const underWay = new Set<readonly unknown[]>();

/**
 * Runs a call on another thread and keeps its arguments reachable until it has ended: no runtime guarantees that, and
 * native code has only addresses.
 */
export async function holding<T>(args: readonly unknown[], call: () => T | PromiseLike<T>): Promise<T> {
  underWay.add(args);
  try {
    return await call();
  } finally {
    underWay.delete(args);
  }
}

/** Returns how many calls on other threads have not ended. */
export function callsUnderWay(): number {
  return underWay.size;
}

/**
 * koffi accepts 256 calls on other threads at a time and refuses further ones; half of them are left to the
 * application.
 */
const MOST_THREADS = 128;

/**
 * Returns the size of the pool that koffi shares with Node, read as libuv reads `UV_THREADPOOL_SIZE`; at most 128.
 */
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
 * The threads that the runtime has for blocking work, file operations and DNS included. Deno does not report their
 * number.
 *
 * @see https://github.com/denoland/deno/blob/main/runtime/tokio_util.rs
 */
function threadsOfRuntime(): number {
  const { Deno, process, navigator } = globalThis as unknown as Runtimes;
  if (!Deno) return poolThreads(process?.env.UV_THREADPOOL_SIZE);
  return Deno.build.os === "windows" ? 4 * (navigator?.hardwareConcurrency ?? 1) : 32;
}

let semaphore: Semaphore | undefined;

/** Returns the semaphore of the runtime's pool, one for all libraries and systems. */
export function poolSemaphore(): Semaphore {
  return semaphore ??= semaphoreOfPool(threadsOfRuntime());
}
