/**
 * Who of those that have connected may begin a handshake, and who has to make room for others: nobody who says
 * nothing holds anything that somebody else needs, and nobody is dropped whom the machine alone has made late.
 *
 * @module
 */

import { AuthenticationError, StateError, TransportError } from "../errors.ts";

/** How many connections may be held that wait to begin, for each place. */
export const CONNECTIONS_PER_PLACE = 16;
/**
 * How many times as many are held at the most where the runtime takes connections from the system by itself; how many
 * there are beyond the limit is else bounded by how many come in {@linkcode GRACE_TURNS} turns.
 */
export const OVERFLOW = 4;
/** How many fewer wait, at the most, after the system could take no more: a handshake opens files of its own. */
export const SPARE = 8;
/** How many connections must have come for one more to be allowed to wait, after the system could take no more. */
export const REGROWTH = 16;
/** How many turns somebody must have waited for its peer before it is dropped for another. */
export const GRACE_TURNS = 25;
/** How long a turn takes at the least, in milliseconds. */
const TURN_MS = 10;

/**
 * Calls `then` once the event loop has gone round; what it returns takes that back.
 *
 * Patience is counted in turns and not in time: on a machine that is busy a turn takes as long as it takes, and
 * what has arrived meanwhile is read before anybody is said to have sent nothing.
 */
export type Turn = (then: () => void) => () => void;

const turnOfLoop: Turn = (then) => {
  const timer = setTimeout(then, TURN_MS);
  return () => clearTimeout(timer);
};

/** What {@linkcode Limiter} are made from. */
export interface PlacesOptions {
  /** How many handshakes may run at once. */
  readonly places: number;
  /** How many places are taken by connections that are ready and that nobody has fetched. */
  readonly unfetched: () => number;
  /** Left out: turns of this process's event loop. */
  readonly turn?: Turn;
}

/** One that has connected. */
export interface Guest {
  /**
   * Call it once, when the first token has come whole; resolves when there is a place, in the order of the calls.
   * `null`: there is one at once.
   */
  begin(): Promise<void> | null;
  /** Call it whenever the handshake begins, and stops, waiting for its peer. */
  onWaiting(waiting: boolean): void;
  /** Call it once, when nothing is held any more. */
  leave(): void;
}

/** Throws what becomes of one whose peer has closed the connection before there was a place. */
export function goneWhileWaiting(): never {
  throw new AuthenticationError(
    "peer-closed",
    "The peer closed the connection while it waited for one of the places (maxHandshakes), all of which were taken",
  );
}

const SILENT = "The peer had not sent its first token";
const DROPPED = "and was dropped for a newer one";

interface Member {
  stage: "silent" | "queued" | "placed" | "dropped";
  /** The turn since which it waits for its peer, where it does. */
  since: number;
  /** Ends its handshake. */
  readonly drop: (reason: StateError) => void;
  /** Lets it begin. */
  seat: () => void;
}

/** The places of one listener, and the room before them. */
export class Limiter {
  readonly #options: PlacesOptions;
  readonly #turn: Turn;
  /** Those whose first token has not come whole, in the order in which they came. */
  readonly #silent = new Set<Member>();
  /** Those that could begin, in the order in which their tokens came. */
  readonly #queue = new Set<Member>();
  /** Those that have begun; a dropped one keeps its place until it has left. */
  readonly #placed = new Set<Member>();
  /** Those of them that wait for their peer, the longest wait first. */
  readonly #stuck = new Set<Member>();
  /** How many may wait to begin: fewer for a while where the system could hold no more. */
  #limit: number;
  /** How many have come since the limit last grew. */
  #entered = 0;
  #turns = 0;
  #cancelTurn: (() => void) | null = null;
  #wakeNewcomer: (() => void) | null = null;
  #closed = false;

  constructor(options: PlacesOptions) {
    this.#options = options;
    this.#turn = options.turn ?? turnOfLoop;
    this.#limit = this.#most;
  }

  /** Waits until there is room for one more; where there is none, the one that has been silent longest is dropped. */
  async room(): Promise<void> {
    while (!this.#closed && this.#isFull) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wakeNewcomer = resolve;
      this.settle();
      await promise;
    }
  }

  /**
   * Whether one more may be held that cannot be left in the system's queue; an error is why not. Its coming drops nobody
   * before the grace is over, except where `scarce`, for hardly a file descriptor is left, or where
   * {@linkcode OVERFLOW} times the limit wait: then the one that has been silent longest goes at once.
   */
  admit(scarce: boolean): Error | null {
    const most = OVERFLOW * this.#most;
    if (!scarce && this.#waiting < most) return null;
    const why = scarce ? "this process had hardly a file descriptor left" : `${most} connections waited`;
    if (this.#dropFirst(this.#silent, `${SILENT} while ${why}, ${DROPPED}`, 0)) return null;
    return scarce
      ? new TransportError(
        "EMFILE",
        "Cannot accept a connection: this process has hardly a file descriptor left, and no connection is silent. " +
          "Raise the limit (ulimit -n), or close what is not needed.",
      )
      : new StateError(
        `The connection was dropped: ${most} others wait for one of ${this.#options.places} places ` +
          "(maxHandshakes), and none of them is silent",
      );
  }

  /** To be called when the system could take no more: those that wait to begin are then too many already. */
  shrink(): void {
    const held = Math.min(this.#limit, this.#waiting);
    this.#limit = Math.max(1, held - Math.min(SPARE, held >> 3));
    this.#entered = 0;
  }

  /** Takes one in; `drop` is called, at most once, where it must go. */
  enter(drop: (reason: StateError) => void): Guest {
    const member: Member = { stage: "silent", since: this.#turns, drop, seat: () => {} };
    this.#silent.add(member);
    this.#grow();
    this.settle();
    return {
      begin: () => this.#begin(member),
      onWaiting: (waiting) => {
        // Who has not sent its first token has waited since it came, in however many pieces that comes.
        if (member.stage !== "placed") return;
        this.#stuck.delete(member);
        if (waiting) this.#stuck.add(member);
        member.since = this.#turns;
        this.settle();
      },
      leave: () => {
        for (const group of [this.#silent, this.#queue, this.#placed, this.#stuck]) group.delete(member);
        this.settle();
      },
    };
  }

  /** Gives what is free to whom it is due; call it whenever a connection was fetched. */
  settle(): void {
    for (const member of this.#queue) {
      if (this.#free <= 0) break;
      this.#queue.delete(member);
      this.#placed.add(member);
      member.stage = "placed";
      member.seat();
    }
    while (this.#isCrowded && this.#dropSilent());
    if (this.#wakeNewcomer && !this.#isFull) this.#letNewcomerGo();
    while (this.#lacking > 0 && this.#dropPlaced());
    const impatient = (this.#isCrowded && this.#silent.size > 0) ||
      (this.#lacking > 0 && this.#stuck.size > 0);
    if (impatient) this.#countTurn();
    else this.#stopCounting();
  }

  /** Gives out nothing more and drops nobody any more. */
  close(): void {
    this.#closed = true;
    this.#stopCounting();
    this.#letNewcomerGo();
  }

  #begin(member: Member): Promise<void> | null {
    const { promise, resolve } = Promise.withResolvers<void>();
    // One that was dropped meanwhile waits for nothing: its handshake has been ended.
    if (member.stage === "silent") {
      this.#silent.delete(member);
      this.#queue.add(member);
      member.stage = "queued";
      member.seat = resolve;
      this.settle();
    }
    return this.#placed.has(member) ? null : promise;
  }

  get #most(): number {
    return this.#options.places * CONNECTIONS_PER_PLACE;
  }

  get #waiting(): number {
    return this.#silent.size + this.#queue.size;
  }

  get #isFull(): boolean {
    return this.#waiting >= this.#limit;
  }

  /** Whether more wait, the newcomer included, than may. */
  get #isCrowded(): boolean {
    return !this.#closed && this.#waiting + (this.#wakeNewcomer ? 1 : 0) > this.#limit;
  }

  /** Lets more wait: at once up to one for each place, then slowly, for each failed accept drops somebody. */
  #grow(): void {
    if (this.#limit >= this.#most) return;
    if (this.#limit >= this.#options.places && ++this.#entered < REGROWTH) return;
    this.#entered = 0;
    this.#limit++;
  }

  get #free(): number {
    return this.#closed ? 0 : this.#options.places - this.#placed.size - this.#options.unfetched();
  }

  /** How many of those that could begin have no place, nor one that is about to be left. */
  get #lacking(): number {
    const leaving = [...this.#placed].filter(({ stage }) => stage === "dropped").length;
    return this.#closed ? 0 : this.#queue.size - leaving;
  }

  #dropSilent(): boolean {
    return this.#dropFirst(
      this.#silent,
      `${SILENT} while ${this.#limit} connections waited, as many as may before ` +
        `${this.#options.places} places (maxHandshakes), ${DROPPED}`,
    );
  }

  #dropPlaced(): boolean {
    return this.#dropFirst(
      this.#stuck,
      `The handshake waited for its peer while all ${this.#options.places} places (maxHandshakes) were taken, and ` +
        "was dropped for another that could begin",
    );
  }

  /** Drops the first of a group if it has waited for that many turns. */
  #dropFirst(group: Set<Member>, why: string, grace = GRACE_TURNS): boolean {
    const [first] = group;
    if (first === undefined || this.#turns - first.since < grace) return false;
    group.delete(first);
    first.stage = "dropped";
    first.drop(new StateError(why));
    return true;
  }

  #letNewcomerGo(): void {
    this.#wakeNewcomer?.();
    this.#wakeNewcomer = null;
  }

  /** Turns are counted while somebody lacks what another could be dropped for, and at no other time. */
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
