/**
 * A bounded map.
 *
 * @module
 */

/** A map that removes its oldest entry when it is full. */
export class BoundedMap<V> {
  readonly #limit: number;
  readonly #values = new Map<string, V>();

  /** @param limit The most entries it keeps. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** The number of entries. */
  get size(): number {
    return this.#values.size;
  }

  /** The value of a key. */
  get(key: string): V | undefined {
    return this.#values.get(key);
  }

  /**
   * Sets a value; returns the value that was removed to make room, if any. Setting a key again does not make it
   * newer.
   */
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

  /** Removes a key. */
  delete(key: string): void {
    this.#values.delete(key);
  }
}
