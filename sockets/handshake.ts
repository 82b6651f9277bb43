/**
 * The token exchange of [MS-NNS], as .NET's NegotiateStream runs it, and the checks that end it.
 *
 * @module
 */

import { AuthenticationError, ProtocolError } from "../errors.ts";
import type { MessageContext, MessageCredentials, ResolvedRequirements, StepResult } from "../contract.ts";
import { verifyAttributes } from "../plugins/requirements.ts";
import {
  decodeHandshakeHeader,
  encodeErrorCode,
  encodeHandshake,
  HANDSHAKE_HEADER_SIZE,
  type HandshakeKind,
  refuseTls,
} from "./framing.ts";
import { codeOfFailure, refusedByPeer } from "./handshake_error.ts";
import { acceptsTarget } from "./target.ts";
import type { Wire } from "./transport.ts";
import type { Watch } from "./deadline.ts";
import type { WireReader } from "./wire_reader.ts";

/** How many tokens one end may consume; Kerberos needs two, NTLM in SPNEGO four. */
const MAX_LEGS = 16;
const NO_TOKEN = new Uint8Array();

/** What one end brings to a handshake. */
export type HandshakeTerms =
  & {
    /** What the connection must be. */
    readonly requirements: ResolvedRequirements;
    /** What binds the handshake to an outer channel. */
    readonly channelBindings?: Uint8Array;
  }
  & ({
    readonly role: "client";
    /** The server's principal. */
    readonly target: string;
  } | {
    readonly role: "server";
    /** The names a client may ask for; left out: any that the credentials hold. */
    readonly acceptedTargets?: readonly string[];
  });

/** What one end works with. */
export interface HandshakeMeans {
  /** Where records go; closed by the caller. */
  readonly wire: Wire;
  /** Where records come from. */
  readonly reader: WireReader;
  /** Who this end is; released by the caller, once {@linkcode Handshake.idle} has resolved. */
  readonly credentials: MessageCredentials;
  /** The limit over every wait. */
  readonly watch: Watch;
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
  /** Resolves once no call into the provider is under way any more. */
  idle: Promise<void> = Promise.resolve();
  /** Whether a call into the provider is under way: after an abort it may go on for long. */
  stepping = false;
  readonly #terms: HandshakeTerms;
  readonly #means: HandshakeMeans;
  #context: MessageContext | null = null;
  /** False once the peer need not, or cannot, be told that this end failed. */
  #peerListens = true;

  /** Opens nothing: a server makes its context when the first whole token has arrived. */
  constructor(terms: HandshakeTerms, means: HandshakeMeans) {
    this.#terms = terms;
    this.#means = means;
  }

  /**
   * Exchanges tokens until both ends are satisfied and checks what was agreed on.
   *
   * Where it rejects, the peer has been told if it was this end that refused, and the context is closed.
   */
  async run(): Promise<MessageContext> {
    try {
      return await this.#exchange();
    } catch (error) {
      // Behind a step that is still under way: its native call uses the context. Should closing fail too, the
      // failure before it is the one to report.
      this.idle = this.idle.then(() => this.#context?.close()).catch(() => {});
      if (this.#peerListens && !this.#means.watch.signal.aborted) await this.#tell(error);
      throw error;
    }
  }

  async #exchange(): Promise<MessageContext> {
    const { role } = this.#terms;
    let incoming: Uint8Array | null = null;
    let peerDone = false;
    for (let leg = 0; leg < MAX_LEGS; leg++) {
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
        // Many may wait for a place, each with a token and nothing else.
        reader.rest();
        await begin(() => reader.ended()).catch((error) => {
          this.#peerListens = false;
          throw error;
        });
      }
      const context = this.#context ??= this.#open();
      const { token, done } = await this.#step(context, incoming);
      const outgoing = token && token.length > 0 ? token : null;
      if (!done) {
        if (peerDone) throw unexpected("The peer says it is done while another token is due");
        if (!outgoing) {
          throw new ProtocolError(
            "empty",
            "The provider made no token although it is not done; report this to it",
          );
        }
        await this.#send("in-progress", outgoing);
        continue;
      }
      this.#verify(context);
      if (role === "server") {
        // Sent even without a token: the client waits for it.
        await this.#send("done", outgoing ?? NO_TOKEN);
        return context;
      }
      if (peerDone && outgoing) {
        throw unexpected("The peer says it is done while a token for it is left over");
      }
      if (outgoing) await this.#send("done", outgoing);
      if (!peerDone && (await this.#receive()).kind !== "done") {
        throw unexpected("The peer sent another token although the exchange was over");
      }
      return context;
    }
    throw unexpected(`The exchange was not over after ${MAX_LEGS} tokens`);
  }

  #open(): MessageContext {
    const { channelBindings } = this.#terms;
    const { credentials } = this.#means;
    return this.#terms.role === "client"
      ? credentials.client({ target: this.#terms.target, channelBindings })
      : credentials.server({ channelBindings });
  }

  #step(context: MessageContext, token: Uint8Array | null): Promise<StepResult> {
    const step = context.step(token);
    this.stepping = true;
    const settled = () => void (this.stepping = false);
    this.idle = step.then(settled, settled);
    return this.#means.watch.race(step);
  }

  #verify(context: MessageContext): void {
    const { requirements, channelBindings } = this.#terms;
    if (this.#terms.role === "server" && this.#terms.acceptedTargets) {
      checkTarget(this.#terms.acceptedTargets, context.requestedTarget);
    }
    verifyAttributes(context.attributes, requirements, this.#terms.role, channelBindings !== undefined);
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
    throw refusedByPeer(token);
  }

  async #fill(size: number): Promise<void> {
    if (await this.#wait(this.#means.reader.fill(size))) return;
    this.#peerListens = false;
    throw new AuthenticationError(
      "peer-closed",
      "The peer closed the connection during the handshake. If it is a server, its log tells why it refused",
    );
  }

  #send(kind: HandshakeKind, token: Uint8Array): Promise<void> {
    return this.#wait(this.#means.wire.write(encodeHandshake(kind, token)));
  }

  async #wait<T>(peer: Promise<T>): Promise<T> {
    const { onWaiting, watch } = this.#means;
    onWaiting?.(true);
    try {
      return await watch.race(peer);
    } catch (error) {
      this.#peerListens = false;
      throw error;
    } finally {
      onWaiting?.(false);
    }
  }

  async #tell(error: unknown): Promise<void> {
    try {
      await this.#send("error", encodeErrorCode(codeOfFailure(error)));
    } catch {
      // The failure that is to be told matters more than that the peer could not be.
    }
  }
}

function unexpected(message: string): ProtocolError {
  return new ProtocolError("unexpected-message", message);
}

function checkTarget(accepted: readonly string[], requested: string | undefined): void {
  if (requested === undefined) {
    throw new AuthenticationError(
      "target-not-accepted",
      "The mechanism does not tell which name the client asked for, so acceptedTargets cannot be checked. " +
        "Use a provider that tells it, or leave acceptedTargets out",
    );
  }
  if (!acceptsTarget(accepted, requested)) {
    throw new AuthenticationError(
      "target-not-accepted",
      `The client asked for ${JSON.stringify(requested)}, which is not among acceptedTargets ` +
        `(${accepted.join(", ")}). Add it there, or have the client use one of these`,
    );
  }
}
