/**
 * What calls on other threads need of this side: their arguments held until they end, and a bound on how many run.
 *
 * @module
 */

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

/**
 * A gate for calls on threads of a pool that they share with the runtime. One thread stays free: calls that wait for
 * a server that does not answer would else stop the application's files and DNS too.
 */
export function gateOfPool(threads: number): Gate {
  return new Gate(Math.max(1, threads - 1));
}

/** Lets a number of calls through at a time; the others wait in the order they came. */
export class Gate {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  /** @param limit how many may run at a time, at least 1. */
  constructor(limit: number) {
    this.#free = limit;
  }

  /** Runs `call` once there is room. */
  async run<T>(call: () => T | PromiseLike<T>): Promise<T> {
    if (this.#free > 0) this.#free--;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await call();
    } finally {
      const next = this.#waiting.shift();
      if (next) next();
      else this.#free++;
    }
  }
}
