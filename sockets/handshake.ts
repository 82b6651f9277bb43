/**
 * The token exchange of [MS-NNS], as .NET's NegotiateStream runs it, and the checks that end it.
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

/** What one end works with. */
export interface HandshakeMeans {
  /** Where records go; closed by the caller. */
  readonly wire: Wire;
  /** Where records come from. */
  readonly reader: WireReader;
  /** The end this is. */
  readonly role: "client" | "server";
  /** The limit over every wait. */
  readonly deadline: Deadline;
  /** Told whenever the handshake begins, and stops, waiting for its peer. */
  readonly onWaiting?: (waiting: boolean) => void;
  /**
   * Awaited by a server when the first token has come whole, before the provider is asked for anything. It may call what
   * it is given, once, which resolves when the peer has gone.
   */
  readonly begin?: (peerEnded: () => Promise<void>) => Promise<void>;
}

interface HandshakeRecord {
  readonly kind: HandshakeKind;
  readonly token: Uint8Array;
}

/** One end of one handshake; run it once. */
export class Handshake {
  readonly #context: VerifiedContext;
  readonly #means: HandshakeMeans;
  /** False once the peer need not, or cannot, learn that this end failed. */
  #peerListens = true;

  /** @param context Stays the caller's, who closes it where the handshake fails. */
  constructor(context: VerifiedContext, means: HandshakeMeans) {
    this.#context = context;
    this.#means = means;
  }

  /**
   * Exchanges tokens until both ends are satisfied; the context verifies what was agreed on.
   *
   * Where it rejects, the peer has been sent an error if it was this end that refused.
   */
  async run(): Promise<void> {
    try {
      await this.#exchange();
    } catch (error) {
      if (this.#peerListens && !this.#means.deadline.signal.aborted) await this.#sendError(error);
      throw error;
    }
  }

  async #exchange(): Promise<void> {
    const { role, deadline } = this.#means;
    let incoming: Uint8Array | null = null;
    let peerDone = false;
    for (let leg = 0;; leg++) {
      if (role === "server" || leg > 0) {
        const record = await this.#receive();
        if (record.token.length === 0) {
          throw new ProtocolError("empty", "The peer sent no token although one was due");
        }
        incoming = record.token;
        peerDone = record.kind === "done";
      }
      if (leg === 0 && this.#means.begin) {
        const { begin, reader } = this.#means;
        // Many may wait for a slot, each with a token and nothing else.
        reader.rest();
        await begin(() => reader.ended()).catch((error) => {
          this.#peerListens = false;
          throw error;
        });
      }
      const { token, done } = await deadline.race(this.#context.step(incoming));
      const outgoing = token && token.length > 0 ? token : null;
      if (!done) {
        if (peerDone) throw unexpected("The peer says it is done while another token is due");
        await this.#send("in-progress", outgoing!);
        continue;
      }
      // A server sends it even without a token: the client waits for it.
      if (role === "server") return await this.#send("done", outgoing ?? NO_TOKEN);
      if (peerDone && outgoing) {
        throw unexpected("The peer says it is done while a token for it is left over");
      }
      if (outgoing) await this.#send("done", outgoing);
      if (!peerDone && (await this.#receive()).kind !== "done") {
        throw unexpected("The peer sent another token although the exchange was over");
      }
      return;
    }
  }

  async #receive(): Promise<HandshakeRecord> {
    const { reader } = this.#means;
    await this.#fill(HANDSHAKE_HEADER_SIZE);
    const header = reader.take(HANDSHAKE_HEADER_SIZE).slice();
    const { kind, size } = decodeHandshakeHeader(header);
    await this.#fill(size);
    // A copy: the provider may still read it when the buffer is wiped after an abort.
    const token = reader.take(size).slice();
    refuseTls(header, token);
    if (kind !== "error") return { kind, token };
    this.#peerListens = false;
    throw refusedByPeer(token, this.#means.role);
  }

  async #fill(size: number): Promise<void> {
    if (await this.#wait(this.#means.reader.fill(size))) return;
    this.#peerListens = false;
    throw closedByPeer(this.#means.role);
  }

  #send(kind: HandshakeKind, token: Uint8Array): Promise<void> {
    return this.#wait(this.#means.wire.write(encodeHandshake(kind, token)));
  }

  async #wait<T>(peer: Promise<T>): Promise<T> {
    const { onWaiting, deadline } = this.#means;
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
      await this.#send("error", encodeErrorCode(codeOfFailure(error, this.#means.role)));
    } catch {
      // The failure that is to be told matters more than that the peer could not be.
    }
  }
}

function unexpected(message: string): ProtocolError {
  return new ProtocolError("unexpected-message", message);
}
