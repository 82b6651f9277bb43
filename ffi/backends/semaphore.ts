/**
 * Limits how many calls run on the threads of a pool that they share with the runtime.
 *
 * @module
 */

/** The interval at which a wait without a thread polls, in milliseconds: the first one, and the longest one. */
const PAUSE_MS = { first: 1, last: 16 } as const;
/** After how many milliseconds a failed wake-up is tried again. */
const RETRY_MS = 50;

/** A wait without a time limit: for an accept, for a datagram. Runs once at a time. */
export interface EndlessWait<T> {
  /** Waits on another thread; also ends after `wake`. */
  block(): Promise<T>;
  /** Ends `block`; returns false where that failed. */
  wake(): boolean;
  /** Polls on this thread, without waiting: returns the result of `block`, or `null`. */
  poll(): T | null;
}

/**
 * Returns a semaphore for calls on the threads of a pool of that size. One thread stays free: otherwise calls that
 * wait for a server that does not answer would also block the application's file operations and DNS. Where the pool
 * has only one thread, calls use it and waits poll.
 */
export function semaphoreOfPool(threads: number): Semaphore {
  return new Semaphore(Math.max(1, threads - 1), threads > 1);
}

/** Runs a limited number of calls at a time; further calls wait in order. */
export class Semaphore {
  #free: number;
  readonly #mayBlock: boolean;
  readonly #queue: (() => void)[] = [];
  /** The waits that have a thread and were not asked to release it, oldest first. */
  readonly #givers = new Set<EndlessWait<unknown>>();
  #retrying = false;

  /**
   * @param limit the most calls that may run at a time; at least 1.
   * @param mayBlock whether waits without a time limit may use a thread.
   */
  constructor(limit: number, mayBlock = true) {
    this.#free = limit;
    this.#mayBlock = mayBlock;
  }

  /**
   * Runs `call`, which must end by itself, when a thread is free. A wait without a time limit releases its thread for
   * it.
   */
  async run<T>(call: () => T | PromiseLike<T>): Promise<T> {
    if (this.#free > 0) this.#free--;
    else {
      await new Promise<void>((resolve) => {
        this.#queue.push(resolve);
        this.#makeRoom();
      });
    }
    try {
      return await call();
    } finally {
      this.#leave();
    }
  }

  /**
   * Waits on a thread while one is free and no call needs it; otherwise polls. It also ends when it was woken, so
   * call it again. A wait never keeps a call from running, and calls never keep a wait from ending.
   */
  wait<T>(wait: EndlessWait<T>): Promise<T> {
    // While a thread is free, no call is queued.
    return this.#mayBlock && this.#free > 0 ? this.#block(wait) : this.#look(wait);
  }

  async #look<T>(wait: EndlessWait<T>): Promise<T> {
    for (let pause: number = PAUSE_MS.first;; pause = Math.min(2 * pause, PAUSE_MS.last)) {
      await new Promise((resolve) => setTimeout(resolve, pause));
      const found = wait.poll();
      if (found !== null) return found;
      if (this.#mayBlock && this.#free > 0) return await this.#block(wait);
    }
  }

  async #block<T>(wait: EndlessWait<T>): Promise<T> {
    this.#free--;
    this.#givers.add(wait);
    try {
      return await wait.block();
    } finally {
      this.#givers.delete(wait);
      this.#leave();
    }
  }

  #leave(): void {
    const next = this.#queue.shift();
    if (next) next();
    else this.#free++;
  }

  /** Asks one wait to release its thread. */
  #makeRoom(): void {
    for (const giver of this.#givers) {
      if (!giver.wake()) continue;
      this.#givers.delete(giver);
      return;
    }
    if (this.#givers.size === 0 || this.#retrying) return;
    this.#retrying = true;
    setTimeout(() => {
      this.#retrying = false;
      for (let count = this.#queue.length; count > 0; count--) this.#makeRoom();
    }, RETRY_MS);
  }
}
