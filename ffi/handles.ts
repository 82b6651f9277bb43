/**
 * Counts the open handles of the operating system: libraries, credentials, contexts. Tests check that every count is
 * zero after each success and each failure. Names and buffers are counted at the native calls themselves.
 *
 * @module
 */

const counts = new Map<string, number>();

/** Adds one to the count of `kind`. The returned function subtracts it again; further calls of it do nothing. */
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

/** Returns the number of open handles by kind; kinds without open handles are left out. */
export function liveHandles(): { [kind: string]: number } {
  return Object.fromEntries(counts);
}

/** The reference count of a resource. The resource ends when its owner has closed it and the count is zero. */
export class ReferenceCount {
  readonly #end: () => void;
  #count = 0;
  #closed = false;
  #ended = false;

  /** @param end releases the resource; called once. */
  constructor(end: () => void) {
    this.#end = end;
  }

  /** Whether the owner has closed it. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Adds a reference. The returned function releases it; further calls of it do nothing. */
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

  /** Closes the resource for its owner; calling it again does nothing. */
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
