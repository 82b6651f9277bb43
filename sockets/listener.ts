/**
 * Many handshakes at once, none of which can hold up another.
 *
 * @module
 */

import { StateError } from "../errors.ts";
import { FailureLog } from "./failure_log.ts";
import type { HandshakeOrigin } from "./options.ts";
import type { ListenSettings } from "./read_options.ts";
import type { SecureConn } from "./secure_conn.ts";
import type { SecureListener } from "./secure_listener.ts";
import type { NetAddress } from "./transport.ts";
import { Watch } from "./watch.ts";

/** No peer is dropped for a newcomer before it had this long: a burst of honest clients must not push itself out. */
const GRACE_MS = 100;
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
  /** Stops; a waiting accept is rejected. */
  close(): unknown;
}

/** What one handshake may use and must tell. */
export interface AttemptMeans {
  /** The limit over every wait. */
  readonly watch: Watch;
  /** To be called once nothing that the listener lent is in use any more. */
  readonly release: () => void;
  /** To be called whenever the handshake begins, and stops, waiting for its peer. */
  readonly onWaiting: (waiting: boolean) => void;
}

/** What a listener works with. */
export interface ListenerSettings<T extends Accepted>
  extends Pick<ListenSettings, "maxHandshakes" | "timeoutMs" | "onHandshakeError" | "signal"> {
  /** Makes a connection of what was accepted; where it rejects, that is closed. */
  readonly secure: (accepted: T, means: AttemptMeans) => Promise<SecureConn>;
  /** Called once, when no handshake needs what they share. */
  readonly release: () => void;
}

interface Attempt {
  readonly watch: Watch;
  /** Since when it waits for its peer, in milliseconds; `Infinity` where it does not. */
  waitsSince: number;
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
  readonly #log = new FailureLog();
  readonly #attempts = new Set<Attempt>();
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
    this.#track(this.#acceptAll());
    if (settings.signal?.aborted) this.#onAbort();
    else settings.signal?.addEventListener("abort", this.#onAbort, { once: true });
  }

  accept(): Promise<SecureConn> {
    if (this.#over) return Promise.reject(this.#over.error);
    const conn = this.#ready.shift();
    this.#wake();
    if (conn) return Promise.resolve(conn);
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
      if (this.#ready.length >= this.#settings.maxHandshakes) {
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
        await this.#sleep(backoff);
        backoff = Math.min(2 * backoff, BACKOFF_MS.most);
        continue;
      }
      await this.#makePlace();
      if (this.#over) return void accepted.close();
      this.#track(this.#attempt(accepted));
    }
  }

  /** Waits until there is a place for one more handshake, at worst by dropping the one that waits longest. */
  async #makePlace(): Promise<void> {
    const { maxHandshakes } = this.#settings;
    while (!this.#over && this.#attempts.size >= maxHandshakes) {
      const oldest = [...this.#attempts].reduce((a, b) => b.waitsSince < a.waitsSince ? b : a);
      const left = oldest.waitsSince + GRACE_MS - performance.now();
      if (left > 0) {
        await this.#sleep(left);
        continue;
      }
      this.#attempts.delete(oldest);
      oldest.watch.abort(
        new StateError(
          `The handshake waited for its peer while all ${maxHandshakes} places (maxHandshakes) were taken, and was ` +
            "dropped for a newer one",
        ),
      );
    }
  }

  async #attempt(accepted: T): Promise<void> {
    const { secure, timeoutMs } = this.#settings;
    const { remoteAddr } = accepted;
    const watch = new Watch(undefined, "The handshake", timeoutMs);
    const attempt: Attempt = { watch, waitsSince: Infinity };
    this.#attempts.add(attempt);
    const onWaiting = (waiting: boolean) => {
      attempt.waitsSince = waiting ? performance.now() : Infinity;
      if (waiting) this.#wake();
    };
    let release!: () => void;
    const released = new Promise<void>((resolve) => release = resolve);
    try {
      this.#deliver(await secure(accepted, { watch, release, onWaiting }));
    } catch (error) {
      if (!this.#over) this.#report(error, { remoteAddr });
    } finally {
      watch.end();
    }
    // A call into the provider that outlives an abort keeps its place, and the credentials that all share.
    await released;
    this.#attempts.delete(attempt);
    this.#wake();
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
    if (!onHandshakeError) return this.#log.report(error, origin);
    try {
      onHandshakeError(error, origin);
    } catch (thrown) {
      // A handler that fails must not end the listening, nor hide the failure it was told of.
      this.#log.report(error, origin);
      this.#log.report(thrown, origin);
    }
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
    return this.#closing ??= this.#release(error);
  }

  async #release(error: unknown): Promise<void> {
    this.#over = { error };
    this.#settings.signal?.removeEventListener("abort", this.#onAbort);
    const closed = this.#acceptor.close();
    this.#wake();
    for (const waiter of this.#waiters.splice(0)) waiter.reject(error);
    for (const { watch } of this.#attempts) watch.abort(error);
    await Promise.all(this.#ready.splice(0).map((conn) => conn.close()));
    await Promise.all(this.#busy);
    await closed;
    this.#settings.release();
    this.#log.flush();
  }
}
