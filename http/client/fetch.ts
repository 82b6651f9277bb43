/**
 * `negotiateFetch()`: a fetch that signs on to the origins of a list.
 *
 * @module
 */

import type { IncomingMessage } from "node:http";
import type { Initiator, SecurityInfo } from "../../contract.ts";
import { describe } from "../../contexts/check.ts";
import { openInitiator } from "../../contexts/open.ts";
import { ProtocolError, StateError } from "../../errors.ts";
import { bodyOf, CODINGS, keepBody } from "./bodies.ts";
import { Connection } from "./connection.ts";
import { type Answered, type Asked, exchange, messageOf } from "./exchange.ts";
import { type NegotiateFetchOptions, readOptions, type Terms } from "./options.ts";
import { MAX_REDIRECTS, redirected } from "./redirects.ts";

/** A fetch that signs on. */
export interface NegotiateFetch extends AsyncDisposable {
  /**
   * As the global `fetch`, with `method`, `headers`, `body`, `redirect` and `signal` of its options.
   *
   * A Response that was signed on to is verified before it is handed out: the server has proved its identity. A server
   * that refuses the user answers 401, which is returned like the 401 of any other scheme. `headers` must not have an
   * Authorization of their own for a listed origin.
   *
   * @throws TypeError for wrong arguments, and for a body that would have to be sent twice and cannot be.
   * @throws SecurityRequirementError if the server answered without proof of its identity, or for a redirect from https
   * to http.
   * @throws AuthenticationError if there are no credentials, or no ticket for the target; ProtocolError and
   * TransportError for servers that do not follow HTTP, and failed connections; StateError after `close()`. The reason
   * of `signal` is rethrown unchanged.
   */
  (input: string | URL | Request, init?: RequestInit): Promise<Response>;
  /**
   * How the sign-on of a response was: mechanism, channel bindings, who the server is. `null`: there was none. On plain
   * http it says who answered, and protects nothing of the body.
   *
   * @throws TypeError if the response is not of this function.
   */
  security(response: Response): SecurityInfo | null;
  /** Ends the requests under way, and releases the credentials. */
  close(): Promise<void>;
}

/**
 * Makes a `fetch` that answers `WWW-Authenticate: Negotiate` (RFC 4559) for the listed origins, as the user of the
 * process.
 *
 * Each request has connections of its own, over http/1.1, which are closed after its answer: nobody else's request
 * travels on a connection that was signed on. Credentials are acquired with the first sign-on, and again when they have
 * expired. Opens nothing before the first request.
 *
 * @throws TypeError if an option is wrong.
 *
 * @example
 * ```ts
 * import { negotiateFetch } from "@winsock/secure-sockets/http";
 *
 * await using intranet = negotiateFetch({ origins: ["https://intranet.example.test"] });
 * async function whoAmI(): Promise<string> {
 *   const response = await intranet("https://intranet.example.test/api/me");
 *   console.log(intranet.security(response)?.mechanism); // "kerberos": the server has proved who it is
 *   return await response.text();
 * }
 * console.log(typeof whoAmI);
 * ```
 *
 * @see https://www.rfc-editor.org/rfc/rfc4559
 */
export function negotiateFetch(options: NegotiateFetchOptions): NegotiateFetch {
  const client = new Client(readOptions(options));
  return Object.assign((input: string | URL | Request, init?: RequestInit) => client.fetch(input, init), {
    security: (response: Response) => client.security(response),
    close: () => client.close(),
    [Symbol.asyncDispose]: () => client.close(),
  });
}

/** Headers that belong to the connection, or to this function. */
const OWN_HEADERS = [
  "host",
  "connection",
  "keep-alive",
  "transfer-encoding",
  "upgrade",
  "proxy-authorization",
];
const WITHOUT_BODY = [204, 205, 304];

class Client {
  readonly #terms: Terms;
  readonly #security = new WeakMap<Response, SecurityInfo | null>();
  #initiator: Promise<Initiator> | null = null;
  /** Aborted by `close()`. */
  readonly #ended = new AbortController();

  constructor(terms: Terms) {
    this.#terms = terms;
  }

  async fetch(input: string | URL | Request, init: RequestInit = {}): Promise<Response> {
    this.#ended.signal.throwIfAborted();
    const { redirect, ...first } = await this.#read(input, init);
    let asked: Asked = first;
    for (let hops = 0;; hops++) {
      const answered = await this.#ask(asked);
      let next: Asked | null = null;
      try {
        if (redirect !== "manual") next = redirected(asked, answered.answer);
        if (next !== null && redirect === "error") {
          throw new TypeError(`${asked.url.origin} redirects, and redirect is "error"`);
        }
        if (next !== null && hops === MAX_REDIRECTS) {
          throw new ProtocolError(
            "unexpected-message",
            `More than ${MAX_REDIRECTS} redirects; they may be in a circle`,
          );
        }
        if (next === null) return this.#respond(asked, answered, hops > 0);
      } catch (error) {
        answered.connection.close();
        throw error;
      }
      answered.connection.close();
      asked = next;
    }
  }

  async #read(
    input: string | URL | Request,
    init: RequestInit,
  ): Promise<Asked & { redirect: RequestRedirect }> {
    // Deno would send a user name and password as Basic.
    const url = new URL(input instanceof Request ? input.url : input);
    if (!/^https?:$/.test(url.protocol)) {
      throw new TypeError(`input must be http or https, not ${url.protocol}`);
    }
    if (url.username !== "" || url.password !== "") {
      throw new TypeError(
        "input has a user name or a password: give options.credentials to negotiateFetch()",
      );
    }
    if (init.integrity) {
      throw new TypeError("init.integrity is not supported: compare the body's hash yourself");
    }
    const request = new Request(input, init);
    const { headers, method, signal } = request;
    const listed = this.#terms.origins.targetOf(url) !== null;
    for (const name of listed ? [...OWN_HEADERS, "authorization"] : OWN_HEADERS) {
      if (!headers.has(name)) continue;
      throw new TypeError(
        `init.headers must not have ${name}: ${
          name === "authorization"
            ? "this origin is signed on to; use the global fetch for another scheme"
            : "leave it out"
        }`,
      );
    }
    headers.delete("content-length");
    if (!headers.has("accept")) headers.set("accept", "*/*");
    if (!headers.has("accept-encoding") && !headers.has("range")) headers.set("accept-encoding", CODINGS);
    return {
      ...{ url, method, headers: new Headers(headers), redirect: request.redirect },
      body: await keepBody(request, init.body),
      signal: AbortSignal.any([signal, this.#ended.signal]),
    };
  }

  async #ask(asked: Asked): Promise<Answered> {
    const mine: Connection[] = [];
    const closeMine = (): void => mine.forEach((connection) => connection.close());
    const open = async (): Promise<Connection> => {
      const connection = await Connection.open(asked.url, this.#terms, asked.signal);
      mine.push(connection);
      return connection;
    };
    asked.signal.addEventListener("abort", closeMine);
    try {
      const target = this.#terms.origins.targetOf(asked.url);
      const initiator = (): Promise<Initiator> => this.#open();
      if (target !== null) return await exchange({ asked, target, terms: this.#terms, open, initiator });
      const connection = await open();
      return { connection, answer: await connection.send(messageOf(asked), asked.signal), security: null };
    } catch (error) {
      closeMine();
      asked.signal.throwIfAborted();
      throw error;
    } finally {
      asked.signal.removeEventListener("abort", closeMine);
    }
  }

  /** Acquires credentials once for all requests, and again after it has failed: a ticket may have come since. */
  #open(): Promise<Initiator> {
    if (this.#initiator !== null) return this.#initiator;
    const opening = openInitiator(this.#terms.open);
    this.#initiator = opening;
    opening.catch(() => this.#initiator = null);
    return opening;
  }

  #respond(asked: Asked, { answer, connection, security }: Answered, wasRedirected: boolean): Response {
    const status = answer.statusCode!;
    if (status < 200 || status > 599) {
      throw new ProtocolError(
        "malformed",
        `${asked.url.origin} answered with the status ${status}, which does not exist`,
      );
    }
    const headers = headersOf(answer);
    let stream: ReadableStream<Uint8Array> | null = null;
    if (asked.method === "HEAD" || WITHOUT_BODY.includes(status)) {
      connection.close();
    } else {
      const body = bodyOf(answer, () => connection.close(), asked.signal);
      stream = body.stream;
      // They describe what came over the connection, and the caller reads what was decoded.
      if (body.decoded) { for (const name of ["content-encoding", "content-length"]) headers.delete(name); }
    }
    const response = new Response(stream, { status, statusText: answer.statusMessage, headers });
    return this.#describe(response, { url: asked.url.href, redirected: wasRedirected }, security);
  }

  #describe(
    response: Response,
    own: { url: string; redirected: boolean },
    security: SecurityInfo | null,
  ): Response {
    this.#security.set(response, security);
    const clone = (): Response => this.#describe(Response.prototype.clone.call(response), own, security);
    const { url, redirected } = own;
    return Object.defineProperties(response, {
      url: { value: url.replace(/#.*/, "") },
      redirected: { value: redirected },
      clone: { value: clone },
    });
  }

  security(response: Response): SecurityInfo | null {
    const found = this.#security.get(response);
    if (found !== undefined) return found;
    throw new TypeError(`response must be one that this function returned, not ${describe(response)}`);
  }

  async close(): Promise<void> {
    this.#ended.abort(closed());
    this.#terms.proxy?.close();
    const opening = this.#initiator;
    this.#initiator = null;
    const initiator = await opening?.catch(() => null);
    initiator?.close();
  }
}

function closed(): StateError {
  return new StateError("The fetch is closed; make another with negotiateFetch()");
}

function headersOf({ rawHeaders }: IncomingMessage): Headers {
  const headers = new Headers();
  for (let index = 0; index < rawHeaders.length; index += 2) {
    headers.append(rawHeaders[index], rawHeaders[index + 1]);
  }
  return headers;
}
