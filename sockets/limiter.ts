/**
 * Limits concurrent handshakes, and evicts the peer that has been idle longest when the limit is reached.
 *
 * A peer that sends nothing takes no slot, and is not evicted before it has had time to send something, however
 * busy this machine is.
 *
 * @module
 */

import { AuthenticationError, StateError, TransportError } from "../errors.ts";

/** How many connections may wait to begin a handshake, for each slot. */
export const CONNECTIONS_PER_SLOT = 16;
/**
 * The limit, as a multiple of the usual one, where the runtime accepts connections from the system by itself.
 * Elsewhere the number of connections over the limit is bounded by how many arrive in {@linkcode GRACE_TURNS}
 * turns.
 */
export const OVERFLOW = 4;
/** By how much the limit falls at most when the system is out of file descriptors: a handshake opens files too. */
export const SPARE = 8;
/** How many connections must arrive before a lowered limit grows by one. */
export const REGROWTH = 16;
/** How many turns a peer may be idle before it can be evicted. */
export const GRACE_TURNS = 25;
/** The shortest time of a turn, in milliseconds. */
const TURN_MS = 10;

/**
 * Calls `then` after one turn of the event loop; the returned function cancels the call.
 *
 * Idle time is counted in turns, not in milliseconds: a turn takes longer on a busy machine, and bytes that have
 * arrived are read before their peer counts as idle.
 */
export type Turn = (then: () => void) => () => void;

const turnOfLoop: Turn = (then) => {
  const timer = setTimeout(then, TURN_MS);
  return () => clearTimeout(timer);
};

/** Options of {@linkcode Limiter}. */
export interface LimiterOptions {
  /** How many handshakes may run at once. */
  readonly slots: number;
  /** How many slots are taken by finished connections that the application has not accepted yet. */
  readonly unaccepted: () => number;
  /** Counts turns; left out: the turns of this process's event loop. */
  readonly turn?: Turn;
}

/** A connected peer, as its handshake sees it. */
export interface LimitedPeer {
  /**
   * Call it once, when the first token has arrived whole. Resolves when a slot is free, in the order of the calls;
   * `null` if one is free at once.
   */
  begin(): Promise<void> | null;
  /** Call it when the handshake starts to wait for its peer, and when it stops. */
  onWaiting(waiting: boolean): void;
  /** Call it once, when the handshake no longer uses anything. */
  leave(): void;
}

/** Throws the error for a peer that closed the connection before a slot was free. */
export function rejectClosedPeer(): never {
  throw new AuthenticationError(
    "peer-closed",
    "The peer closed the connection while it waited for one of the slots (maxHandshakes), all of " +
      "which were taken",
  );
}

const SILENT = "The peer had not sent its first token";
const EVICTED = "and was evicted for a newer connection";

interface PeerState {
  stage: "silent" | "queued" | "active" | "evicted";
  /** The turn since which this end waits for the peer, if it does. */
  since: number;
  /** Ends its handshake. */
  readonly evict: (reason: StateError) => void;
  /** Lets its handshake begin. */
  start: () => void;
}

/** The handshake slots of one listener, and the connections that wait for them. */
export class Limiter {
  readonly #options: LimiterOptions;
  readonly #turn: Turn;
  /** Peers whose first token has not arrived whole, in the order in which they connected. */
  readonly #silent = new Set<PeerState>();
  /** Peers that are ready to begin, in the order in which their tokens arrived. */
  readonly #queue = new Set<PeerState>();
  /** Peers whose handshake has begun; an evicted one keeps its slot until it has left. */
  readonly #active = new Set<PeerState>();
  /** The active peers whose next bytes this end waits for, the longest wait first. */
  readonly #waitingForPeer = new Set<PeerState>();
  /** How many may wait to begin. It is lower for a while after the system was out of file descriptors. */
  #limit: number;
  /** How many have connected since the limit last grew. */
  #entered = 0;
  #turns = 0;
  #cancelTurn: (() => void) | null = null;
  #wakeNewcomer: (() => void) | null = null;
  #closed = false;

  constructor(options: LimiterOptions) {
    this.#options = options;
    this.#turn = options.turn ?? turnOfLoop;
    this.#limit = this.#most;
  }

  /**
   * Waits until there is room for one more connection; the peer that has been silent longest is evicted if there is
   * none.
   */
  async waitForRoom(): Promise<void> {
    while (!this.#closed && this.#isFull) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wakeNewcomer = resolve;
      this.settle();
      await promise;
    }
  }

  /**
   * Whether one more connection may be kept, for runtimes that cannot leave it in the system's queue. Returns an
   * error if not.
   *
   * Nobody is evicted before the grace period is over, except where `scarce` (hardly a file descriptor is left) or
   * where {@linkcode OVERFLOW} times the limit wait: then the peer that has been silent longest is evicted at once.
   */
  admit(scarce: boolean): Error | null {
    const most = OVERFLOW * this.#most;
    if (!scarce && this.#waiting < most) return null;
    const why = scarce ? "this process had hardly a file descriptor left" : `${most} connections waited`;
    if (this.#evictFirst(this.#silent, `${SILENT} while ${why}, ${EVICTED}`, 0)) return null;
    return scarce
      ? new TransportError(
        "EMFILE",
        "Cannot accept a connection: this process has hardly a file descriptor left, and no connection is silent. " +
          "Raise the limit (ulimit -n), or close what is not needed.",
      )
      : new StateError(
        `The connection was closed: ${most} others wait for one of ${this.#options.slots} slots ` +
          "(maxHandshakes), and none of them is silent",
      );
  }

  /** Lowers the limit. Call it when the system is out of file descriptors. */
  shrink(): void {
    const held = Math.min(this.#limit, this.#waiting);
    this.#limit = Math.max(1, held - Math.min(SPARE, held >> 3));
    this.#entered = 0;
  }

  /** Adds a peer. `evict` is called, at most once, when the peer is evicted. */
  add(evict: (reason: StateError) => void): LimitedPeer {
    const peer: PeerState = { stage: "silent", since: this.#turns, evict, start: () => {} };
    this.#silent.add(peer);
    this.#grow();
    this.settle();
    return {
      begin: () => this.#begin(peer),
      onWaiting: (waiting) => {
        // A peer that has not sent its first token whole counts as idle since it connected, in however many parts
        // it arrives.
        if (peer.stage !== "active") return;
        this.#waitingForPeer.delete(peer);
        if (waiting) this.#waitingForPeer.add(peer);
        peer.since = this.#turns;
        this.settle();
      },
      leave: () => {
        for (const group of [this.#silent, this.#queue, this.#active, this.#waitingForPeer]) {
          group.delete(peer);
        }
        this.settle();
      },
    };
  }

  /** Assigns free slots and evicts idle peers. Call it whenever the application has accepted a connection. */
  settle(): void {
    for (const peer of this.#queue) {
      if (this.#free <= 0) break;
      this.#queue.delete(peer);
      this.#active.add(peer);
      peer.stage = "active";
      peer.start();
    }
    while (this.#isCrowded && this.#evictSilent());
    if (this.#wakeNewcomer && !this.#isFull) this.#admitNewcomer();
    while (this.#shortage > 0 && this.#evictActive());
    const contended = (this.#isCrowded && this.#silent.size > 0) ||
      (this.#shortage > 0 && this.#waitingForPeer.size > 0);
    if (contended) this.#countTurn();
    else this.#stopCounting();
  }

  /** Assigns no more slots and evicts nobody. */
  close(): void {
    this.#closed = true;
    this.#stopCounting();
    this.#admitNewcomer();
  }

  #begin(peer: PeerState): Promise<void> | null {
    const { promise, resolve } = Promise.withResolvers<void>();
    // An evicted peer gets no slot: its handshake has been ended.
    if (peer.stage === "silent") {
      this.#silent.delete(peer);
      this.#queue.add(peer);
      peer.stage = "queued";
      peer.start = resolve;
      this.settle();
    }
    return this.#active.has(peer) ? null : promise;
  }

  get #most(): number {
    return this.#options.slots * CONNECTIONS_PER_SLOT;
  }

  get #waiting(): number {
    return this.#silent.size + this.#queue.size;
  }

  get #isFull(): boolean {
    return this.#waiting >= this.#limit;
  }

  /** Whether more connections wait than may, one that waits for room included. */
  get #isCrowded(): boolean {
    return !this.#closed && this.#waiting + (this.#wakeNewcomer ? 1 : 0) > this.#limit;
  }

  /**
   * Raises a lowered limit: at once up to one for each slot, then slowly, because each failed accept evicts a peer.
   */
  #grow(): void {
    if (this.#limit >= this.#most) return;
    if (this.#limit >= this.#options.slots && ++this.#entered < REGROWTH) return;
    this.#entered = 0;
    this.#limit++;
  }

  get #free(): number {
    return this.#closed ? 0 : this.#options.slots - this.#active.size - this.#options.unaccepted();
  }

  /** How many ready peers have neither a slot nor one that an evicted peer is about to leave. */
  get #shortage(): number {
    const leaving = [...this.#active].filter(({ stage }) => stage === "evicted").length;
    return this.#closed ? 0 : this.#queue.size - leaving;
  }

  #evictSilent(): boolean {
    return this.#evictFirst(
      this.#silent,
      `${SILENT} while ${this.#limit} connections waited, the most allowed for ` +
        `${this.#options.slots} slots (maxHandshakes), ${EVICTED}`,
    );
  }

  #evictActive(): boolean {
    return this.#evictFirst(
      this.#waitingForPeer,
      `The handshake waited for its peer while all ${this.#options.slots} slots (maxHandshakes) ` +
        "were taken, and was evicted for another peer that was ready to begin",
    );
  }

  /** Evicts the first peer of a group if it has been idle for `grace` turns. */
  #evictFirst(group: Set<PeerState>, why: string, grace = GRACE_TURNS): boolean {
    const [first] = group;
    if (first === undefined || this.#turns - first.since < grace) return false;
    group.delete(first);
    first.stage = "evicted";
    first.evict(new StateError(why));
    return true;
  }

  #admitNewcomer(): void {
    this.#wakeNewcomer?.();
    this.#wakeNewcomer = null;
  }

  /** Turns are counted only while somebody could be evicted for somebody else. */
  #countTurn(): void {
    this.#cancelTurn ??= this.#turn(() => {
      this.#cancelTurn = null;
      this.#turns++;
      this.settle();
    });
  }

  #stopCounting(): void {
    this.#cancelTurn?.();
    this.#cancelTurn = null;
  }
}
