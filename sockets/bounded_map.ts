/**
 * A map that forgets.
 *
 * @module
 */

/** Values by key, of which the one that was set first goes where there are too many. */
export class Recent<V> {
  readonly #limit: number;
  readonly #values = new Map<string, V>();

  /** @param limit the most it holds. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** How many it holds. */
  get size(): number {
    return this.#values.size;
  }

  /** The value of a key. */
  get(key: string): V | undefined {
    return this.#values.get(key);
  }

  /** Sets a value; gives the one that had to go. */
  set(key: string, value: V): V | undefined {
    let gone: V | undefined;
    if (!this.#values.has(key) && this.#values.size >= this.#limit) {
      const [oldest, held] = this.#values.entries().next().value!;
      this.#values.delete(oldest);
      gone = held;
    }
    this.#values.set(key, value);
    return gone;
  }

  /** Forgets a key. */
  delete(key: string): void {
    this.#values.delete(key);
  }
}
