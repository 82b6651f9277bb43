/**
 * `httpSignOn()`: signs on the clients of an HTTP server with Negotiate (RFC 4559). Each request is judged by itself.
 *
 * @module
 */

import { tokenKind } from "../../contexts/acceptor.ts";
import { openAcceptor } from "../../contexts/open.ts";
import type { Acceptor, Initiator, SecurityInfo } from "../../contract.ts";
import { type AuthenticationReason, type ProtocolError, StateError } from "../../errors.ts";
import { FailureLog } from "../../sockets/failure_log.ts";
import { Spn } from "../../spn.ts";
import { decodeToken, formatToken, parseCredentials } from "../fields.ts";
import { Adapters, type HttpAdapters } from "./adapters.ts";
import { type Exchange, Exchanges } from "./exchanges.ts";
import { type HttpSignOnOptions, readOptions, type Terms } from "./options.ts";
import { isCrossOrigin } from "./origins.ts";
import {
  type HeaderSource,
  headOf,
  proxyField,
  type RefusalReason,
  type Refused,
  type RequestHead,
  type SignedOn,
  valuesOf,
} from "./request.ts";

/** Signs on the clients of an HTTP server. One owner. */
export interface HttpSignOn extends HttpAdapters, Disposable {
  /**
   * Judges one request. Nothing is remembered: the next request of the same connection is judged by itself.
   *
   * @param request a `Request`, a request of node:http, or header fields alone. Without a method, the origin of the
   * request is not checked.
   * @param connection an object that stands for the client's own TCP connection, and exists as long as it does: `req.socket`
   * of node:http. Without it an exchange has one token, which Kerberos needs; NTLM needs two.
   * @throws TypeError if an argument is invalid; StateError if this was closed.
   */
  authenticate(request: RequestHead | HeaderSource, connection?: object): Promise<SignedOn | Refused>;
  /** Closes the credentials and every exchange that has begun. Closing twice is harmless. */
  close(): void;
}

const OFFER_NEGOTIATE = ["www-authenticate", "Negotiate"] as const;
const OFFER_NTLM = ["www-authenticate", "NTLM"] as const;
const NO_STORE = ["cache-control", "no-store"] as const;

class SignOnServer extends Adapters implements HttpSignOn {
  readonly #acceptor: Acceptor;
  readonly #terms: Terms;
  readonly #exchanges: Exchanges;
  readonly #log = new FailureLog({
    one: () => "a request was refused",
    many: "requests were refused",
    owner: "an HTTP sign-on",
    observer: "onRefused",
  });
  /** Whether the providers accept NTLM, and whether they accept anything else. */
  readonly #accepts: { readonly ntlm: boolean; readonly others: boolean };
  #closed = false;

  constructor(terms: Terms, acceptor: Acceptor) {
    super(terms.allowedOrigins);
    this.#terms = terms;
    this.#acceptor = acceptor;
    this.#exchanges = new Exchanges({ maxPending: terms.maxPending, timeoutMs: terms.exchangeTimeoutMs });
    const providers = terms.open.registry?.providers ?? [];
    this.#accepts = {
      ntlm: providers.some(({ name, description }) =>
        name === "ntlm" || (description.mechanisms?.includes("ntlm") ?? false)
      ),
      others: providers.length === 0 || providers.some(({ name }) => name !== "ntlm"),
    };
  }

  async authenticate(given: RequestHead | HeaderSource, connection?: object): Promise<SignedOn | Refused> {
    const head = headOf(given);
    if (connection !== undefined && (typeof connection !== "object" || connection === null)) {
      throw new TypeError(
        "connection must be an object that stands for the TCP connection; leave it out if there is none",
      );
    }
    if (this.#closed) throw new StateError("The HTTP sign-on is closed; authenticate cannot be used");
    const outcome = await this.#judge(head, connection);
    if (!outcome.signedOn && outcome.reason !== "no-token" && outcome.reason !== "continue") {
      const { onRefused } = this.#terms;
      const what = outcome.error ?? outcome.reason;
      this.#log.report(what, undefined, onRefused && (() => onRefused(outcome, given)));
    }
    return outcome;
  }

  async #judge(head: RequestHead, connection: object | undefined): Promise<SignedOn | Refused> {
    if (isCrossOrigin(head, this.#terms.allowedOrigins)) {
      return { signedOn: false, status: 403, headers: [NO_STORE], reason: "cross-origin" };
    }
    // The requests of several clients may come by one connection of a proxy.
    const own = proxyField(head) === undefined ? connection : undefined;
    const [field, ...more] = valuesOf(head, "authorization");
    if (field === undefined) return this.#offer(own, "no-token");
    let read: { readonly scheme: string; readonly token: Uint8Array } | null;
    try {
      read = more.length > 0 ? null : readToken(field, this.#terms.maxTokenBytes);
    } catch (error) {
      const large = (error as ProtocolError).reason === "oversized";
      const [status, reason] = large ? [431, "too-large"] as const : [400, "malformed"] as const;
      return { signedOn: false, status, headers: [NO_STORE], reason, error };
    }
    if (read === null) return { signedOn: false, status: 400, headers: [NO_STORE], reason: "malformed" };
    const { scheme, token } = read;
    if (scheme !== "negotiate" && (scheme !== "ntlm" || !this.#accepts.ntlm)) {
      return this.#offer(own, "scheme");
    }
    return await this.#step(scheme, token, own, connection !== own);
  }

  async #step(
    scheme: string,
    token: Uint8Array,
    own: object | undefined,
    proxied: boolean,
  ): Promise<SignedOn | Refused> {
    const kind = tokenKind(token);
    const lacks = proxied ? "proxy" : "connection";
    // NTLM needs a second token, for which there will be no exchange.
    if (kind === "ntlm" && own === undefined) return this.#offer(own, lacks);
    if (scheme === "ntlm" && kind !== "ntlm") return this.#offer(own, "bad-token");
    let exchange = own && this.#exchanges.take(own);
    if (exchange && (exchange.scheme !== scheme || isInitial(token, kind))) {
      exchange.close();
      exchange = undefined;
    }
    try {
      exchange ??= await this.#begin(scheme);
      const { token: answer, done } = await exchange.context.step(token);
      if (done) return this.#complete(exchange, answer, own);
      if (own === undefined) {
        exchange.close();
        return this.#offer(own, lacks);
      }
      this.#exchanges.wait(own, exchange);
      const headers = [["www-authenticate", formatToken(name(scheme), answer)], NO_STORE] as const;
      return { signedOn: false, status: 401, headers, reason: "continue" };
    } catch (error) {
      exchange?.close();
      return this.#offer(own, reasonOf(error), error);
    }
  }

  async #begin(scheme: string): Promise<Exchange> {
    const { channelBindings } = this.#terms;
    const bindings = channelBindings === undefined ? {} : {
      channelBindings: await channelBindings.current(),
      channelBindingPolicy: channelBindings.policy,
    };
    return this.#exchanges.begin(scheme, (signal) => this.#acceptor.accept({ ...bindings, signal }));
  }

  /** Ends an exchange whose context is verified: what is left of it is the identity, and delegated credentials. */
  #complete(exchange: Exchange, token: Uint8Array | null, own: object | undefined): SignedOn | Refused {
    const { context, scheme } = exchange;
    const { peer, security } = context;
    if (peer === undefined) {
      exchange.close();
      return this.#offer(own, "anonymous");
    }
    if (this.#terms.acceptedTargets === undefined && !isForHttp(security)) {
      exchange.close();
      return this.#offer(own, "target-not-accepted");
    }
    const { acceptDelegation } = this.#terms;
    let delegated = acceptDelegation ? context.takeDelegated() : null;
    exchange.close();
    const close = (): void => {
      delegated?.close();
      delegated = null;
    };
    const takeDelegated = (): Initiator | null => {
      if (!acceptDelegation) {
        throw new StateError("takeDelegated() may be used with httpSignOn({ acceptDelegation: true })");
      }
      const taken = delegated;
      delegated = null;
      return taken;
    };
    return {
      signedOn: true,
      identity: Object.freeze({ ...peer, security, takeDelegated }),
      headers: token === null ? [] : [["www-authenticate", formatToken(name(scheme), token)]],
      close,
      [Symbol.dispose]: close,
    };
  }

  /** The same answer for every reason. */
  #offer(own: object | undefined, reason: RefusalReason, error?: unknown): Refused {
    const { ntlm, others } = this.#accepts;
    const headers = [
      ...(others ? [OFFER_NEGOTIATE] : []),
      ...(ntlm && (own !== undefined || !others) ? [OFFER_NTLM] : []),
      NO_STORE,
    ];
    return { signedOn: false, status: 401, headers, reason, ...(error === undefined ? {} : { error }) };
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#exchanges.close();
    this.#acceptor.close();
    this.#log.flush();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** The scheme and the token of Authorization; `null` if it is not one scheme of those with a token, and one token. */
function readToken(field: string, maxBytes: number): { scheme: string; token: Uint8Array } | null {
  const { scheme, token } = parseCredentials(field);
  if (scheme !== "negotiate" && scheme !== "ntlm") return { scheme, token: new Uint8Array() };
  return token === null ? null : { scheme, token: decodeToken(token, maxBytes) };
}

function name(scheme: string): string {
  return scheme === "ntlm" ? "NTLM" : "Negotiate";
}

/** Whether a token begins an exchange: of NTLM's messages the first does. */
function isInitial(token: Uint8Array, kind: ReturnType<typeof tokenKind>): boolean {
  return kind === "ntlm" ? token[8] === 1 : kind !== "other";
}

/**
 * Whether a client asked for a web server. Kerberos always reports what it asked for. Other mechanisms serve only where
 * the application lists them; NTLM reports it if the client says it.
 */
function isForHttp({ requestedTarget, mechanism }: SecurityInfo): boolean {
  if (requestedTarget === undefined) return mechanism !== "kerberos";
  try {
    return Spn.parse(requestedTarget).serviceClass.toLowerCase() === "http";
  } catch {
    return false;
  }
}

function reasonOf(error: unknown): RefusalReason {
  const { name, reason } = error as { name?: string; reason?: AuthenticationReason };
  if (name === "AuthenticationError" && reason !== undefined) return reason;
  if (name === "SecurityRequirementError") return "requirement";
  return name === "ProtocolError" ? "bad-token" : "error";
}

/**
 * Acquires a server's credentials, and signs on the clients of an HTTP server with them.
 *
 * Kerberos needs one token, which is judged with each request. NTLM, where the registry lists it, needs two requests on
 * one connection; it is refused where a proxy passed the request on. No connection stays signed on.
 *
 * @throws TypeError or RangeError if an option is invalid; nothing was opened.
 * @throws ProviderNotFoundError or PermissionError if no provider is available.
 * @throws AuthenticationError if there is no key table, or no key in it.
 *
 * @example
 * ```ts
 * import { httpSignOn } from "@winsock/secure-sockets/http";
 *
 * const signOn = await httpSignOn();
 * Deno.serve(signOn.fetch((_request, identity) => new Response(`Hello ${identity.name}`)));
 * ```
 * @see https://www.rfc-editor.org/rfc/rfc4559
 */
export async function httpSignOn(options: HttpSignOnOptions = {}): Promise<HttpSignOn> {
  const terms = readOptions(options);
  const { open, acceptedTargets } = terms;
  return new SignOnServer(
    terms,
    await openAcceptor({ ...open, ...(acceptedTargets ? { acceptedTargets } : {}) }),
  );
}
