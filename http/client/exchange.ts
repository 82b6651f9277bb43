/**
 * One request to one origin, with the sign-on that its server asks for (RFC 4559): what is sent, what must come back,
 * and when the answer may be believed.
 *
 * @module
 */

import type { IncomingMessage } from "node:http";
import type {
  ChannelBindings,
  Initiator,
  SecurityContext,
  SecurityInfo,
  StepResult,
} from "../../contract.ts";
import { checkBindings } from "../../contexts/channel_bindings.ts";
import {
  AuthenticationError,
  ProtocolError,
  SecurityRequirementError,
  TransportError,
} from "../../errors.ts";
import { decodeToken, formatToken, parseChallenges, tokenOf } from "../fields.ts";
import { type Body, discard } from "./bodies.ts";
import { type Connection, LostConnection } from "./connection.ts";
import type { Message } from "./route.ts";
import type { Terms } from "./options.ts";

/** A request of the caller. */
export interface Asked {
  readonly url: URL;
  readonly method: string;
  readonly headers: Headers;
  readonly body: Body;
  readonly signal: AbortSignal;
}

/** An answer that may be given to the caller. */
export interface Answered {
  readonly answer: IncomingMessage;
  readonly connection: Connection;
  /** How it was signed on; `null`: without. */
  readonly security: SecurityInfo | null;
}

/** What an exchange is made with. */
export interface ExchangeOptions {
  readonly asked: Asked;
  /** The server's SPN. */
  readonly target: string;
  readonly terms: Terms;
  /** Opens a connection, whose owner also closes it if this exchange fails. */
  readonly open: () => Promise<Connection>;
  readonly initiator: () => Promise<Initiator>;
}

/** The most tokens that one exchange sends; NTLM needs two, Kerberos one. */
const MAX_LEGS = 4;
const NTLM_SIGNATURE = new TextEncoder().encode("NTLMSSP\0");
/** From this length on, a refusal is probably one of the header's size. */
const LARGE_FIELD = 4000;
const IDEMPOTENT = ["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"];

/** A request as it is sent, but for the token and the framing. */
export function messageOf({ url, method, headers, body }: Asked): Message {
  return { method, target: `${url.pathname}${url.search}`, headers: Object.fromEntries(headers), body };
}

/**
 * Sends a request and signs on where the server asks for it.
 *
 * @throws SecurityRequirementError if the server answers without proof of its identity; AuthenticationError,
 * ProtocolError and TransportError; the reason of the signal, unchanged.
 */
export async function exchange(options: ExchangeOptions): Promise<Answered> {
  try {
    return await new Exchange(options).run();
  } catch (error) {
    // A server may close a connection that it had said it would keep.
    const { method, body } = options.asked;
    const again = error instanceof LostConnection && IDEMPOTENT.includes(method) &&
      !(body instanceof ReadableStream);
    if (!again) throw error;
    return await new Exchange(options, true).run();
  }
}

class Exchange {
  readonly #options: ExchangeOptions;
  readonly #asked: Asked;
  #connection: Connection | null = null;
  #fieldLength = 0;
  /** Whether the token gets a new connection, because the server has closed the one that it had answered on. */
  readonly #anew: boolean;

  constructor(options: ExchangeOptions, anew = false) {
    this.#options = options;
    this.#anew = anew;
    this.#asked = options.asked;
  }

  async run(): Promise<Answered> {
    const stream = this.#asked.body instanceof ReadableStream;
    if (stream && this.#options.terms.preemptive === "streams") return await this.#signOn(["negotiate"]);
    const answer = await this.#send({}, this.#asked.body);
    const schemes = answer.statusCode === 401 ? this.#offered(answer) : [];
    if (schemes.length === 0) return this.#unsigned(answer);
    if (stream) throw twice("the stream has been sent");
    if (this.#connection!.forwarded && !keepsApart(answer)) throw this.#shared();
    if (!await discard(answer) || closes(answer) || this.#anew) this.#drop();
    return await this.#signOn(schemes);
  }

  /** The schemes that a 401 offers and this end can answer. Before any token is sent, nonsense is the caller's. */
  #offered(answer: IncomingMessage): string[] {
    try {
      const challenges = parseChallenges(linesOf(answer));
      const known = this.#options.terms.ntlm ? ["negotiate", "ntlm"] : ["negotiate"];
      return known.filter((scheme) => tokenOf(challenges, scheme) === null);
    } catch {
      return [];
    }
  }

  #unsigned(answer: IncomingMessage): Answered {
    return { answer, connection: this.#connection!, security: null };
  }

  async #send(headers: Record<string, string>, body: Body): Promise<IncomingMessage> {
    const connection = await this.#ready();
    const message = messageOf(this.#asked);
    return await connection.send(
      { ...message, headers: { ...message.headers, ...headers }, body },
      this.#asked.signal,
    );
  }

  /** The connection, or a new one if it cannot take another request. */
  async #ready(): Promise<Connection> {
    if (this.#connection !== null && !this.#connection.usable) this.#drop();
    return this.#connection ??= await this.#options.open();
  }

  #drop(): void {
    this.#connection?.close();
    this.#connection = null;
  }

  async #signOn(offered: readonly string[]): Promise<Answered> {
    const { target, initiator } = this.#options;
    const { signal } = this.#asked;
    // Its certificate is what the token is bound to.
    const connection = await this.#ready();
    if (connection.forwarded && this.#asked.body instanceof ReadableStream) throw this.#shared();
    const channelBindings = this.#bindings(connection);
    using context = (await abortable(initiator(), signal)).initiate({ target, channelBindings, signal });
    let step = await context.step();
    const scheme = this.#scheme(offered, step);
    for (let leg = 0; leg < MAX_LEGS; leg++) {
      if (!connection.usable) throw lost(leg);
      const answer = await this.#sendToken(scheme, step, leg);
      const token = tokenOf(parseChallenges(linesOf(answer)), scheme.toLowerCase());
      if (answer.statusCode !== 401) {
        return { answer, connection, security: await this.#prove(context, step, answer, token) };
      }
      // A challenge without a token after a token: the server refuses this user, or this ticket.
      if (step.done || token === undefined || token === null) return this.#unsigned(answer);
      step = await context.step(decodeToken(token));
      if (step.token === null || step.token.length === 0) return this.#unsigned(answer);
      if (this.#asked.body instanceof ReadableStream) throw twice("the sign-on takes several requests");
      if (!await discard(answer) || closes(answer)) throw lost(leg + 1);
    }
    throw new ProtocolError("unexpected-message", `The sign-on was not complete after ${MAX_LEGS} tokens`);
  }

  #bindings({ certificate }: Connection): ChannelBindings | undefined {
    const { channelBindings } = this.#options.terms;
    if (channelBindings === "never") return undefined;
    const missing = (why: string, cause?: unknown): SecurityRequirementError =>
      new SecurityRequirementError(
        "channelBindings",
        "none",
        `Cannot sign on to ${this.#asked.url.origin} with channel bindings: ${why}. No token was sent. ` +
          'Set channelBindings: "whenAvailable" to go without',
        { cause },
      );
    if (certificate === null) {
      if (channelBindings === "required") throw missing("plain http has none");
      return undefined;
    }
    try {
      return checkBindings({ type: "tls-server-end-point", certificate }, "certificate");
    } catch (cause) {
      if (channelBindings === "required") throw missing((cause as Error).message, cause);
      return undefined;
    }
  }

  /** The scheme for the first token. Raw NTLM has one of its own, which older servers offer alone. */
  #scheme(offered: readonly string[], { token }: StepResult): string {
    const raw = token !== null && indexOf(token, NTLM_SIGNATURE) === 0;
    if (raw && offered.includes("ntlm")) return "NTLM";
    if (offered.includes("negotiate")) return "Negotiate";
    throw new AuthenticationError(
      "mechanism",
      `${this.#asked.url.origin} offers the scheme NTLM alone, and the selected provider makes tokens of another kind; ` +
        "no token was sent. List ntlm() without spnego",
    );
  }

  async #sendToken(scheme: string, { token, done }: StepResult, leg: number): Promise<IncomingMessage> {
    const ntlm = token !== null && indexOf(token, NTLM_SIGNATURE) >= 0;
    const { url, body } = this.#asked;
    // Through a proxy, whatever it says: NTLM signs on a connection, and not a request.
    if (ntlm && this.#connection!.forwarded) throw this.#shared();
    if (ntlm && url.protocol === "http:" && !this.#options.terms.allowHttp) {
      throw new SecurityRequirementError(
        "https",
        "http",
        `Cannot sign on to ${url.origin}: NTLM on plain http lets others on the network use the sign-on. No token was ` +
          "sent. Use https, or set allowHttp: true",
      );
    }
    const authorization = formatToken(scheme, token);
    this.#fieldLength = authorization.length;
    // NTLM's first message gets a challenge, never the answer to the request: the body is sent with the next.
    const early = ntlm && leg === 0 && !done;
    if (early && body instanceof ReadableStream) throw twice("NTLM takes several requests");
    const empty = early && body !== null;
    return await this.#send({ authorization }, empty ? new Uint8Array() : body);
  }

  /** Verifies the proof in an answer. Nothing of the answer is believed before that. */
  async #prove(
    context: SecurityContext,
    step: StepResult,
    answer: IncomingMessage,
    token: string | null | undefined,
  ): Promise<SecurityInfo> {
    const received = token === undefined || token === null ? null : decodeToken(token);
    if (received === null && !step.done) throw this.#unproved(answer);
    if (received !== null) {
      const last = await context.step(received);
      if (!last.done || (last.token !== null && last.token.length > 0)) {
        throw new ProtocolError(
          "unexpected-message",
          `${this.#asked.url.origin} answered ${answer.statusCode} before the sign-on was complete`,
        );
      }
    }
    return context.security;
  }

  /** RFC 4559, section 6: a server may remember the connection, and the proxy send others' requests on it. */
  #shared(): SecurityRequirementError {
    return new SecurityRequirementError(
      "https",
      "http through a proxy",
      `Cannot sign on to ${this.#asked.url.origin}: the proxy forwards the request and may use the signed-on ` +
        "connection for others. No token was sent to the server. Use https, or go without the proxy",
    );
  }

  #unproved({ statusCode }: IncomingMessage): SecurityRequirementError {
    const { origin } = this.#asked.url;
    const large = [400, 413, 431, 494].includes(statusCode!) && this.#fieldLength > LARGE_FIELD;
    const why = large
      ? `its Authorization has ${this.#fieldLength} characters, probably more than the server accepts: the user's ` +
        "ticket is large. Raise the server's limit (Apache: LimitRequestFieldSize; IIS: MaxFieldLength and " +
        "MaxRequestBytes; nginx: large_client_header_buffers; Node: its option max-http-header-size), or put the user in fewer " +
        "groups"
      : this.#asked.body instanceof ReadableStream
      ? "this request sent its token unasked, because a stream cannot be sent twice. If the page needs no sign-on, " +
        'set preemptive: "never"; otherwise this may not be the server'
      : "it may not be the server that it claims to be, or a proxy removed the token of its answer. If the server " +
        "cannot prove itself, require { mutualAuthentication: false }";
    return new SecurityRequirementError(
      "mutualAuthentication",
      "none",
      `${origin} answered ${statusCode} to a sign-on without proof of its identity; the answer was discarded: ${why}`,
    );
  }
}

/** Whether the connection ends with this answer. */
function closes({ headers: { connection = "" }, httpVersion }: IncomingMessage): boolean {
  return /\bclose\b/i.test(connection) || httpVersion === "1.0" && !/\bkeep-alive\b/i.test(connection);
}

/** Whether a proxy says that a connection to a server serves one client only. */
function keepsApart({ headers }: IncomingMessage): boolean {
  return /^session-based-authentication$/i.test(String(headers["proxy-support"] ?? ""));
}

/** The lines of WWW-Authenticate, each for itself. */
function linesOf({ rawHeaders }: IncomingMessage): string[] {
  return rawHeaders.filter((_, index) =>
    index % 2 === 1 && rawHeaders[index - 1].toLowerCase() === "www-authenticate"
  );
}

/** Settles with `pending`, or rejects with the reason of an abort that comes first. */
async function abortable<T>(pending: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  const { promise, reject } = Promise.withResolvers<never>();
  const abort = (): void => reject(signal.reason);
  signal.addEventListener("abort", abort);
  try {
    return await Promise.race([pending, promise]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

function indexOf(bytes: Uint8Array, part: Uint8Array): number {
  for (let at = 0; at + part.length <= bytes.length; at++) {
    if (part.every((byte, index) => bytes[at + index] === byte)) return at;
  }
  return -1;
}

function twice(why: string): TypeError {
  return new TypeError(
    `The server asks for sign-on, and the body cannot be sent twice: ${why}. Give the body as a string, bytes or a Blob`,
  );
}

function lost(leg: number): TransportError {
  const text = leg === 0
    ? "The server closed the connection before the token was sent; try again"
    : "The server closed the connection in the middle of the sign-on, which must stay on one connection. A proxy in " +
      "between may not keep connections: NTLM does not work through it";
  return leg === 0 ? new LostConnection("closed", text) : new TransportError("closed", text);
}
