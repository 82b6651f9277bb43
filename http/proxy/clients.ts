/**
 * What a local proxy does for its clients: CONNECT, requests of plain http, changes of the protocol.
 *
 * @module
 */

import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { TimeoutError, TransportError } from "../../errors.ts";
import { Deadline } from "../../sockets/deadline.ts";
import { type Destination, hostAndPort } from "./address.ts";
import { answerOn, BASIC, respond, statusOf, statusPage } from "./answers.ts";
import { dial, dialHost, ignore, relay } from "./dial.ts";
import { ProxyError } from "./errors.ts";
import { forward, forwardUpgrade } from "./forward.ts";
import { isLoopback, readConnect, readRequest, type Refusal } from "./guard.ts";
import type { LocalProxyStatus, LocalProxyTerms, ProxyEvent } from "./local_options.ts";
import { LOCAL, plainAddress } from "./networks.ts";
import { openPac } from "./pac.ts";
import { always, type Route, Routes } from "./routes.ts";
import { ProxySignOn } from "./sign_on.ts";
import { openTunnel } from "./tunnel.ts";

/** The proxy that clients are served for. */
export interface Owner {
  readonly port: number;
  readonly url: string;
  status(): LocalProxyStatus;
  /** Logs an event, and returns it with its time. */
  report(event: Omit<ProxyEvent, "time">): ProxyEvent;
}

/** The most requests of one connection that wait for the answers before them. */
const MAX_PIPELINED = 100;

/** Serves clients. */
export class Clients {
  /** Tunnels that are open; what was served and what failed. */
  tunnels = 0;
  served = 0;
  failed = 0;
  lastFailure: ProxyEvent | undefined;
  /** Which proxies are used. */
  readonly routes: Routes;
  readonly #terms: LocalProxyTerms;
  readonly #owner: Owner;
  readonly #signOn: ProxySignOn;
  readonly #stopping = new AbortController();
  /** Answers that are under way on a connection, which come before what else is sent on it. */
  readonly #answering = new WeakMap<object, Promise<void>>();
  /** What ends the waits for the answers of a connection. */
  readonly #waiting = new WeakMap<object, Set<() => void>>();
  /** Recognises its own requests, which come back where it is its own upstream. */
  readonly #via = `1.1 secure-sockets-${crypto.randomUUID().slice(0, 13)}`;

  constructor(terms: LocalProxyTerms, owner: Owner) {
    this.#terms = terms;
    this.#owner = owner;
    this.#signOn = new ProxySignOn(terms.signOn);
    const finder = terms.pac === undefined
      ? always(terms.routes)
      : openPac(terms.pac, (level, message) => void owner.report({ level, event: "pac", message }));
    this.routes = new Routes(finder, terms.noProxy, isThisMachine);
  }

  /** Ends every tunnel and request. */
  stop(): void {
    this.#stopping.abort(new TransportError("closed", "The proxy is being closed"));
  }

  /** Releases the credentials. */
  close(): void {
    this.#signOn.close();
  }

  onClientError(error: Error & { code?: string }, socket: Duplex): void {
    if (!socket.writable || (socket as Socket).bytesWritten > 0 || error.code === "ECONNRESET") {
      socket.destroy();
      return;
    }
    const status = error.code === "HPE_HEADER_OVERFLOW"
      ? 431
      : error.code === "ERR_HTTP_REQUEST_TIMEOUT"
      ? 408
      : 400;
    answerOn(socket, status, `The request is not valid HTTP/1.1 (${error.code ?? "unknown"})`);
  }

  async onRequest(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { socket } = request;
    const before = this.#answering.get(socket);
    const waiting = this.#waitingOn(socket);
    if (waiting.size >= MAX_PIPELINED) return void socket.destroy();
    const { promise, resolve } = Promise.withResolvers<void>();
    waiting.add(resolve);
    response.once("close", () => {
      waiting.delete(resolve);
      resolve();
    });
    this.#answering.set(socket, promise);
    // Requests that were sent without waiting for answers are made one after the other, as the client meant them.
    await before;
    if (response.destroyed || socket.destroyed) return;
    const refuse = (refusal: Refusal): void =>
      respond(response, refusal.status, `${refusal.reason}\n`, this.#challenge(refusal));
    const asked = readRequest(request, [this.#owner.port]);
    if (asked.kind === "refused") return refuse(asked.refusal);
    if (asked.kind === "own") return this.#onOwn(request, response, asked.path);
    const { url, wanted } = asked;
    const refusal = this.#mayForward(request);
    if (refusal !== null) return refuse(refusal);
    const gone = this.#untilClosed(response);
    try {
      await this.#byRoutes(url.href, wanted, gone.signal, async (route, deadline) => {
        const proxy = route === "direct" ? null : route;
        const far = await this.#dial(route, wanted, socket, deadline);
        return async () => {
          const of = { incoming: request, url, proxy, socket: far, signOn: this.#signOn, via: this.#via };
          await forward({ ...of, signal: gone.signal }, response);
        };
      });
    } catch (error) {
      // A client that is gone has not failed.
      if (gone.signal.aborted) return void response.destroy();
      const { status, message } = this.#failure(error, wanted, socket);
      if (response.headersSent) response.destroy();
      else respond(response, status, `${message}\n`);
    } finally {
      gone.release();
    }
  }

  /** The waits of a connection. An answer that has not begun does not close with its connection. */
  #waitingOn(socket: Socket): Set<() => void> {
    const known = this.#waiting.get(socket);
    if (known !== undefined) return known;
    const waiting = new Set<() => void>();
    this.#waiting.set(socket, waiting);
    socket.once("close", () => waiting.forEach((resolve) => resolve()));
    return waiting;
  }

  async onConnect(request: IncomingMessage, client: Duplex, head: Uint8Array): Promise<void> {
    client.on("error", ignore);
    await this.#answering.get(client);
    const wanted = readConnect(request);
    if ("reason" in wanted) return answerOn(client, wanted.status, wanted.reason);
    const refusal = this.#mayForward(request);
    if (refusal !== null) return answerOn(client, refusal.status, refusal.reason, this.#challenge(refusal));
    const gone = this.#untilClosed(client);
    try {
      const url = `https://${hostAndPort(wanted)}/`;
      await this.#byRoutes(url, wanted, gone.signal, async (route, deadline) => {
        const far = await this.#connect(route, wanted, client as Socket, deadline);
        return async () => {
          client.write("HTTP/1.1 200 Connection established\r\n\r\n");
          await this.#relay(client, far, head);
        };
      });
    } catch (error) {
      if (gone.signal.aborted) return void client.destroy();
      const { status, message } = this.#failure(error, wanted, client as Socket);
      answerOn(client, status, message);
    } finally {
      gone.release();
    }
  }

  async onUpgrade(request: IncomingMessage, client: Duplex, head: Uint8Array): Promise<void> {
    client.on("error", ignore);
    await this.#answering.get(client);
    const asked = readRequest(request, [this.#owner.port]);
    if (asked.kind === "refused") return answerOn(client, asked.refusal.status, asked.refusal.reason);
    const { headers } = request;
    if (
      asked.kind === "own" || headers["content-length"] !== undefined ||
      headers["transfer-encoding"] !== undefined
    ) {
      return answerOn(client, 400, "A request with Upgrade is for another host, and has no content");
    }
    const refusal = this.#mayForward(request);
    if (refusal !== null) return answerOn(client, refusal.status, refusal.reason, this.#challenge(refusal));
    const { url, wanted } = asked;
    // Only WebSocket; a request that offers HTTP/2 is answered in HTTP/1.1.
    if (headers.upgrade?.toLowerCase() !== "websocket") delete headers.upgrade;
    const gone = this.#untilClosed(client);
    try {
      await this.#byRoutes(url.href, wanted, gone.signal, async (route, deadline) => {
        const proxy = route === "direct" ? null : route;
        const far = await this.#dial(route, wanted, client as Socket, deadline);
        return async () => {
          if (head.length > 0) client.unshift(head);
          const of = { incoming: request, url, proxy, socket: far, signOn: this.#signOn, via: this.#via };
          await this.#counted(forwardUpgrade({ ...of, signal: this.#stopping.signal }, client));
        };
      });
    } catch (error) {
      if (gone.signal.aborted) return void client.destroy();
      const { status, message } = this.#failure(error, wanted, client as Socket);
      answerOn(client, status, message);
    } finally {
      gone.release();
    }
  }

  #onOwn(request: IncomingMessage, response: ServerResponse, path: string): void {
    if (!isLoopback(request.socket.remoteAddress)) {
      return respond(response, 403, "Only this machine sees the status\n");
    }
    if (!this.#terms.guard.knowsToken(request.headers.authorization)) {
      return respond(response, 401, "This page needs the token\n", ["WWW-Authenticate", BASIC]);
    }
    if (path === "/status.json") {
      return respond(response, 200, `${JSON.stringify(this.#owner.status(), null, 2)}\n`);
    }
    if (path !== "/") return respond(response, 404, "This is a proxy. Its status is at / and /status.json\n");
    respond(response, 200, statusPage(this.#owner.url, this.#owner.status()));
  }

  #challenge({ status }: Refusal): string[] {
    return status === 407 ? ["Proxy-Authenticate", BASIC] : [];
  }

  #mayForward({ headers }: IncomingMessage): Refusal | null {
    if (!this.#terms.guard.knowsToken(headers["proxy-authorization"])) {
      return { status: 407, reason: "This proxy needs its token: http://user:TOKEN@127.0.0.1:PORT" };
    }
    if (headers.via?.includes(this.#via)) {
      return {
        status: 508,
        reason: "The proxy is its own upstream: give --upstream with the address of the company's",
      };
    }
    return null;
  }

  /** Tries the routes to a host in turn until one connects; then nothing is tried again. */
  async #byRoutes(
    url: string,
    wanted: Destination,
    signal: AbortSignal,
    attempt: (route: Route, deadline: AbortSignal) => Promise<() => Promise<void>>,
  ): Promise<void> {
    const routes = await this.routes.to(url, wanted);
    for (const [index, route] of routes.entries()) {
      const deadline = new Deadline(
        signal,
        `The attempt to reach ${nameOf(route, wanted)}`,
        this.#terms.connectTimeoutMs,
      );
      let serve: () => Promise<void>;
      try {
        serve = await attempt(route, deadline.signal);
      } catch (error) {
        if (!isUnreachable(error) || signal.aborted) throw error;
        const isNew = this.routes.failed(route);
        if (index === routes.length - 1) throw error;
        if (isNew) {
          const { message } = error as Error;
          const upstream = nameOf(route, wanted);
          this.#owner.report({
            level: "warn",
            event: "upstream-down",
            upstream,
            message: `${message}; trying the next`,
          });
        }
        continue;
      } finally {
        deadline.end();
      }
      this.routes.worked(route);
      await serve();
      this.served++;
      return;
    }
  }

  /** Connects to a host through a tunnel, or directly. */
  async #connect(route: Route, wanted: Destination, client: Socket, signal: AbortSignal): Promise<Socket> {
    if (route === "direct") return await this.#dial(route, wanted, client, signal);
    const { connectTimeoutMs: timeoutMs, ca } = this.#terms;
    return await openTunnel({
      proxy: route,
      wanted,
      signOn: this.#signOn,
      timeoutMs,
      signal,
      ca,
      via: this.#via,
    });
  }

  /** Connects to a proxy, or to a host directly. */
  async #dial(route: Route, wanted: Destination, client: Socket, signal: AbortSignal): Promise<Socket> {
    if (route !== "direct") return await dial(route, this.#terms.ca, signal);
    const far = await dialHost(wanted, signal);
    // Clients elsewhere must not reach what listens on this machine alone.
    if (!isLoopback(client.remoteAddress) && LOCAL.has(plainAddress(far.remoteAddress ?? ""))) {
      far.destroy();
      throw new ProxyError(
        403,
        `${hostAndPort(wanted)} is this machine, which clients elsewhere may not reach`,
      );
    }
    return far;
  }

  async #relay(client: Duplex, far: Socket, head: Uint8Array): Promise<void> {
    if (head.length > 0) far.write(head);
    const stop = (): void => void far.destroy();
    this.#stopping.signal.addEventListener("abort", stop, { once: true });
    try {
      await this.#counted(relay(client, far));
    } finally {
      this.#stopping.signal.removeEventListener("abort", stop);
    }
  }

  async #counted(tunnel: Promise<void>): Promise<void> {
    this.tunnels++;
    await tunnel.finally(() => this.tunnels--);
  }

  /** Aborted when the client is gone, or the proxy is closed. */
  #untilClosed(client: { once(event: "close", listener: () => void): unknown }) {
    const controller = new AbortController();
    const stop = (): void => controller.abort(this.#stopping.signal.reason);
    if (this.#stopping.signal.aborted) stop();
    this.#stopping.signal.addEventListener("abort", stop, { once: true });
    client.once(
      "close",
      () => controller.abort(new TransportError("closed", "The client has closed the connection")),
    );
    const release = (): void => this.#stopping.signal.removeEventListener("abort", stop);
    return { signal: controller.signal, release };
  }

  #failure(error: unknown, wanted: Destination, client: Socket): { status: number; message: string } {
    const message = (error as Error).message.replace(/\s+/g, " ");
    this.failed++;
    this.lastFailure = this.#owner.report({
      level: "error",
      event: "failed",
      client: client.remoteAddress,
      destination: hostAndPort(wanted),
      message,
    });
    return { status: statusOf(error), message };
  }
}

/** Whether another proxy may do better. */
function isUnreachable(error: unknown): boolean {
  return error instanceof TransportError || error instanceof TimeoutError;
}

function nameOf(route: Route, wanted: Destination): string {
  return route === "direct" ? hostAndPort(wanted) : `proxy ${route.label}`;
}

function isThisMachine(host: string): boolean {
  return isLoopback(host) || /(^|\.)localhost$/i.test(host);
}
