/**
 * A listener that runs many handshakes at once, none of which can block another.
 *
 * @module
 */

import { publish, summarize } from "../contexts/diagnostics.ts";
import { StateError } from "../errors.ts";
import { FailureLog, HANDSHAKES } from "./failure_log.ts";
import type { HandshakeOrigin } from "./options.ts";
import { Limiter, rejectClosedPeer, type Turn } from "./limiter.ts";
import { type NetAddress, quietly } from "./transport.ts";
import type { ListenSettings } from "./read_options.ts";
import type { SecureConn, SecureListener } from "./secure_conn.ts";
import { Deadline } from "./deadline.ts";

/** How long to wait after the first failed accept, and at most; doubled in between. */
const BACKOFF_MS = { first: 5, most: 1000 };

/** An accepted connection that is not secured yet. */
export interface Accepted {
  /** The peer's address. */
  readonly remoteAddr: NetAddress;
  /** Closes it. */
  close(): unknown;
}

/** The source of connections. */
export interface Acceptor<T extends Accepted> {
  /** The address it listens on. */
  readonly addr: NetAddress;
  /** The next connection. A rejection does not end the listener unless it was closed. */
  accept(): Promise<T>;
  /**
   * Set where the runtime accepts connections from the system by itself: whether hardly a file descriptor was left
   * after the last one. Left out where connections stay in the system's queue until they are accepted.
   */
  readonly scarce?: boolean;
  /** Stops listening; a pending accept rejects. */
  close(): unknown;
}

/** What one handshake uses and must call. */
export interface AttemptOptions {
  /** The deadline of every wait. */
  readonly deadline: Deadline;
  /** Call it once nothing that the listener shares is in use any more. */
  readonly release: () => void;
  /**
   * Await it once the peer's first token has arrived whole. Resolves when a slot is free, and rejects if the peer
   * closes the connection before. `peerEnded` is called, once, only if the handshake has to wait.
   */
  readonly begin: (peerEnded: () => Promise<void>) => Promise<void>;
  /** Call it when the handshake starts to wait for its peer, and when it stops. */
  readonly onWaiting: (waiting: boolean) => void;
}

/** What a listener uses. */
export interface ListenerSettings<T extends Accepted>
  extends Pick<ListenSettings, "maxHandshakes" | "timeoutMs" | "onHandshakeError" | "signal"> {
  /** Makes an accepted connection secure; closes it if that fails. */
  readonly secure: (accepted: T, options: AttemptOptions) => Promise<SecureConn>;
  /** Called once, when no handshake uses what they share; if it fails, `close()` rejects. */
  readonly release: () => unknown;
  /** Counts idle time; left out: the turns of the event loop. */
  readonly turn?: Turn;
}

interface Waiter {
  resolve(conn: SecureConn): void;
  reject(error: unknown): void;
}

/** Accepts connections from an acceptor, which it owns, until it is closed. */
export class Listener<T extends Accepted> implements SecureListener {
  readonly addr: NetAddress;
  readonly #acceptor: Acceptor<T>;
  readonly #settings: ListenerSettings<T>;
  readonly #log = new FailureLog(HANDSHAKES);
  readonly #limiter: Limiter;
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
    this.#limiter = new Limiter({ slots: maxHandshakes, unaccepted: () => this.#ready.length, turn });
    this.#track(this.#acceptAll());
    if (settings.signal?.aborted) this.#onAbort();
    else settings.signal?.addEventListener("abort", this.#onAbort, { once: true });
  }

  accept(): Promise<SecureConn> {
    if (this.#over) return Promise.reject(this.#over.error);
    const conn = this.#ready.shift();
    if (conn) {
      this.#wake();
      this.#limiter.settle();
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
      // Closing ends the loop; a signal's reason is thrown.
      if (!(error instanceof StateError && error === this.#over?.error)) throw error;
    } finally {
      await this.close();
    }
  }

  async #acceptAll(): Promise<void> {
    let backoff = BACKOFF_MS.first;
    while (!this.#over) {
      // Leaving connections unaccepted saves nothing where the runtime has already accepted them.
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
        // Neither a lack of file descriptors nor a peer that has already gone ends the listener.
        if (this.#over) return;
        this.#report(error, {});
        if (isExhausted(error)) {
          this.#limiter.shrink();
          await this.#limiter.waitForRoom();
        }
        await this.#sleep(backoff);
        backoff = Math.min(2 * backoff, BACKOFF_MS.most);
        continue;
      }
      const refusal = waits ? await this.#limiter.waitForRoom() : this.#limiter.admit(this.#acceptor.scarce!);
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
    const peer = this.#limiter.add((reason) => deadline.abort(reason));
    const begin = async (peerEnded: () => Promise<void>) => {
      const slot = peer.begin();
      if (slot === null) return;
      // The time spent on other peers does not count.
      const resume = deadline.pause();
      await deadline.race(Promise.race([slot, peerEnded().then(rejectClosedPeer)]));
      resume();
    };
    let release!: () => void;
    const released = new Promise<void>((resolve) => release = resolve);
    try {
      this.#deliver(await secure(accepted, { deadline, release, begin, onWaiting: peer.onWaiting }));
    } catch (error) {
      if (!this.#over) this.#report(error, { remoteAddr });
    } finally {
      deadline.end();
    }
    // A call into the provider that outlives an abort keeps its slot and the shared credentials.
    await released;
    this.#deadlines.delete(deadline);
    peer.leave();
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
    publish("secure-sockets.listener.refused", () => {
      const { hostname, port } = origin.remoteAddr ?? {};
      const remoteAddr = hostname === undefined || port === undefined ? undefined : { hostname, port };
      return { error: summarize(error), ...(remoteAddr && { remoteAddr }) };
    });
    this.#log.report(error, origin.remoteAddr, onHandshakeError && (() => onHandshakeError(error, origin)));
  }

  /** Waits for a change, or for `ms` milliseconds. */
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
      // Reported to callers of close(); without one it is ignored.
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
    this.#limiter.close();
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
