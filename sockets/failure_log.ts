/**
 * The log of failures that have no observer, or whose observer itself failed.
 *
 * @module
 */

/** At most one line in this time, however many peers fail. */
const INTERVAL_MS = 1000;

/** The words of a log. */
interface FailureWords {
  /** One failure, with its peer `host:port` if known. */
  readonly one: (peer: string | undefined) => string;
  /** Several failures. */
  readonly many: string;
  /** The object that owns the log. */
  readonly owner: string;
  /** The option that is the observer. */
  readonly observer: string;
}

/** Handshakes of a listener. */
export const HANDSHAKES: FailureWords = {
  one: (peer) => `a handshake${peer === undefined ? "" : ` with ${peer}`} failed`,
  many: "handshakes failed",
  owner: "a listener",
  observer: "onHandshakeError",
};

/** Datagrams whose sender is not secured as required. */
export const DATAGRAMS: FailureWords = {
  one: (peer) => `a datagram from ${peer} was dropped`,
  many: "datagrams were dropped",
  owner: "a socket for datagrams",
  observer: "onDropped",
};

/** A peer's address. */
interface Peer {
  readonly hostname: string;
  readonly port: number;
}

/** Writes failures to `console.warn`, at most one line a second, and counts those in between. */
export class FailureLog {
  readonly #words: FailureWords;
  #silentUntil = -Infinity;
  #unsaid = 0;

  constructor(words: FailureWords) {
    this.#words = words;
  }

  /**
   * Reports one failure by calling `tell`; without an observer it is written, or counted.
   *
   * An observer that throws, or whose promise rejects, must neither end what it observes nor hide the failure it
   * was called with: both are then written in one line, or counted as one.
   */
  report(error: unknown, peer: Peer | undefined, tell?: () => unknown): void {
    if (!tell) return this.#write(peer, text(error));
    const failed = (thrown: unknown): void =>
      this.#write(peer, `${text(error)}; and ${this.#words.observer} threw ${text(thrown)}`);
    try {
      // An async function is assignable to a function that returns void.
      Promise.resolve(tell()).catch(failed);
    } catch (thrown) {
      failed(thrown);
    }
  }

  /** Writes how many failures were counted but not written. */
  flush(): void {
    const count = this.#takeCount();
    if (count) console.warn(`secure-sockets: ${this.#words.owner} was closed${count}`);
  }

  #write(peer: Peer | undefined, what: string): void {
    const now = performance.now();
    if (now < this.#silentUntil) {
      this.#unsaid++;
      return;
    }
    this.#silentUntil = now + INTERVAL_MS;
    const one = this.#words.one(peer && `${peer.hostname}:${peer.port}`);
    console.warn(`secure-sockets: ${one}: ${what}${this.#takeCount()}`);
  }

  #takeCount(): string {
    const count = this.#unsaid;
    this.#unsaid = 0;
    return count === 0 ? "" : ` (and ${count} more ${this.#words.many} before)`;
  }
}

/** Anything may be thrown, including values that cannot be converted to text. */
function text(error: unknown): string {
  try {
    return String(error);
  } catch {
    return "a value that cannot be converted to text";
  }
}
