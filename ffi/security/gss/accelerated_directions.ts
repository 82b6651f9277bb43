/**
 * The keys of each direction of a context's records.
 *
 * @module
 */

import { StateError } from "../../../errors.ts";
import { type Enctype, ENCTYPES, USAGE } from "./accelerated_keys.ts";
import type { RecordCrypto } from "./accelerated_crypto.ts";
import { ChecksumKey, MessageKeys } from "./accelerated_messages.ts";
import type { ContextKeys, TypedKey } from "./lucid.ts";
import { FLAG } from "./rfc4121.ts";

/** Which end a direction's records come from, and by which of its keys. */
interface DirectionOptions {
  readonly fromInitiator: boolean;
  readonly acceptorSubkey: boolean;
  /** Whether this end sends them. */
  readonly sends: boolean;
}

/** The keys of one direction, made when they are first needed. */
export class Direction {
  /** The encryption type of its key. */
  readonly type: Enctype;
  /** The flags of its headers. */
  readonly flags: number;
  readonly #crypto: RecordCrypto;
  #key: Uint8Array | null;
  readonly #sends: boolean;
  readonly #usage: { readonly seal: number; readonly sign: number };
  #message?: MessageKeys;
  #wrapChecksum?: ChecksumKey;
  #micChecksum?: ChecksumKey;

  constructor(crypto: RecordCrypto, key: TypedKey, options: DirectionOptions) {
    const { fromInitiator, acceptorSubkey, sends } = options;
    this.type = ENCTYPES.get(key.enctype)!;
    this.#crypto = crypto;
    this.#key = key.key;
    this.#sends = sends;
    this.#usage = fromInitiator
      ? { seal: USAGE.initiatorSeal, sign: USAGE.initiatorSign }
      : { seal: USAGE.acceptorSeal, sign: USAGE.acceptorSign };
    this.flags = (fromInitiator ? 0 : FLAG.sentByAcceptor) | (acceptorSubkey ? FLAG.acceptorSubkey : 0);
  }

  /** For encrypted records. */
  get message(): MessageKeys {
    return this.#message ??= new MessageKeys(
      this.#crypto,
      this.type,
      this.#live,
      this.#usage.seal,
      this.#sends,
    );
  }

  /** For records that are signed only. */
  get wrapChecksum(): ChecksumKey {
    return this.#wrapChecksum ??= new ChecksumKey(this.#crypto, this.type, this.#live, this.#usage.seal);
  }

  /** For signatures. */
  get micChecksum(): ChecksumKey {
    return this.#micChecksum ??= new ChecksumKey(this.#crypto, this.type, this.#live, this.#usage.sign);
  }

  /** The key; never the zeros with which it was overwritten. */
  get #live(): Uint8Array {
    if (this.#key === null) throw new StateError("The keys of this context are closed");
    return this.#key;
  }

  /** Overwrites and frees what was made of the key, which the caller overwrites. */
  close(): void {
    this.#key = null;
    for (const keys of [this.#message, this.#wrapChecksum, this.#micChecksum]) keys?.close();
    this.#message = this.#wrapChecksum = this.#micChecksum = undefined;
  }
}

/** The directions of a context. */
export interface Directions {
  readonly sending: Direction;
  readonly receiving: Direction;
  /** By the session's key where the acceptor's subkey has replaced it; a peer may still use it. */
  readonly earlier: Direction;
}

/** Returns the directions of a context; the caller closes them, and overwrites `keys` then. */
export function directionsOf(crypto: RecordCrypto, keys: ContextKeys): Directions {
  const direction = (key: TypedKey, sends: boolean): Direction =>
    new Direction(crypto, key, {
      fromInitiator: keys.initiator === sends,
      acceptorSubkey: key === keys.acceptorSubkey,
      sends,
    });
  const key = keys.acceptorSubkey ?? keys.session;
  const receiving = direction(key, false);
  return {
    sending: direction(key, true),
    receiving,
    earlier: key === keys.session ? receiving : direction(keys.session, false),
  };
}
