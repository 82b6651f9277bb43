/**
 * A deadline shared by several operations: the caller's signal and a time-out.
 *
 * @module
 */

import { TimeoutError } from "../errors.ts";
import { quietly } from "./transport.ts";

/** A deadline. It can abort everything raced against it until its owner calls {@linkcode Deadline.end}. */
export class Deadline {
  /** Aborts when the deadline does, for operations that accept a signal. */
  readonly signal: AbortSignal;
  readonly #controller = new AbortController();
  readonly #aborted: Promise<never>;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #endsAt = 0;
  readonly #expire: () => void;
  readonly #outer: AbortSignal | undefined;
  readonly #onAbort = (): void => this.abort(this.#outer!.reason);

  /**
   * Starts the clock.
   *
   * @param timeoutMs Milliseconds; left out: no time-out.
   * @param what What timed out, as the start of a sentence.
   */
  constructor(outer: AbortSignal | undefined, what: string, timeoutMs?: number) {
    this.signal = this.#controller.signal;
    this.#aborted = new Promise((_, reject) => {
      this.signal.addEventListener("abort", () => reject(this.signal.reason), { once: true });
    });
    this.#aborted.catch(() => {});
    this.#outer = outer;
    this.#expire = () => this.abort(new TimeoutError(`${what} took longer than ${timeoutMs} ms`, timeoutMs!));
    if (outer?.aborted) return this.abort(outer.reason), this;
    outer?.addEventListener("abort", this.#onAbort, { once: true });
    if (timeoutMs !== undefined) this.#count(timeoutMs);
  }

  #count(leftMs: number): void {
    this.#endsAt = performance.now() + leftMs;
    this.#timer = setTimeout(this.#expire, leftMs);
  }

  /** Stops the clock until the returned function is called, or for good if the deadline ends first. */
  pause(): () => void {
    if (this.#timer === undefined) return () => {};
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const leftMs = Math.max(0, this.#endsAt - performance.now());
    return () => this.#count(leftMs);
  }

  /** Aborts every operation raced against the deadline. */
  abort(reason: unknown): void {
    this.#controller.abort(reason);
  }

  /**
   * Settles with `promise`, or rejects with the reason of an abort that comes first.
   *
   * @param discard Releases a result that arrives after the abort.
   */
  async race<T>(promise: Promise<T>, discard?: (late: T) => unknown): Promise<T> {
    try {
      this.signal.throwIfAborted();
      return await Promise.race([promise, this.#aborted]);
    } catch (error) {
      // A late result has no caller, nor has a failure to release it.
      if (this.signal.aborted) quietly(() => promise.then(discard));
      throw error;
    }
  }

  /** Stops the clock and stops listening to the caller's signal. */
  end(): void {
    clearTimeout(this.#timer);
    this.#outer?.removeEventListener("abort", this.#onAbort);
  }
}
