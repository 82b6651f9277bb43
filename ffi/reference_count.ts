/**
 * Something that is used by several and ends once: when its owner has closed it and nobody uses it any more.
 *
 * @module
 */

/** Counts the users of one thing. */
export class Users {
  readonly #end: () => void;
  #count = 0;
  #closed = false;
  #ended = false;

  /** @param end Ends the thing; called once. */
  constructor(end: () => void) {
    this.#end = end;
  }

  /** Whether the owner has closed it. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Keeps it from ending until the result is called, which does nothing when called again. */
  hold(): () => void {
    this.#count++;
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      this.#count--;
      this.#endIfUnused();
    };
  }

  /** The owner's leave; calling it again does nothing. */
  close(): void {
    this.#closed = true;
    this.#endIfUnused();
  }

  #endIfUnused(): void {
    if (!this.#closed || this.#ended || this.#count > 0) return;
    this.#ended = true;
    this.#end();
  }
}
