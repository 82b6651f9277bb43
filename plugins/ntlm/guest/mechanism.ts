/**
 * NTLM itself, whatever carries its messages: what both roles have in common. A leg takes a message and yields the
 * next, or null where it noted a failure or where nothing is to be sent; `stage` reports which.
 */

import { Slice } from "../../sdk/assembly/index";
import { KEY_SIZE } from "./proof";
import { Direction } from "./session";

/** The session key, from the end of the exchange until the end of the session. */
export const SESSION_KEY: usize = memory.data(16, 16);

export enum Stage {
  /** It is the peer's turn. */
  Going,
  /** The account's hash is needed. */
  Asking,
  /** This end is satisfied. */
  Done,
  /** It cannot go on; the failure was noted. */
  Failed,
}

/** One end of one exchange, and of the session that follows. */
export abstract class Mechanism {
  stage: Stage = Stage.Going;
  /** Whether there are keys to sign with; where not, the client is authenticated and nothing is protected. */
  keyed: bool = true;
  /** Whether it must have them whatever else is required. */
  mustBeKeyed: bool = false;
  /** Whether records are sealed, or only signed. */
  sealed: bool = false;
  /** Both ends gave the same channel bindings, as far as this end can tell. */
  channelBound: bool = false;
  /** The peer's name in UTF-16: on a server proved, on a client the target. */
  peer: Slice = new Slice();
  /** On a server: the target the client named, in UTF-16; empty where it named none. */
  target: Slice = new Slice();
  readonly outgoing: Direction = new Direction();
  readonly incoming: Direction = new Direction();

  /** The next message, given the peer's; null means none, as argument and as result. */
  abstract next(message: Slice | null): Slice | null;

  /** Ends with a noted failure. */
  protected fail(): Slice | null {
    this.stage = Stage.Failed;
    return null;
  }

  /** Begins the session under `SESSION_KEY`. */
  protected open(client: bool): void {
    this.outgoing.begin(SESSION_KEY, client);
    this.incoming.begin(SESSION_KEY, !client);
    this.stage = Stage.Done;
  }

  wipe(): void {
    memory.fill(SESSION_KEY, 0, KEY_SIZE);
    this.outgoing.wipe();
    this.incoming.wipe();
  }
}

const BACKSLASH: usize = memory.data<u16>([0x5c]);

/** `domain\name`, or the name alone where there is no domain. */
export function qualified(domain: Slice, name: Slice): Slice {
  if (domain.len == 0) return name.copy();
  const whole = new Slice(heap.alloc(domain.len + 2 + name.len), domain.len + 2 + name.len);
  memory.copy(whole.ptr, domain.ptr, domain.len);
  memory.copy(whole.ptr + domain.len, BACKSLASH, 2);
  memory.copy(whole.ptr + domain.len + 2, name.ptr, name.len);
  return whole;
}
