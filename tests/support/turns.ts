/** Turns of an event loop that go round when a test says so. */

import type { Turn } from "../../sockets/limiter.ts";

/** Hands out {@linkcode Turns.turn}, and counts what is asked of it. */
export class Turns {
  readonly #asked = new Set<() => void>();

  /** Whether somebody counts turns just now. */
  get counted(): boolean {
    return this.#asked.size > 0;
  }

  /** What is given to those that count. */
  readonly turn: Turn = (then) => {
    this.#asked.add(then);
    return () => void this.#asked.delete(then);
  };

  /** Goes round `count` times. */
  pass(count: number): void {
    for (; count > 0; count--) {
      const asked = [...this.#asked];
      this.#asked.clear();
      for (const then of asked) then();
    }
  }
}
