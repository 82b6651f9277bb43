/**
 * An end for a process on Node that exits while calls on other threads are under way. Node joins the threads of its
 * pool first, and libkrb5 may wait for a silent KDC for half a minute, from release 1.22 on without any limit.
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

/** How long, from the `exit` event on, the process still waits for its calls, in seconds. */
const EXIT_LIMIT_S = 3n;

/** The functions of {@linkcode EXIT_FNS}, bound in the process itself; `null` for one that it has not. */
export type ExitFunctions = {
  readonly [name in keyof typeof EXIT_FNS]: ((...args: unknown[]) => unknown) | null;
};

/**
 * Has the process end by itself with its exit code, {@linkcode EXIT_LIMIT_S} after its `exit` event, where calls are
 * under way then. Call it once, on the main thread: a worker's end is not the process's, and no event precedes it.
 *
 * @param functions Called at the event.
 */
export function limitExit(
  process: { on(event: "exit", listener: (code: number) => void): unknown },
  functions: () => ExitFunctions,
): void {
  process.on("exit", (code) => {
    try {
      if (callsUnderWay() > 0) endLater(functions(), code);
    } catch {
      // To wait for the calls is better than to exit with another code.
    }
  });
}

/** Calls `_exit(code)` on a thread of its own after a while. */
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
