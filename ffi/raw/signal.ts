/**
 * The parts of <signal.h>, <time.h> and <dlfcn.h> that set a timer which ends the process. No logic.
 *
 * @module
 */

import type { FnSpec } from "../abi.ts";
import type { Fields } from "../memory/struct.ts";

/**
 * Functions that end a process at a given time. Linux has all of them; glibc before 2.34 lacks the timers. On other
 * systems `timer_create` is missing, or starts no thread.
 *
 * @see https://pubs.opengroup.org/onlinepubs/9799919799/functions/timer_create.html
 */
export const EXIT_FNS = {
  dlsym: { params: [["handle", "usize"], ["name", "buf"]], result: "usize", optional: true },
  timer_create: {
    params: [["clockid", "i32"], ["sevp", "buf"], ["timerid", "buf"]],
    result: "i32",
    optional: true,
  },
  timer_settime: {
    params: [["timerid", "usize"], ["flags", "i32"], ["new_value", "buf"], ["old_value", "buf"]],
    result: "i32",
    optional: true,
  },
} as const satisfies { readonly [name: string]: FnSpec };

/** `CLOCK_MONOTONIC` */
export const CLOCK_MONOTONIC = 1;
/** `SIGEV_THREAD`: the timer calls a function on a separate thread. */
export const SIGEV_THREAD = 2;

/** `struct sigevent` with what `SIGEV_THREAD` uses; 64 bytes in all. */
export const SIGEVENT_FIELDS = {
  sigev_value: "usize",
  sigev_signo: "i32",
  sigev_notify: "i32",
  sigev_notify_function: "ptr",
  sigev_notify_attributes: "ptr",
  reserved: ["u8", 32],
} as const satisfies Fields;

/** `struct itimerspec` on 64-bit Linux. */
export const ITIMERSPEC_FIELDS = {
  interval_sec: "i64",
  interval_nsec: "i64",
  value_sec: "i64",
  value_nsec: "i64",
} as const satisfies Fields;
