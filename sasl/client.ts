/**
 * The client's end of SASL GSSAPI (RFC 4752) and GSS-SPNEGO ([MS-ADTS]).
 *
 * @module
 */

import { openInitiator } from "../contexts/open.ts";
import { AuthenticationError, ProtocolError, StateError } from "../errors.ts";
import { decodeOffer, encodeChoice, type SecurityLayer, strongest } from "./layers.ts";
import { readClientOptions, type SaslClientOptions } from "./options.ts";
import { Exchange, type SaslExchange } from "./exchange.ts";

const EMPTY = new Uint8Array();

/**
 * The client's end of one exchange.
 *
 * `start()` gives the initial response, `next()` the answer to each challenge, and `finish()` is called when the server
 * says success.
 */
export interface SaslClient extends SaslExchange {
  /** True once this end has verified everything and has nothing more to say: the server's word is awaited. */
  readonly done: boolean;
  /**
   * The initial response, the first thing to send.
   *
   * @throws AuthenticationError where there are no credentials, or no ticket for the target.
   */
  start(): Promise<Uint8Array>;
  /**
   * The answer to a challenge of the server; empty where there is nothing to say, which is sent, too.
   *
   * @throws AuthenticationError, SecurityRequirementError and ProtocolError, each of which ends the exchange.
   */
  next(challenge: Uint8Array): Promise<Uint8Array>;
  /**
   * The server says success: from here on `layer` holds and `protect()` may be called.
   *
   * @param data what came with the success, where something did: GSS-SPNEGO's last token.
   * @throws ProtocolError where the exchange is not over: a server that has not proved itself says success.
   */
  finish(data?: Uint8Array | null): Promise<void>;
}

class Client extends Exchange implements SaslClient {
  protected readonly completedBy = "finish()";
  readonly #authorizationId: string;
  /** `offer`: the context is established, and GSSAPI's offer is awaited. `answered`: this end has nothing more to say. */
  #stage: "start" | "tokens" | "offer" | "answered" = "start";
  #tookEmpty = false;
  #choice: { readonly layer: SecurityLayer; readonly maxPeer: number } | null = null;

  constructor(authorizationId: string, ...rest: ConstructorParameters<typeof Exchange>) {
    super(...rest);
    this.#authorizationId = authorizationId;
  }

  get done(): boolean {
    return this.#stage === "answered" && this.alive;
  }

  start(): Promise<Uint8Array> {
    return this.turn("start", async () => {
      if (this.#stage !== "start") {
        throw new StateError("start() has been called; next() takes the challenges");
      }
      const { token, done } = await this.context.step();
      this.checkKind(token, "This client");
      this.#stepped(done);
      return token!;
    });
  }

  next(challenge: Uint8Array): Promise<Uint8Array> {
    checkBytes(challenge, "challenge");
    return this.turn("next", async () => {
      if (this.#stage === "start") {
        throw new StateError("Call start() first: its result is sent before any challenge is answered");
      }
      if (this.#stage === "tokens") {
        const { token, done } = await this.context.step(challenge);
        this.#stepped(done);
        return token ?? EMPTY;
      }
      if (this.#stage === "offer") return this.#answer(challenge);
      throw new ProtocolError(
        "unexpected-message",
        "The server goes on with a challenge although the exchange is over; the exchange was ended",
      );
    });
  }

  #stepped(done: boolean): void {
    this.#stage = !done ? "tokens" : this.mechanism === "GSSAPI" ? "offer" : "answered";
  }

  #answer(challenge: Uint8Array): Uint8Array {
    // Without mutual authentication the server has no token to send, and some send an empty challenge in its place.
    if (challenge.length === 0 && !this.#tookEmpty && !this.context.security.mutualAuthentication) {
      this.#tookEmpty = true;
      return EMPTY;
    }
    const offer = decodeOffer(this.unwrapNegotiation(challenge));
    const { layers, maxReceive } = this.terms;
    const layer = layers.find((layer) => offer.layers.includes(layer));
    if (layer === undefined) {
      throw new AuthenticationError(
        "mechanism",
        `The server offers the security layers ${
          offer.layers.join(", ") || "of no known kind"
        }, and options.layers ` +
          `accepts ${layers.join(", ")}; the exchange was ended. Accept another, or change the server`,
      );
    }
    if (layer !== "none") this.sizeLimit(layer, offer.maxReceive);
    const choice = encodeChoice({ layer, maxReceive, authorizationId: this.#authorizationId });
    const answer = this.wrapNegotiation(choice);
    this.#choice = { layer, maxPeer: offer.maxReceive };
    this.#stage = "answered";
    return answer;
  }

  finish(data: Uint8Array | null = null): Promise<void> {
    if (data !== null) checkBytes(data, "data");
    return this.turn("finish", async () => {
      const given = data !== null && data.length > 0;
      if (given && this.mechanism === "GSS-SPNEGO" && this.#stage !== "start") {
        const { token, done } = await this.context.step(data);
        if (token !== null && token.length > 0) throw early();
        this.#stepped(done);
      } else if (given) {
        throw new ProtocolError(
          "unexpected-message",
          "The server sends data with its success, and GSSAPI has none there; the exchange was ended",
        );
      }
      if (this.#stage !== "answered") throw early();
      const { layer, maxPeer } = this.#choice ??
        { layer: strongest(this.terms.layers), maxPeer: this.unannounced };
      this.agree(layer, maxPeer);
    });
  }
}

function early(): ProtocolError {
  return new ProtocolError(
    "unexpected-message",
    "The server says success before the exchange is over, so it has not proved who it is; the exchange was ended",
  );
}

function checkBytes(value: unknown, name: string): void {
  if (!(value instanceof Uint8Array)) {
    throw new TypeError(`${name} must be a Uint8Array, empty where there is none`);
  }
}

/**
 * Begins an exchange as the client: acquires credentials, and sends nothing.
 *
 * @throws TypeError or RangeError where an option is wrong; nothing was opened.
 * @throws ProviderNotFoundError or PermissionError where no provider can serve.
 * @throws AuthenticationError where there are no credentials.
 *
 * @example
 * ```ts
 * import { saslClient } from "@winsock/secure-sockets/sasl";
 *
 * async function authenticate(send: (response: Uint8Array) => Promise<Uint8Array | null>) {
 *   using sasl = await saslClient({ mechanism: "GSSAPI", target: "imap/mail.example.test", layers: ["none"] });
 *   let challenge = await send(await sasl.start());
 *   while (challenge !== null) challenge = await send(await sasl.next(challenge));
 *   await sasl.finish(); // throws unless the server has proved who it is
 * }
 * console.log(typeof authenticate);
 * ```
 */
export async function saslClient(options: SaslClientOptions): Promise<SaslClient> {
  const terms = readClientOptions(options);
  const { target, channelBindings, authorizationId = "" } = options;
  const initiator = await openInitiator(terms.open);
  try {
    const { signal } = terms.open;
    return new Client(
      authorizationId,
      terms,
      initiator,
      initiator.initiate({ target, channelBindings, signal }),
    );
  } catch (error) {
    initiator.close();
    throw error;
  }
}
