/**
 * Many handshakes at once, none of which can hold up another.
 *
 * @module
 */

import { StateError } from "../errors.ts";
import { FailureLog, HANDSHAKES } from "./failure_log.ts";
import type { HandshakeOrigin } from "./options.ts";
import { goneWhileWaiting, Limiter, type Turn } from "./limiter.ts";
import { type NetAddress, quietly } from "./transport.ts";
import type { ListenSettings } from "./read_options.ts";
import type { SecureConn, SecureListener } from "./secure_conn.ts";
import { Deadline } from "./deadline.ts";

/** How long to wait after the first failed accept, and at most; doubled between. */
const BACKOFF_MS = { first: 5, most: 1000 };

/** Something that was accepted and is not secured yet. */
export interface Accepted {
  /** The peer. */
  readonly remoteAddr: NetAddress;
  /** Closes it. */
  close(): unknown;
}

/** Where connections come from. */
export interface Acceptor<T extends Accepted> {
  /** Where it listens. */
  readonly addr: NetAddress;
  /** The next one. A rejection does not end the listening unless it was closed. */
  accept(): Promise<T>;
  /**
   * Given where the runtime takes connections from the system's queue by itself, accepted or not: whether the last one
   * left hardly a file descriptor. Left out where the system's queue holds them until they are accepted.
   */
  readonly scarce?: boolean;
  /** Stops; a waiting accept is rejected. */
  close(): unknown;
}

/** What one handshake may use and must tell. */
export interface AttemptMeans {
  /** The limit over every wait. */
  readonly deadline: Deadline;
  /** To be called once nothing that the listener lent is in use any more. */
  readonly release: () => void;
  /**
   * To be awaited when the peer's first token has come whole: resolves when there is a place, and rejects where the peer
   * has gone before. `peerEnded` is called, once, only where it has to wait.
   */
  readonly begin: (peerEnded: () => Promise<void>) => Promise<void>;
  /** To be called whenever the handshake begins, and stops, waiting for its peer. */
  readonly onWaiting: (waiting: boolean) => void;
}

/** What a listener works with. */
export interface ListenerSettings<T extends Accepted>
  extends Pick<ListenSettings, "maxHandshakes" | "timeoutMs" | "onHandshakeError" | "signal"> {
  /** Makes a connection of what was accepted; where it rejects, that is closed. */
  readonly secure: (accepted: T, means: AttemptMeans) => Promise<SecureConn>;
  /** Called once, when no handshake needs what they share; where it fails, closing does. */
  readonly release: () => unknown;
  /** How patience is counted; left out: by turns of the event loop. */
  readonly turn?: Turn;
}

interface Waiter {
  resolve(conn: SecureConn): void;
  reject(error: unknown): void;
}

/** Accepts from an acceptor, which becomes its own, until it is closed. */
export class Listener<T extends Accepted> implements SecureListener {
  readonly addr: NetAddress;
  readonly #acceptor: Acceptor<T>;
  readonly #settings: ListenerSettings<T>;
  readonly #log = new FailureLog(HANDSHAKES);
  readonly #places: Limiter;
  readonly #deadlines = new Set<Deadline>();
  readonly #busy = new Set<Promise<void>>();
  readonly #ready: SecureConn[] = [];
  readonly #waiters: Waiter[] = [];
  readonly #onAbort = (): void => void this.#stop(this.#settings.signal!.reason);
  #over: { readonly error: unknown } | null = null;
  #closing: Promise<void> | null = null;
  #wake: () => void = () => {};

  constructor(acceptor: Acceptor<T>, settings: ListenerSettings<T>) {
    this.addr = acceptor.addr;
    this.#acceptor = acceptor;
    this.#settings = settings;
    const { maxHandshakes, turn } = settings;
    this.#places = new Limiter({ places: maxHandshakes, unfetched: () => this.#ready.length, turn });
    this.#track(this.#acceptAll());
    if (settings.signal?.aborted) this.#onAbort();
    else settings.signal?.addEventListener("abort", this.#onAbort, { once: true });
  }

  accept(): Promise<SecureConn> {
    if (this.#over) return Promise.reject(this.#over.error);
    const conn = this.#ready.shift();
    if (conn) {
      this.#wake();
      this.#places.settle();
      return Promise.resolve(conn);
    }
    return new Promise((resolve, reject) => this.#waiters.push({ resolve, reject }));
  }

  close(): Promise<void> {
    return this.#stop(new StateError("The listener was closed"));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async *[Symbol.asyncIterator](): AsyncIterator<SecureConn, void, unknown> {
    try {
      for (;;) yield await this.accept();
    } catch (error) {
      // Closing ends the loop; a signal throws its reason.
      if (!(error instanceof StateError && error === this.#over?.error)) throw error;
    } finally {
      await this.close();
    }
  }

  async #acceptAll(): Promise<void> {
    let backoff = BACKOFF_MS.first;
    while (!this.#over) {
      // To leave connections unaccepted spares nothing where they are in this process already.
      const waits = this.#acceptor.scarce === undefined;
      if (waits && this.#ready.length >= this.#settings.maxHandshakes) {
        await this.#sleep();
        continue;
      }
      let accepted: T;
      try {
        accepted = await this.#acceptor.accept();
        backoff = BACKOFF_MS.first;
      } catch (error) {
        // Out of file descriptors, or the peer was gone again: neither ends the listening.
        if (this.#over) return;
        this.#report(error, {});
        if (isExhausted(error)) {
          this.#places.shrink();
          await this.#places.room();
        }
        await this.#sleep(backoff);
        backoff = Math.min(2 * backoff, BACKOFF_MS.most);
        continue;
      }
      const refusal = waits ? await this.#places.room() : this.#places.admit(this.#acceptor.scarce!);
      if (this.#over || refusal) {
        if (!this.#over) this.#report(refusal, { remoteAddr: accepted.remoteAddr });
        await quietly(() => accepted.close());
        continue;
      }
      this.#track(this.#attempt(accepted));
    }
  }

  async #attempt(accepted: T): Promise<void> {
    const { secure, timeoutMs } = this.#settings;
    const { remoteAddr } = accepted;
    const deadline = new Deadline(undefined, "The handshake", timeoutMs);
    this.#deadlines.add(deadline);
    const guest = this.#places.enter((reason) => deadline.abort(reason));
    const begin = async (peerEnded: () => Promise<void>) => {
      const place = guest.begin();
      if (place === null) return;
      // The time it takes the others is not the peer's.
      const resume = deadline.pause();
      await deadline.race(Promise.race([place, peerEnded().then(goneWhileWaiting)]));
      resume();
    };
    let release!: () => void;
    const released = new Promise<void>((resolve) => release = resolve);
    try {
      this.#deliver(await secure(accepted, { deadline, release, begin, onWaiting: guest.onWaiting }));
    } catch (error) {
      if (!this.#over) this.#report(error, { remoteAddr });
    } finally {
      deadline.end();
    }
    // A call into the provider that outlives an abort keeps its place, and the credentials that all share.
    await released;
    this.#deadlines.delete(deadline);
    guest.leave();
  }

  #deliver(conn: SecureConn): void {
    if (this.#over) {
      conn.close();
      return;
    }
    const waiter = this.#waiters.shift();
    if (waiter) waiter.resolve(conn);
    else this.#ready.push(conn);
  }

  #report(error: unknown, origin: HandshakeOrigin): void {
    const { onHandshakeError } = this.#settings;
    this.#log.report(error, origin.remoteAddr, onHandshakeError && (() => onHandshakeError(error, origin)));
  }

  /** Waits for a change, or for so many milliseconds. */
  #sleep(ms = Infinity): Promise<void> {
    return new Promise((resolve) => {
      const timer = ms === Infinity ? undefined : setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  #track(work: Promise<void>): void {
    this.#busy.add(work);
    work.finally(() => this.#busy.delete(work));
  }

  #stop(error: unknown): Promise<void> {
    if (!this.#closing) {
      this.#closing = this.#release(error);
      // For whoever awaits close(); where nobody does it is nobody's.
      this.#closing.catch(() => {});
    }
    return this.#closing;
  }

  async #release(error: unknown): Promise<void> {
    this.#over = { error };
    this.#settings.signal?.removeEventListener("abort", this.#onAbort);
    const closed = (async () => await this.#acceptor.close())();
    closed.catch(() => {});
    this.#wake();
    this.#places.close();
    for (const waiter of this.#waiters.splice(0)) waiter.reject(error);
    for (const deadline of this.#deadlines) deadline.abort(error);
    await Promise.all(this.#ready.splice(0).map((conn) => quietly(() => conn.close())));
    await Promise.all(this.#busy);
    this.#log.flush();
    try {
      await closed;
    } finally {
      await this.#settings.release();
    }
  }
}

/** Whether the system, or this process, has no room for another socket. */
function isExhausted(error: unknown): boolean {
  const { codeName } = (error ?? {}) as { codeName?: unknown };
  return /^(WSA)?E(MFILE|NFILE|NOBUFS|NOMEM)$/.test(String(codeName));
}
