/**
 * Writes one after the other, in the order they were asked for.
 *
 * @module
 */

interface Job {
  run(): Promise<void>;
  resolve(): void;
  reject(error: unknown): void;
}

/** A queue of which the first failure is the last. */
export class WriteQueue {
  readonly #jobs: Job[] = [];
  readonly #onFailure: (error: unknown) => void;
  #stopped: { readonly error: unknown } | null = null;

  /** @param onFailure Told of the first job that fails; it must call {@linkcode WriteQueue.stop}. */
  constructor(onFailure: (error: unknown) => void) {
    this.#onFailure = onFailure;
  }

  /** Whether a job is under way or waits. */
  get busy(): boolean {
    return this.#jobs.length > 0;
  }

  /** Runs `run` behind all jobs before it. */
  add(run: () => Promise<void>): Promise<void> {
    if (this.#stopped) return Promise.reject(this.#stopped.error);
    return new Promise((resolve, reject) => {
      this.#jobs.push({ run, resolve, reject });
      if (this.#jobs.length === 1) this.#drain();
    });
  }

  /** Rejects every job, the one under way included, which nothing waits for any more. */
  stop(error: unknown): void {
    this.#stopped = { error };
    for (const job of this.#jobs.splice(0)) job.reject(error);
  }

  async #drain(): Promise<void> {
    for (let job = this.#jobs[0]; job; job = this.#jobs[0]) {
      try {
        await job.run();
      } catch (error) {
        return this.#onFailure(error);
      }
      if (this.#stopped) return;
      this.#jobs.shift();
      job.resolve();
    }
  }
}
