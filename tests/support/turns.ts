/** Turns of an event loop that the test controls. */

import type { Turn } from "../../sockets/limiter.ts";

/** Provides {@linkcode Turns.turn}, and counts its calls. */
export class Turns {
  readonly #asked = new Set<() => void>();

  /** Whether turns are being counted now. */
  get counted(): boolean {
    return this.#asked.size > 0;
  }

  /** The function for the code that counts turns. */
  readonly turn: Turn = (then) => {
    this.#asked.add(then);
    return () => void this.#asked.delete(then);
  };

  /** Runs `count` turns. */
  pass(count: number): void {
    for (; count > 0; count--) {
      const asked = [...this.#asked];
      this.#asked.clear();
      for (const then of asked) then();
    }
  }
}
