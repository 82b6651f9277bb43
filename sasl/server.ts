/**
 * The server's end of SASL GSSAPI (RFC 4752) and GSS-SPNEGO ([MS-ADTS]).
 *
 * @module
 */

import { openAcceptor } from "../contexts/open.ts";
import type { PeerIdentity } from "../contract.ts";
import { AuthenticationError, ProtocolError, SecurityRequirementError } from "../errors.ts";
import { Exchange, type SaslExchange } from "./exchange.ts";
import { decodeChoice, encodeOffer, LAYERS, type SecurityLayer } from "./layers.ts";
import { readServerOptions, type SaslServerOptions } from "./options.ts";

/** What a server sends after one response of its client. */
export interface SaslServerStep {
  /** To send; with `done` it goes with the success (GSS-SPNEGO's last token). `null`: nothing. */
  readonly challenge: Uint8Array | null;
  /** True once the client has authenticated and may be told so. */
  readonly done: boolean;
}

/** The server's end of one exchange. */
export interface SaslServer extends SaslExchange {
  /** True once the client has authenticated, and everything required is verified. */
  readonly done: boolean;
  /** Who the client is. @throws StateError before `done`. */
  readonly peer: PeerIdentity;
  /** Who the client may act as and wants to; empty: as itself. @throws StateError before `done`. */
  readonly authorizationId: string;
  /**
   * Takes a response of the client, the initial one first, and returns what to send.
   *
   * @throws AuthenticationError, SecurityRequirementError and ProtocolError, each of which ends the exchange; tell the
   * client that it failed, and no more.
   */
  next(response: Uint8Array): Promise<SaslServerStep>;
}

class Server extends Exchange implements SaslServer {
  protected readonly completedBy = "next()'s done";
  readonly #authorize: SaslServerOptions["authorize"];
  /** `empty`: the client's word that it has the last token. `choice`: its answer to the offer. */
  #stage: "start" | "tokens" | "empty" | "choice" | "over" = "start";
  #offered: readonly SecurityLayer[] = [];
  #authorizationId = "";
  #peer: PeerIdentity | undefined;

  constructor(
    authorize: SaslServerOptions["authorize"],
    ...rest: ConstructorParameters<typeof Exchange>
  ) {
    super(...rest);
    this.#authorize = authorize;
  }

  get done(): boolean {
    return this.complete;
  }

  get peer(): PeerIdentity {
    void this.layer;
    return this.#peer!;
  }

  get authorizationId(): string {
    void this.layer;
    return this.#authorizationId;
  }

  next(response: Uint8Array): Promise<SaslServerStep> {
    if (!(response instanceof Uint8Array)) {
      throw new TypeError("response must be a Uint8Array, empty where the client sent none");
    }
    return this.turn("next", async () => {
      if (this.#stage === "start") {
        this.checkKind(response, "The client");
        this.#stage = "tokens";
      }
      if (this.#stage === "tokens") return await this.#step(response);
      if (this.#stage === "empty") {
        if (response.length === 0) return this.#offer();
        throw new ProtocolError(
          "unexpected-message",
          "The client sends more although its context is established; it was refused",
        );
      }
      return await this.#take(response);
    });
  }

  async #step(response: Uint8Array): Promise<SaslServerStep> {
    const { token, done } = await this.context.step(response);
    if (!done) return { challenge: token, done };
    this.#peer = this.context.peer;
    if (this.#peer === undefined) {
      throw new AuthenticationError("other", "The client is anonymous: it proves no name; it was refused");
    }
    if (this.mechanism === "GSS-SPNEGO") {
      this.#stage = "over";
      this.agree(this.#spnegoLayer(), this.unannounced);
      return { challenge: token, done };
    }
    if (token === null || token.length === 0) return this.#offer();
    this.#stage = "empty";
    return { challenge: token, done: false };
  }

  /** The flags that a client of GSS-SPNEGO asked for decide; there is no further word on it. */
  #spnegoLayer(): SecurityLayer {
    const { integrity, confidentiality } = this.context.security;
    const layer = confidentiality ? "confidentiality" : integrity ? "integrity" : "none";
    if (this.terms.layers.includes(layer)) return layer;
    throw new SecurityRequirementError(
      "layers",
      layer,
      `The client asks for the security layer ${layer}, and options.layers accepts ${
        this.terms.layers.join(", ")
      }; ` +
        "it was refused. Accept it, or have the client ask for another",
    );
  }

  #offer(): SaslServerStep {
    const { integrity, confidentiality, details } = this.context.security;
    // RFC 4752 has the client ask for sequence detection: without it records could come twice or in another order.
    const ordered = details.sequenceDetection === true;
    const able = { none: true, integrity: integrity && ordered, confidentiality: confidentiality && ordered };
    this.#offered = LAYERS.filter((layer) => able[layer] && this.terms.layers.includes(layer));
    const offer = encodeOffer({ layers: this.#offered, maxReceive: this.terms.maxReceive });
    this.#stage = "choice";
    return { challenge: this.wrapNegotiation(offer), done: false };
  }

  async #take(response: Uint8Array): Promise<SaslServerStep> {
    const { layer, maxReceive, authorizationId } = decodeChoice(
      this.unwrapNegotiation(response),
      this.#offered,
    );
    this.#stage = "over";
    if (authorizationId !== "" && !await this.#mayActAs(authorizationId)) {
      throw new AuthenticationError(
        "other",
        `${JSON.stringify(this.#peer!.name)} asks to act as ${
          JSON.stringify(authorizationId)
        }, and may not; ` +
          "it was refused. options.authorize can allow it",
      );
    }
    this.agree(layer, maxReceive);
    this.#authorizationId = authorizationId;
    return { challenge: null, done: true };
  }

  async #mayActAs(authorizationId: string): Promise<boolean> {
    const peer = this.#peer!;
    if (this.#authorize === undefined) return authorizationId === peer.name;
    return await this.#authorize(peer, authorizationId) === true;
  }
}

/**
 * Begins an exchange as the server: acquires credentials, and waits for nothing.
 *
 * An exchange that was begun and not ended is the caller's to bound, in number and in time; `close()` ends it.
 *
 * @throws TypeError or RangeError where an option is wrong; nothing was opened.
 * @throws ProviderNotFoundError or PermissionError where no provider can serve.
 * @throws AuthenticationError where there is no key table, or no key in it.
 *
 * @example
 * ```ts
 * import { saslServer } from "@winsock/secure-sockets/sasl";
 *
 * async function authenticate(receive: () => Promise<Uint8Array>, send: (challenge: Uint8Array) => Promise<void>) {
 *   using sasl = await saslServer({
 *     mechanism: "GSSAPI",
 *     acceptedTargets: ["imap/mail.example.test"],
 *     layers: ["none"],
 *   });
 *   while (!sasl.done) {
 *     const { challenge } = await sasl.next(await receive());
 *     if (challenge !== null) await send(challenge);
 *   }
 *   return sasl.peer.name;
 * }
 * console.log(typeof authenticate);
 * ```
 */
export async function saslServer(options: SaslServerOptions): Promise<SaslServer> {
  const terms = readServerOptions(options);
  const { acceptedTargets, channelBindings, channelBindingPolicy, authorize } = options;
  const acceptor = await openAcceptor({ ...terms.open, acceptedTargets });
  try {
    const { signal } = terms.open;
    const context = acceptor.accept({ channelBindings, channelBindingPolicy, signal });
    return new Server(authorize, terms, acceptor, context);
  } catch (error) {
    acceptor.close();
    throw error;
  }
}
