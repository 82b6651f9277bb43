/**
 * A bound on how many calls run on threads of a pool that they share with the runtime.
 *
 * @module
 */

/** How often a wait without a thread looks whether it is over, in milliseconds: at first, and at last. */
const PAUSE_MS = { first: 1, last: 16 } as const;
/** When a wait that could not be woken is woken again. */
const RETRY_MS = 50;

/** A wait for what may never come: an accept, a datagram. Under way once at a time. */
export interface EndlessWait<T> {
  /** Waits on another thread; ends, too, after `wake`. */
  block(): Promise<T>;
  /** Ends `block`, whatever it waits for; false where that could not be done. */
  wake(): boolean;
  /** Looks on this thread, without waiting: what `block` would give, or `null`. */
  poll(): T | null;
}

/**
 * A gate for calls on threads of a pool of that many. One thread stays free: calls that wait for a server that does not
 * answer would else stop the application's files and DNS too. Where the pool has but one, calls use it, and waits do
 * without.
 */
export function gateOfPool(threads: number): Semaphore {
  return new Semaphore(Math.max(1, threads - 1), threads > 1);
}

/** Lets a number of calls through at a time; the others wait in the order they came. */
export class Semaphore {
  #free: number;
  readonly #mayBlock: boolean;
  readonly #queue: (() => void)[] = [];
  /** The waits that hold a thread and were not asked to give it back, the oldest first. */
  readonly #givers = new Set<EndlessWait<unknown>>();
  #retrying = false;

  /**
   * @param limit how many may run at a time, at least 1.
   * @param mayBlock whether waits without an end may be among them.
   */
  constructor(limit: number, mayBlock = true) {
    this.#free = limit;
    this.#mayBlock = mayBlock;
  }

  /** Runs `call`, which ends some time, once there is room; a wait has to make it. */
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
   * Waits on a thread where there is one to spare, and until it is needed; else by looking now and then. Ends also where
   * it was woken: call it again. What has no end never keeps a call from a thread, nor the other way round.
   */
  wait<T>(wait: EndlessWait<T>): Promise<T> {
    // Nobody is queued where there is room.
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

  /** Asks one wait to give its thread back. */
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
