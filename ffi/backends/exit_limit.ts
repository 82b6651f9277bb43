/**
 * Limits how long a Node process takes to exit while calls run on other threads. Node waits for the threads of its
 * pool first, and libkrb5 may wait half a minute for a KDC that does not answer, from release 1.22 on without limit.
 *
 * @module
 */

import {
  CLOCK_MONOTONIC,
  type EXIT_FNS,
  ITIMERSPEC_FIELDS,
  SIGEV_THREAD,
  SIGEVENT_FIELDS,
} from "../raw/signal.ts";
import { struct } from "../memory/struct.ts";
import { callsUnderWay } from "./thread_pool.ts";

/** How long the process waits for its calls after the `exit` event, in seconds. */
const EXIT_LIMIT_S = 3n;

/** The functions of {@linkcode EXIT_FNS}, bound in the process itself; `null` for a missing one. */
export type ExitFunctions = {
  readonly [name in keyof typeof EXIT_FNS]: ((...args: unknown[]) => unknown) | null;
};

/**
 * Ends the process with its exit code {@linkcode EXIT_LIMIT_S} seconds after its `exit` event, where calls are still
 * running then. Call it once, on the main thread: the end of a worker is not the end of the process, and no event
 * precedes it.
 *
 * @param functions called at the event; returns the functions to use.
 */
export function limitExit(
  process: { on(event: "exit", listener: (code: number) => void): unknown },
  functions: () => ExitFunctions,
): void {
  process.on("exit", (code) => {
    try {
      if (callsUnderWay() > 0) endLater(functions(), code);
    } catch {
      // Waiting for the calls is better than exiting with another code.
    }
  });
}

/** Calls `_exit(code)` on a separate thread when the limit is over. */
function endLater({ dlsym, timer_create, timer_settime }: ExitFunctions, code: number): void {
  if (!dlsym || !timer_create || !timer_settime) return;
  const end = BigInt(dlsym(0n, new TextEncoder().encode("_exit\0")) as number | bigint);
  if (end === 0n) return;
  const event = write(struct("sigevent", SIGEVENT_FIELDS), {
    sigev_value: BigInt.asUintN(64, BigInt(code)),
    sigev_notify: SIGEV_THREAD,
    sigev_notify_function: end,
  });
  const timer = new BigUint64Array(1);
  if (timer_create(CLOCK_MONOTONIC, event, new Uint8Array(timer.buffer)) !== 0) return;
  timer_settime(
    timer[0],
    0,
    write(struct("itimerspec", ITIMERSPEC_FIELDS), { value_sec: EXIT_LIMIT_S }),
    null,
  );
}

function write<V>(layout: { size: number; write(view: DataView, values: V): void }, values: V): Uint8Array {
  const bytes = new Uint8Array(layout.size);
  layout.write(new DataView(bytes.buffer), values);
  return bytes;
}
