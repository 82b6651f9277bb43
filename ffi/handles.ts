/**
 * Counts what is held of the operating system: libraries, credentials, contexts. The tests hold the counts against
 * zero after every success and every failure; what lies behind each of these, names and buffers, they count at the
 * native calls themselves.
 *
 * @module
 */

const counts = new Map<string, number>();

/** Counts one more of `kind`; the returned function counts it off again, once however often it is called. */
export function track(kind: string): () => void {
  counts.set(kind, (counts.get(kind) ?? 0) + 1);
  let held = true;
  return () => {
    if (!held) return;
    held = false;
    const left = (counts.get(kind) ?? 0) - 1;
    if (left === 0) counts.delete(kind);
    else counts.set(kind, left);
  };
}

/** What is held now, by kind; kinds of which nothing is held are left out. */
export function liveHandles(): { [kind: string]: number } {
  return Object.fromEntries(counts);
}

/** Counts the users of one thing. */
export class ReferenceCount {
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
