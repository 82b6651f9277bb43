/**
 * What a connection knows of its security: told, checked again, acted on and released the same way whichever layer
 * secures it.
 *
 * @module
 */

import type { VerifiedContext } from "../contexts/verified_context.ts";
import type { PeerIdentity, ProviderCredentials, SecurityInfo } from "../contract.ts";
import { UnsupportedPlatformError } from "../errors.ts";
import type { PeerTokens } from "./secure_conn.ts";

/** The security of one connection, already held against what was required once. */
export interface ConnectionSecurity {
  /** What was proved when the connection was made. */
  readonly info: SecurityInfo;
  /** Who the peer is, where it proved it and the layer reports it. */
  readonly peer?: PeerIdentity;
  /** Asks again and holds the answer against what is required; throws where it falls short. */
  check(): SecurityInfo;
  /** The peer's tokens, open until {@linkcode ConnectionSecurity.release} at the latest. */
  tokens(): PeerTokens;
  /** Runs `fn` as the client. */
  impersonate<T>(fn: () => T): T;
  /** The credentials the client delegated, once; `null`: none. */
  takeDelegated(): ProviderCredentials | null;
  /** Forgets keys and closes handles; once. It may throw, or reject. */
  release(): unknown;
}

/** The security that a verified context gives. */
export class VerifiedSecurity implements ConnectionSecurity {
  readonly info: SecurityInfo;
  readonly peer: PeerIdentity | undefined;
  readonly #context: VerifiedContext;

  /** The context becomes its own. */
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
      "This connection's provider authenticates by messages and has no tokens",
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
