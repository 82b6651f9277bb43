/**
 * The token exchange of [MS-NNS], as .NET's NegotiateStream runs it, and the final checks.
 *
 * @module
 */

import type { VerifiedContext } from "../contexts/verified_context.ts";
import { ProtocolError } from "../errors.ts";
import {
  decodeHandshakeHeader,
  encodeErrorCode,
  encodeHandshake,
  HANDSHAKE_HEADER_SIZE,
  type HandshakeKind,
  refuseTls,
} from "./framing.ts";
import { closedByPeer, codeOfFailure, refusedByPeer } from "./handshake_error.ts";
import type { Wire } from "./transport.ts";
import type { Deadline } from "./deadline.ts";
import type { WireReader } from "./wire_reader.ts";

const NO_TOKEN = new Uint8Array();

/** What a handshake uses. */
export interface HandshakeOptions {
  /** Where records are written; the caller closes it. */
  readonly wire: Wire;
  /** Where records are read. */
  readonly reader: WireReader;
  /** Which end this is. */
  readonly role: "client" | "server";
  /** The deadline of every wait. */
  readonly deadline: Deadline;
  /** Called when the handshake starts to wait for its peer, and when it stops. */
  readonly onWaiting?: (waiting: boolean) => void;
  /**
   * A server awaits it once the first token has arrived whole, before it calls the provider. `begin` may call
   * `peerEnded` once; its promise resolves when the peer has closed the connection.
   */
  readonly begin?: (peerEnded: () => Promise<void>) => Promise<void>;
}

interface HandshakeRecord {
  readonly kind: HandshakeKind;
  readonly token: Uint8Array;
}

/** One end of one handshake. Run it once. */
export class Handshake {
  readonly #context: VerifiedContext;
  readonly #options: HandshakeOptions;
  /** False once the peer cannot, or need not, be sent this end's error. */
  #peerListens = true;

  /** @param context Stays owned by the caller, who closes it if the handshake fails. */
  constructor(context: VerifiedContext, options: HandshakeOptions) {
    this.#context = context;
    this.#options = options;
  }

  /**
   * Exchanges tokens until both ends are complete; the context verifies the result.
   *
   * If this end is the one that refuses, the peer has been sent an error when the promise rejects.
   */
  async run(): Promise<void> {
    try {
      await this.#exchange();
    } catch (error) {
      if (this.#peerListens && !this.#options.deadline.signal.aborted) await this.#sendError(error);
      throw error;
    }
  }

  async #exchange(): Promise<void> {
    const { role, deadline } = this.#options;
    let incoming: Uint8Array | null = null;
    let peerDone = false;
    for (let step = 0;; step++) {
      if (role === "server" || step > 0) {
        const record = await this.#receive();
        if (record.token.length === 0) {
          throw new ProtocolError("empty", "The peer sent an empty token where a token was expected");
        }
        incoming = record.token;
        peerDone = record.kind === "done";
      }
      if (step === 0 && this.#options.begin) {
        const { begin, reader } = this.#options;
        // Many peers may wait for a slot: each keeps its token and no other memory.
        reader.rest();
        await begin(() => reader.ended()).catch((error) => {
          this.#peerListens = false;
          throw error;
        });
      }
      const { token, done } = await deadline.race(this.#context.step(incoming));
      const outgoing = token && token.length > 0 ? token : null;
      if (!done) {
        if (peerDone) throw unexpected("The peer reports that it is done although another token is due");
        await this.#send("in-progress", outgoing!);
        continue;
      }
      // A server sends "done" even without a token: the client waits for it.
      if (role === "server") return await this.#send("done", outgoing ?? NO_TOKEN);
      if (peerDone && outgoing) {
        throw unexpected("The peer reports that it is done although a token for it is left");
      }
      if (outgoing) await this.#send("done", outgoing);
      if (!peerDone && (await this.#receive()).kind !== "done") {
        throw unexpected("The peer sent another token although the exchange was complete");
      }
      return;
    }
  }

  async #receive(): Promise<HandshakeRecord> {
    const { reader } = this.#options;
    await this.#fill(HANDSHAKE_HEADER_SIZE);
    const header = reader.take(HANDSHAKE_HEADER_SIZE).slice();
    const { kind, size } = decodeHandshakeHeader(header);
    await this.#fill(size);
    // A copy: the provider may still read it when the buffer is wiped after an abort.
    const token = reader.take(size).slice();
    refuseTls(header, token);
    if (kind !== "error") return { kind, token };
    this.#peerListens = false;
    throw refusedByPeer(token, this.#options.role);
  }

  async #fill(size: number): Promise<void> {
    if (await this.#wait(this.#options.reader.fill(size))) return;
    this.#peerListens = false;
    throw closedByPeer(this.#options.role);
  }

  #send(kind: HandshakeKind, token: Uint8Array): Promise<void> {
    return this.#wait(this.#options.wire.write(encodeHandshake(kind, token)));
  }

  async #wait<T>(peer: Promise<T>): Promise<T> {
    const { onWaiting, deadline } = this.#options;
    onWaiting?.(true);
    try {
      return await deadline.race(peer);
    } catch (error) {
      this.#peerListens = false;
      throw error;
    } finally {
      onWaiting?.(false);
    }
  }

  async #sendError(error: unknown): Promise<void> {
    try {
      await this.#send("error", encodeErrorCode(codeOfFailure(error, this.#options.role)));
    } catch {
      // The original failure matters more than a failure to report it to the peer.
    }
  }
}

function unexpected(message: string): ProtocolError {
  return new ProtocolError("unexpected-message", message);
}
