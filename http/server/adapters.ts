/**
 * Sign-on in the handlers of runtimes and frameworks.
 *
 * @module
 */

import type { IncomingMessage, ServerResponse } from "node:http";
import { StateError } from "../../errors.ts";
import { type AllowedOrigins, corsFields, preflightFields } from "./origins.ts";
import type { HeaderSource, HttpIdentity, Refused, RequestHead, SignedOn } from "./request.ts";

/** The part of Hono's `Context` that is used. */
export interface HonoContext {
  /** The request. */
  readonly req: { readonly raw: Request };
  /** What the server passes: on `@hono/node-server` the request of node:http as `incoming`. */
  // deno-lint-ignore no-explicit-any
  readonly env: any;
  /** The response. */
  readonly res: Response;
  /** Sets a variable. */
  // deno-lint-ignore no-explicit-any
  set(key: "identity", value: any): void;
  /** Sets a field of the response. */
  header(name: string, value?: string, options?: { append?: boolean }): void;
}

/** Sign-on in the handlers of runtimes and frameworks. */
export interface HttpAdapters {
  /**
   * A handler for `Deno.serve`, `Bun.serve` and others that take a `Request`: calls `handler` for requests that are
   * signed on, and answers all others. What `handler` throws is written with `console.error` and answered with 500.
   */
  fetch<Info extends unknown[]>(
    handler: (request: Request, identity: HttpIdentity, ...info: Info) => Response | Promise<Response>,
  ): (request: Request, ...info: Info) => Promise<Response>;
  /**
   * A handler for node:http, or middleware for Express, Connect and others: calls `handler`, or `next` where there is
   * none, for requests that are signed on, and answers all others. What `handler` throws goes to `next`; where there is
   * none it is written with `console.error` and answered with 500.
   */
  node<Req extends IncomingMessage = IncomingMessage, Res extends ServerResponse = ServerResponse>(
    handler?: (request: Req, response: Res, identity: HttpIdentity) => unknown,
    // deno-lint-ignore no-explicit-any
  ): (request: Req, response: Res, next?: (error?: any) => void) => void;
  /** Middleware for Hono; sets the variable `identity`. */
  hono(): (context: HonoContext, next: () => Promise<void>) => Promise<Response | void>;
  /**
   * Who sent a request that {@linkcode HttpAdapters.node} has passed on.
   *
   * @param request that request; in Fastify `request.raw`.
   * @throws StateError if it is not signed on.
   */
  identityOf(request: object): HttpIdentity;
  /** The answer to a request that is not signed on. */
  refuse(refused: Refused): Response;
}

const TEXTS: { readonly [status in Refused["status"]]: string } = {
  400: "The Authorization header is malformed\n",
  401: "Sign-on with Negotiate is required\n",
  403: "A page of another origin must not send this request\n",
  431: "The token in Authorization is too large\n",
};
const FAILED = "Internal Server Error\n";
/** What one client may read must not be given to another. */
const PRIVATE = "private, no-cache";
const NO_CONTENT = 204;
const SWITCHING_PROTOCOLS = 101;

/** See {@linkcode HttpAdapters}. */
export abstract class Adapters implements HttpAdapters {
  readonly #allowedOrigins: AllowedOrigins;
  readonly #identities = new WeakMap<object, HttpIdentity>();

  constructor(allowedOrigins: AllowedOrigins) {
    this.#allowedOrigins = allowedOrigins;
  }

  abstract authenticate(
    request: RequestHead | HeaderSource,
    connection?: object,
  ): Promise<SignedOn | Refused>;

  fetch<Info extends unknown[]>(
    handler: (request: Request, identity: HttpIdentity, ...info: Info) => Response | Promise<Response>,
  ): (request: Request, ...info: Info) => Promise<Response> {
    if (typeof handler !== "function") throw new TypeError("fetch() takes a function that answers requests");
    return async (request, ...info) => {
      const preflight = preflightFields(request, this.#allowedOrigins);
      if (preflight !== null) return new Response(null, { status: NO_CONTENT, headers: preflight });
      const outcome = await this.authenticate(request);
      if (!outcome.signedOn) return this.refuse(outcome);
      using signedOn = outcome;
      return this.#answer(
        request,
        signedOn,
        await answerOf(() => handler(request, signedOn.identity, ...info)),
      );
    };
  }

  /** The handler's response, with the fields of the sign-on. */
  #answer(request: RequestHead, { headers }: SignedOn, response: Response): Response {
    // An upgrade is not a response that can be changed.
    if (response.status === SWITCHING_PROTOCOLS) return response;
    const complete = (answer: Response): Response => {
      for (const [name, value] of headers) answer.headers.set(name, value);
      this.#complete(
        request,
        (name) => answer.headers.has(name),
        (name, value) => answer.headers.append(name, value),
      );
      return answer;
    };
    try {
      return complete(response);
    } catch {
      // The fields of `Response.redirect()` and of what `fetch()` returned are fixed.
      return complete(new Response(response.body, response));
    }
  }

  /** Adds what the handler did not set. */
  #complete(
    request: RequestHead,
    has: (name: string) => boolean,
    add: (name: string, value: string) => void,
  ): void {
    if (!has("cache-control")) add("cache-control", PRIVATE);
    const cors = corsFields(request, this.#allowedOrigins);
    if (has("access-control-allow-origin")) return;
    for (const [name, value] of cors) add(name, value);
  }

  node<Req extends IncomingMessage = IncomingMessage, Res extends ServerResponse = ServerResponse>(
    handler?: (request: Req, response: Res, identity: HttpIdentity) => unknown,
  ): (request: Req, response: Res, next?: (error?: unknown) => void) => void {
    if (handler !== undefined && typeof handler !== "function") {
      throw new TypeError("node() takes a function that answers requests, or nothing in front of next()");
    }
    return (request, response, next) => {
      if (handler === undefined && next === undefined) {
        throw new TypeError("node() is the whole handler here: give it a function that answers requests");
      }
      const failed = (error: unknown): void => {
        if (next !== undefined) return next(error);
        console.error(error);
        if (response.headersSent) response.destroy();
        else endNode(response, 500, [], FAILED);
      };
      const pass = handler && ((identity: HttpIdentity) => handler(request, response, identity));
      this.#signOn(request, response, pass).then((passed) => passed && next?.(), failed);
    };
  }

  /** Signs a request on and calls `pass`; resolves to whether it is left to others, which is never where `pass` is. */
  async #signOn(
    request: IncomingMessage,
    response: ServerResponse,
    pass: ((identity: HttpIdentity) => unknown) | undefined,
  ): Promise<boolean> {
    const preflight = preflightFields(request, this.#allowedOrigins);
    if (preflight !== null) {
      endNode(response, NO_CONTENT, preflight);
      return false;
    }
    const outcome = await this.authenticate(request, connectionOf(request));
    if (!outcome.signedOn) {
      endNode(response, outcome.status, outcome.headers, TEXTS[outcome.status]);
      return false;
    }
    // Its client left during the sign-on: there is no other event that would close delegated credentials.
    if (response.destroyed) {
      outcome.close();
      return false;
    }
    response.once("close", () => outcome.close());
    for (const [name, value] of outcome.headers) response.setHeader(name, value);
    this.#complete(
      request,
      (name) => response.getHeader(name) !== undefined,
      (name, value) => response.appendHeader(name, value),
    );
    this.#identities.set(request, outcome.identity);
    if (pass === undefined) return true;
    await pass(outcome.identity);
    return false;
  }

  identityOf(request: object): HttpIdentity {
    const identity = this.#identities.get(request);
    if (identity !== undefined) return identity;
    throw new StateError("The request is not signed on: put node() in front of what calls identityOf()");
  }

  hono(): (context: HonoContext, next: () => Promise<void>) => Promise<Response | void> {
    return async (context, next) => {
      const { raw } = context.req;
      const preflight = preflightFields(raw, this.#allowedOrigins);
      if (preflight !== null) return new Response(null, { status: NO_CONTENT, headers: preflight });
      const incoming = nodeRequest(context.env);
      const outcome = await this.authenticate(incoming ?? raw, incoming && connectionOf(incoming));
      if (!outcome.signedOn) return this.refuse(outcome);
      using signedOn = outcome;
      context.set("identity", signedOn.identity);
      await next();
      if (context.res.status === SWITCHING_PROTOCOLS) return;
      for (const [name, value] of signedOn.headers) context.header(name, value);
      this.#complete(
        raw,
        (name) => context.res.headers.has(name),
        (name, value) => context.header(name, value, { append: true }),
      );
    };
  }

  refuse({ status, headers }: Refused): Response {
    const answer = new Response(TEXTS[status], {
      status,
      headers: { "content-type": "text/plain; charset=utf-8" },
    });
    for (const [name, value] of headers) answer.headers.append(name, value);
    return answer;
  }
}

/** What a handler answers; 500 if it throws, as the servers of the runtimes do. */
async function answerOf(handle: () => Response | Promise<Response>): Promise<Response> {
  try {
    return await handle();
  } catch (error) {
    console.error(error);
    return new Response(FAILED, { status: 500 });
  }
}

/** The TCP connection of one client's requests, one after the other; those of HTTP/2 share one. */
function connectionOf({ httpVersionMajor, socket }: IncomingMessage): object | undefined {
  return httpVersionMajor === 1 ? socket : undefined;
}

function endNode(
  response: ServerResponse,
  status: number,
  headers: readonly (readonly [string, string])[],
  text = "",
): void {
  response.statusCode = status;
  for (const [name, value] of headers) response.appendHeader(name, value);
  if (text !== "") response.setHeader("content-type", "text/plain; charset=utf-8");
  response.end(text);
}

/** The request of node:http behind a request of Hono. */
function nodeRequest(env: unknown): IncomingMessage | undefined {
  const { incoming } = (env ?? {}) as { incoming?: IncomingMessage };
  return typeof incoming?.socket === "object" && Array.isArray(incoming.rawHeaders) ? incoming : undefined;
}
