/**
 * `startLocalProxy()`: a proxy for the programs of this machine, which signs on to another proxy for them.
 *
 * @module
 */

import { createServer, type Server } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { TransportError } from "../../errors.ts";
import type { ProxyAddress } from "./address.ts";
import { Clients, type Owner } from "./clients.ts";
import { ignore } from "./dial.ts";
import {
  type LocalProxyOptions,
  type LocalProxyStatus,
  type LocalProxyTerms,
  localProxyTerms,
  type ProxyEvent,
} from "./local_options.ts";

/** A running local proxy. One owner; closing twice is harmless. */
export interface LocalProxy extends AsyncDisposable {
  /** Its port. */
  readonly port: number;
  /** What to set HTTPS_PROXY and HTTP_PROXY to, without a token: `http://127.0.0.1:3128`. */
  readonly url: string;
  /** Returns what it is doing. */
  status(): LocalProxyStatus;
  /**
   * Stops listening, gives requests that are under way `graceMs` to end (default 0), and closes every connection.
   */
  close(graceMs?: number): Promise<void>;
}

/**
 * Starts a proxy on this machine that signs on to another proxy, as the user that runs it, with a fresh Kerberos token
 * for every tunnel and request. Programs that know no Negotiate use it through HTTPS_PROXY and HTTP_PROXY.
 *
 * It needs no ticket to start: a client without one gets a 502 that says so, and is served once there is a ticket.
 * **Everyone who can connect to it acts as its user**: by default these are the users of this machine; `token` keeps
 * other accounts out.
 *
 * @throws TypeError or RangeError if an option is wrong; nothing was opened.
 * @throws TransportError if the port is in use.
 *
 * @example
 * ```ts
 * import { startLocalProxy } from "@winsock/secure-sockets/http";
 *
 * async function serve(signal: AbortSignal): Promise<void> {
 *   await using proxy = await startLocalProxy({
 *     upstreams: ["http://proxy.example.test:8080"],
 *     noProxy: ["example.test", "10.0.0.0/8"],
 *     onEvent: ({ level, message }) => console.error(level, message),
 *   });
 *   console.log(`export HTTPS_PROXY=${proxy.url}`);
 *   await new Promise((resolve) => signal.addEventListener("abort", resolve));
 * }
 * console.log(typeof serve);
 * ```
 */
export async function startLocalProxy(options: LocalProxyOptions): Promise<LocalProxy> {
  const terms = localProxyTerms(options);
  terms.signal?.throwIfAborted();
  const proxy = new Local(terms);
  try {
    await proxy.listen();
    return proxy;
  } catch (error) {
    await proxy.close();
    throw error;
  }
}

/** How many addresses of refused clients are remembered. */
const MAX_REFUSED = 1000;

/** Request headers of clients may be as long as the answers of proxies. */
const SERVER = {
  maxHeaderSize: 64 * 1024,
  keepAliveTimeout: 65_000,
  headersTimeout: 30_000,
  // The content of a request may take any time.
  requestTimeout: 0,
  insecureHTTPParser: false,
  noDelay: true,
  keepAlive: true,
  keepAliveInitialDelay: 60_000,
};

class Local implements LocalProxy, Owner {
  readonly #terms: LocalProxyTerms;
  readonly #server: Server;
  readonly #clients: Clients;
  readonly #sockets = new Set<Socket>();
  readonly #refused = new Set<string>();
  readonly #working = new Set<Promise<void>>();
  readonly #since = new Date();
  readonly #onAbort = (): void => void this.close();
  #closing: Promise<void> | null = null;

  constructor(terms: LocalProxyTerms) {
    this.#terms = terms;
    const clients = new Clients(terms, this);
    this.#clients = clients;
    const server = createServer(
      SERVER,
      (request, response) => this.#track(clients.onRequest(request, response)),
    );
    this.#server = server;
    server.maxConnections = terms.maxConnections;
    server.on("connection", (socket: Socket) => this.#onConnection(socket));
    server.on("checkContinue", (request, response) => this.#track(clients.onRequest(request, response)));
    server.on("connect", (request, socket, head) => this.#track(clients.onConnect(request, socket, head)));
    server.on("upgrade", (request, socket, head) => this.#track(clients.onUpgrade(request, socket, head)));
    server.on(
      "clientError",
      (error, socket) => clients.onClientError(error as Error & { code?: string }, socket),
    );
  }

  async listen(): Promise<void> {
    const { port, access, signal } = this.#terms;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#server.once("error", reject);
    const host = access === "loopback" ? "127.0.0.1" : undefined;
    this.#server.listen({ port, host }, resolve);
    try {
      await promise;
    } catch (error) {
      const { code = "unknown" } = error as { code?: string };
      const advice = code === "EADDRINUSE"
        ? "Is it running already? Else give another port"
        : "Give another port";
      throw new TransportError(
        code,
        `Cannot listen on port ${port}: ${(error as Error).message}. ${advice}`,
        {
          cause: error,
        },
      );
    }
    this.#server.on("error", ignore);
    signal?.addEventListener("abort", this.#onAbort, { once: true });
    const who = access === "loopback" ? "" : ". Everyone who can connect to it acts as the user that runs it";
    this.report({
      level: access === "loopback" ? "info" : "warn",
      event: "listening",
      message: `Listening on ${this.url}${who}`,
    });
  }

  get port(): number {
    return (this.#server.address() as AddressInfo | null)?.port ?? this.#terms.port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  status(): LocalProxyStatus {
    const { pac, routes } = this.#terms;
    const named = routes.map((route) => ({
      name: (route as ProxyAddress).label,
      down: this.#clients.routes.isDown(route),
    }));
    return {
      since: this.#since,
      upstreams: pac === undefined ? named : [{ name: `PAC ${pac}`, down: false }],
      connections: this.#sockets.size,
      tunnels: this.#clients.tunnels,
      served: this.#clients.served,
      failed: this.#clients.failed,
      lastFailure: this.#clients.lastFailure,
    };
  }

  close(graceMs = 0): Promise<void> {
    return this.#closing ??= this.#close(graceMs);
  }

  async #close(graceMs: number): Promise<void> {
    this.#terms.signal?.removeEventListener("abort", this.#onAbort);
    const wasListening = this.#server.listening;
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeIdleConnections();
    if (graceMs > 0 && this.#working.size > 0) {
      let timer: ReturnType<typeof setTimeout>;
      const late = new Promise<void>((resolve) => timer = setTimeout(resolve, graceMs));
      await Promise.race([late, Promise.allSettled(this.#working)]);
      clearTimeout(timer!);
    }
    this.#clients.stop();
    for (const socket of this.#sockets) socket.destroy();
    this.#server.closeAllConnections();
    await Promise.allSettled(this.#working);
    await closed;
    this.#clients.close();
    if (wasListening) this.report({ level: "info", event: "closed", message: "Closed" });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  report(event: Omit<ProxyEvent, "time">): ProxyEvent {
    const full = { time: new Date(), ...event };
    this.#terms.onEvent(full);
    return full;
  }

  #track(work: Promise<void>): void {
    const tracked = work.catch(ignore).finally(() => this.#working.delete(tracked));
    this.#working.add(tracked);
  }

  /** Logs each address once: strangers decide how often they come. */
  #refuse(client: string): void {
    if (this.#refused.has(client) || this.#refused.size >= MAX_REFUSED) return;
    this.#refused.add(client);
    const message = `Refused a client at ${client}: it is not in the networks that may use this proxy`;
    this.report({ level: "warn", event: "refused", client, message });
  }

  #onConnection(socket: Socket): void {
    socket.on("error", ignore);
    if (!this.#terms.guard.admits(socket.remoteAddress)) {
      this.#refuse(socket.remoteAddress ?? "an unknown address");
      socket.destroy();
      return;
    }
    this.#sockets.add(socket);
    socket.once("close", () => this.#sockets.delete(socket));
  }
}
