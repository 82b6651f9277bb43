/**
 * What both ends of a SASL exchange share: calls in turn, one failure that ends everything, and the layer at the end.
 *
 * @module
 */

import type { Duplex } from "node:stream";
import { tokenKind } from "../contexts/first_token.ts";
import type { SecurityContext } from "../contract.ts";
import { AuthenticationError, ProtocolError, StateError } from "../errors.ts";
import type { SecurityLayer } from "./layers.ts";
import type { SaslMechanism, Terms } from "./options.ts";
import { ProtectedStream } from "./protected_stream.ts";

/** One end of a SASL exchange. One owner; closing twice is harmless. Whatever fails ends the exchange. */
export interface SaslExchange extends Disposable {
  /** The mechanism, as the protocol names it. */
  readonly mechanism: SaslMechanism;
  /** The security context: what was agreed on, and who the peer is. */
  readonly context: SecurityContext;
  /** The layer in use. @throws StateError before the exchange is complete. */
  readonly layer: SecurityLayer;
  /** The most bytes of data in one record; 0 with the layer "none". @throws StateError before it is complete. */
  readonly maxSend: number;
  /**
   * Puts the layer over a connection: four bytes of length, then a record (RFC 4422, 3.7). With the layer "none" it is
   * the connection itself. Called once, after the exchange; the stream then owns the connection and the context.
   *
   * What was read of the connection beyond the exchange goes back into it first, by `socket.unshift(rest)`, and nobody
   * else may listen to its data.
   *
   * @throws StateError before the exchange is complete, or a second time.
   */
  protect(socket: Duplex): Duplex;
  /** Ends the exchange and forgets its keys; a stream of `protect()` goes on, and closes them at its own end. */
  close(): void;
}

interface Agreed {
  readonly layer: SecurityLayer;
  readonly maxSend: number;
}

/** What both ends are made of. */
export abstract class Exchange implements SaslExchange {
  readonly mechanism: SaslMechanism;
  readonly context: SecurityContext;
  /** The options. */
  protected readonly terms: Terms;
  readonly #credentials: { close(): void };
  #state: "ready" | "busy" | "complete" | "protected" | "failed" | "closed" = "ready";
  #agreed: Agreed | null = null;

  /** Both arguments become its own. */
  constructor(terms: Terms, credentials: { close(): void }, context: SecurityContext) {
    this.mechanism = terms.mechanism;
    this.terms = terms;
    this.#credentials = credentials;
    this.context = context;
  }

  get layer(): SecurityLayer {
    return this.#requireComplete("layer").layer;
  }

  get maxSend(): number {
    return this.#requireComplete("maxSend").maxSend;
  }

  /** Whether the exchange is complete. */
  protected get complete(): boolean {
    return this.#state === "complete" || this.#state === "protected";
  }

  /** Whether the exchange has neither failed nor been closed. */
  protected get alive(): boolean {
    return this.#state !== "failed" && this.#state !== "closed";
  }

  /** Runs one call of the exchange; whatever it throws ends the exchange. */
  protected async turn<T>(member: string, body: () => Promise<T>): Promise<T> {
    if (this.#state === "busy") {
      throw new StateError(`${member}() was called before the call before it had ended; await each one`);
    }
    if (this.#state !== "ready") {
      throw new StateError(`The SASL exchange is ${this.#how()}; ${member}() cannot be called`);
    }
    this.#state = "busy";
    try {
      const result = await body();
      // Closed meanwhile: the result must not be used.
      if (this.#isClosed()) throw new StateError(`The SASL exchange is closed; ${member}() was abandoned`);
      this.#state = this.#agreed === null ? "ready" : "complete";
      return result;
    } catch (error) {
      if (!this.#isClosed()) this.#state = "failed";
      this.#release();
      throw error;
    }
  }

  #isClosed(): boolean {
    return this.#state === "closed";
  }

  #how(): string {
    return this.#state === "failed" ? "over, it has failed" : this.complete ? "complete" : "closed";
  }

  /** Ends the exchange well: from here on `layer` holds. */
  protected agree(layer: SecurityLayer, maxPeer: number): void {
    const maxSend = layer === "none" ? 0 : this.sizeLimit(layer, maxPeer);
    this.#agreed = { layer, maxSend };
  }

  /** The most bytes of data in a record that a peer takes. @throws ProtocolError where that is none. */
  protected sizeLimit(layer: SecurityLayer, maxPeer: number): number {
    const limit = this.context.wrapSizeLimit(maxPeer, { encrypt: layer === "confidentiality" });
    if (limit >= 1) return limit;
    throw new ProtocolError(
      "malformed",
      `The peer takes records of at most ${maxPeer} bytes, which hold no data with the layer ${layer}; the ` +
        "exchange was ended",
    );
  }

  /** What a peer takes that has announced nothing. */
  protected get unannounced(): number {
    return 0xffff;
  }

  /** Refuses a first token that is not of the mechanism. */
  protected checkKind(token: Uint8Array | null, from: string): void {
    const kind = tokenKind(token ?? new Uint8Array());
    const right = this.mechanism === "GSSAPI" ? kind === "kerberos" : kind === "spnego" || kind === "ntlm";
    if (right) return;
    const provider = this.mechanism === "GSSAPI" ? "kerberos()" : "negotiate()";
    throw new AuthenticationError(
      "mechanism",
      `${from} begins with a token that is not of ${this.mechanism}; list ${provider} in the registry, or use the ` +
        "other mechanism",
    );
  }

  /** Unwraps a message of the negotiation, which is signed and need not be encrypted. */
  protected unwrapNegotiation(message: Uint8Array): Uint8Array {
    return this.context.unwrap(new Uint8Array(message), { allowUnencrypted: true }).data;
  }

  /** Wraps a message of the negotiation: signed, and not encrypted. */
  protected wrapNegotiation(message: Uint8Array): Uint8Array {
    return this.context.wrap(message, { encrypt: false });
  }

  protect(socket: Duplex): Duplex {
    const { layer, maxSend } = this.#requireComplete("protect()");
    if (this.#state === "protected") throw new StateError("protect() has been called; there is one stream");
    if (
      typeof (socket as Partial<Duplex> | null)?.pipe !== "function" || typeof socket.write !== "function"
    ) {
      throw new TypeError("socket must be a Duplex of node:stream, such as a Socket of node:net");
    }
    if (layer === "none") return socket;
    const { context, terms } = this;
    const stream = new ProtectedStream(socket, { context, layer, maxSend, maxReceive: terms.maxReceive });
    this.#state = "protected";
    this.#credentials.close();
    return stream;
  }

  #requireComplete(member: string): Agreed {
    if (this.complete) return this.#agreed!;
    const done = this.#state === "ready" || this.#state === "busy";
    throw new StateError(
      done
        ? `${member} can be used once the exchange is complete, which ${this.completedBy} says`
        : `The SASL exchange is ${this.#how()}; ${member} cannot be used`,
    );
  }

  /** What completes the exchange, for messages. */
  protected abstract readonly completedBy: string;

  #release(): void {
    this.context.close();
    this.#credentials.close();
  }

  close(): void {
    if (this.#state === "protected") return;
    this.#state = "closed";
    this.#release();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
