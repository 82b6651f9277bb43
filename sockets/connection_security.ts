/**
 * The security of a connection: reported, checked again, used and released in the same way for every layer.
 *
 * @module
 */

import type { VerifiedContext } from "../contexts/verified_context.ts";
import type { PeerIdentity, ProviderCredentials, SecurityInfo } from "../contract.ts";
import { UnsupportedPlatformError } from "../errors.ts";
import type { PeerTokens } from "./secure_conn.ts";

/** The security of one connection, which was already checked against the requirements once. */
export interface ConnectionSecurity {
  /** The security that was verified when the connection was made. */
  readonly info: SecurityInfo;
  /** The peer's identity, if it was proved and the layer reports it. */
  readonly peer?: PeerIdentity;
  /** Reads the security again and checks it against the requirements; throws if it falls short. */
  check(): SecurityInfo;
  /** The peer's access tokens; {@linkcode ConnectionSecurity.release} closes them at the latest. */
  tokens(): PeerTokens;
  /** Runs `fn` as the client. */
  impersonate<T>(fn: () => T): T;
  /** The credentials that the client delegated, on the first call; `null` if there are none. */
  takeDelegated(): ProviderCredentials | null;
  /** Discards keys and closes handles. Call it once. It may throw or reject. */
  release(): unknown;
}

/** The security of a verified context. */
export class VerifiedSecurity implements ConnectionSecurity {
  readonly info: SecurityInfo;
  readonly peer: PeerIdentity | undefined;
  readonly #context: VerifiedContext;

  /** @param context Becomes owned by this object. */
  constructor(context: VerifiedContext) {
    this.#context = context;
    this.info = context.security;
    this.peer = context.peer;
  }

  check(): SecurityInfo {
    return this.#context.check();
  }

  tokens(): never {
    throw new UnsupportedPlatformError(
      "This connection's provider makes security contexts, which have no access tokens",
      {
        instead: "Use conn.peer, or conn.impersonate()",
      },
    );
  }

  impersonate<T>(fn: () => T): T {
    return this.#context.impersonate(fn);
  }

  takeDelegated(): ProviderCredentials | null {
    return this.#context.takeDelegatedCredentials();
  }

  release(): unknown {
    return this.#context.release();
  }
}
