/**
 * Where failures go that nobody asked to be told of, or whose observer failed itself.
 *
 * @module
 */

/** One line in this time, whatever strangers do. */
const INTERVAL_MS = 1000;

/** How a log speaks of what failed. */
interface FailureWords {
  /** One of them, with its peer `host:port` where that is known. */
  readonly one: (peer: string | undefined) => string;
  /** Several of them. */
  readonly many: string;
  /** What has the log. */
  readonly owner: string;
  /** The option whose function is told. */
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
   * Tells of one failure by `tell`; where there is none it is written, or counted.
   *
   * An observer that throws, or whose promise rejects, must not end what it watches, nor hide the failure it was told of:
   * both are written then, in one line, or counted as one.
   */
  report(error: unknown, peer: Peer | undefined, tell?: () => unknown): void {
    if (!tell) return this.#write(peer, text(error));
    const failed = (thrown: unknown): void =>
      this.#write(peer, `${text(error)}; and ${this.#words.observer} threw ${text(thrown)}`);
    try {
      // A function that promises something passes for one that gives nothing.
      Promise.resolve(tell()).catch(failed);
    } catch (thrown) {
      failed(thrown);
    }
  }

  /** Writes how many failures were only counted. */
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

/** Anything may be thrown, also what cannot be shown. */
function text(error: unknown): string {
  try {
    return String(error);
  } catch {
    return "a value that cannot be shown";
  }
}
