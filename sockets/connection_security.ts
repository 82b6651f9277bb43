/**
 * What a connection knows of its security: told, checked again, acted on and released the same way whichever layer
 * secures it.
 *
 * @module
 */

import { AuthenticationError, UnsupportedPlatformError } from "../errors.ts";
import type {
  MessageContext,
  MessageCredentials,
  PeerIdentity,
  ResolvedRequirements,
  SecurityInfo,
} from "../contract.ts";
import { verifyAttributes } from "../plugins/requirements.ts";
import { runAsClient } from "./impersonation.ts";
import { peerOf } from "./peer.ts";
import type { PeerTokens } from "./secure_conn.ts";
import { describeSecurity, type Origin } from "./security_info.ts";

/** The security of one connection, already held against what was required once. */
export interface ConnectionSecurity {
  /** What was proved when the connection was made. */
  readonly info: SecurityInfo;
  /** Who the peer is, where it proved it and the layer can tell. */
  readonly peer?: PeerIdentity;
  /** Asks again and holds the answer against what is required; throws where it falls short. */
  check(): SecurityInfo;
  /** The peer's tokens, open until {@linkcode ConnectionSecurity.release} at the latest. */
  tokens(): PeerTokens;
  /** Runs `fn` as the client. */
  impersonate<T>(fn: () => T): T;
  /** The credentials the client delegated, once; `null`: none. */
  takeDelegated(): MessageCredentials | null;
  /** Forgets keys and closes handles; once. It may throw, or reject. */
  release(): unknown;
}

/** The security that a message provider's context gives. */
export class MessageSecurity implements ConnectionSecurity {
  readonly info: SecurityInfo;
  readonly peer: PeerIdentity | undefined;
  readonly #context: MessageContext;
  readonly #terms: MessageTerms;

  /** The context becomes its own. */
  constructor(context: MessageContext, terms: MessageTerms) {
    this.#context = context;
    this.#terms = terms;
    this.info = describeSecurity(context, terms.origin);
    this.peer = peerOf(context, terms.role);
  }

  check(): SecurityInfo {
    const { requirements, role, channelBindings, origin } = this.#terms;
    const { attributes, expiresAt } = this.#context;
    verifyAttributes(attributes, requirements, role, channelBindings);
    if (expiresAt && expiresAt.getTime() <= Date.now()) {
      throw new AuthenticationError(
        "context-expired",
        "The connection's authentication has run out; connect again",
      );
    }
    return describeSecurity(this.#context, origin);
  }

  tokens(): never {
    throw new UnsupportedPlatformError(
      "This connection's provider authenticates by messages and has no tokens",
      {
        instead: "Use conn.security.peer, or conn.impersonate()",
      },
    );
  }

  impersonate<T>(fn: () => T): T {
    return runAsClient(this.#context, this.#terms.role, fn);
  }

  takeDelegated(): MessageCredentials | null {
    return this.#context.takeDelegated?.() ?? null;
  }

  release(): unknown {
    return this.#context.close();
  }
}

/** What a context is held against. */
export interface MessageTerms {
  /** Which end this is. */
  readonly role: "client" | "server";
  /** What the connection must be. */
  readonly requirements: ResolvedRequirements;
  /** Whether channel bindings were given. */
  readonly channelBindings: boolean;
  /** Who serves it. */
  readonly origin: Origin;
}
