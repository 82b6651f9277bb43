/**
 * Plain TCP over `node:net`.
 *
 * @module
 */

import type { AddressInfo, Server, Socket } from "node:net";
import { UnsupportedPlatformError } from "../../errors.ts";
import { closedFailure, socketFailure } from "./failure.ts";
import { NodeTransport } from "./node_transport.ts";
import type { ConnectTcpOptions, ListenTcpOptions, NetAddress, TcpListener, TcpTransport } from "./types.ts";

/** Connections that Node has taken and nobody has accepted: Node cannot leave them to the system's queue. */
const MAX_UNACCEPTED = 128;

type Net = typeof import("node:net");

interface NodeProcess {
  getBuiltinModule?(name: string): unknown;
  permission?: { has(scope: string): boolean };
  allowedNodeEnvironmentFlags?: ReadonlySet<string>;
}

/** `node:net`, unless this process may not use it, or has none. */
function net(what: string, address: string): Net {
  const { process = {} } = globalThis as { process?: NodeProcess };
  // Asked here: Node 26 throws a refused listen where nothing can catch it. Before 25 there was no such permission.
  const limited = process.permission && process.allowedNodeEnvironmentFlags?.has("--allow-net");
  if (limited && !process.permission!.has("net")) {
    throw socketFailure({ code: "ERR_ACCESS_DENIED" }, what, address);
  }
  const module = process.getBuiltinModule?.("node:net") as Net | undefined;
  if (module) return module;
  throw new UnsupportedPlatformError("This runtime has no TCP sockets that the library knows", {
    instead: "Use Deno 2 or Node 22 or later, or pass your own transport to secure()",
  });
}

/** Connects; see {@linkcode ConnectTcpOptions}. */
export async function connectTcp({ hostname, port, signal }: ConnectTcpOptions): Promise<TcpTransport> {
  const address = `${hostname}:${port}`;
  signal?.throwIfAborted();
  const socket = net(`connect to ${address}`, address).connect({
    host: hostname,
    port,
    noDelay: true,
    allowHalfOpen: true,
  });
  const onAbort = () => socket.destroy();
  try {
    await new Promise<void>((resolve, reject) => {
      signal?.addEventListener("abort", onAbort, { once: true });
      socket.once("connect", resolve).once("error", reject).once(
        "close",
        () => reject(closedFailure("connect")),
      );
    });
    signal?.throwIfAborted();
    return new NodeTransport(socket);
  } catch (cause) {
    socket.destroy();
    signal?.throwIfAborted();
    throw socketFailure(cause, `connect to ${address}`, address);
  } finally {
    signal?.removeEventListener("abort", onAbort);
  }
}

/** Listens; see {@linkcode ListenTcpOptions}. */
export async function listenTcp({ hostname, port }: ListenTcpOptions): Promise<TcpListener> {
  const address = `${hostname}:${port}`;
  const server = net(`listen on ${address}`, address).createServer({
    allowHalfOpen: true,
    noDelay: true,
    pauseOnConnect: true,
  });
  try {
    await new Promise<void>((resolve, reject) => {
      server.once("listening", resolve).once("error", reject);
      server.listen({ host: hostname, port });
    });
  } catch (cause) {
    throw socketFailure(cause, `listen on ${address}`, address);
  }
  server.removeAllListeners("error");
  return new NodeListener(server, address);
}

interface Waiter {
  resolve(transport: TcpTransport): void;
  reject(error: unknown): void;
}

class NodeListener implements TcpListener {
  readonly addr: NetAddress;
  readonly #server: Server;
  readonly #arrived: (TcpTransport | Error)[] = [];
  readonly #waiters: Waiter[] = [];
  #closed = false;

  constructor(server: Server, address: string) {
    this.#server = server;
    const { address: hostname, port } = server.address() as AddressInfo;
    this.addr = { transport: "tcp", hostname, port };
    server.on("connection", (socket: Socket) => {
      if (this.#arrived.length >= MAX_UNACCEPTED) socket.destroy();
      else this.#arrive(new NodeTransport(socket));
    });
    server.on("error", (cause) => {
      if (this.#arrived.length < MAX_UNACCEPTED) {
        this.#arrive(socketFailure(cause, `accept on ${address}`, address));
      }
    });
  }

  #arrive(one: TcpTransport | Error): void {
    const waiter = this.#waiters.shift();
    if (!waiter) this.#arrived.push(one);
    else if (one instanceof Error) waiter.reject(one);
    else waiter.resolve(one);
  }

  accept(): Promise<TcpTransport> {
    if (this.#closed) return Promise.reject(closedFailure("accept"));
    const one = this.#arrived.shift();
    if (one === undefined) return new Promise((resolve, reject) => this.#waiters.push({ resolve, reject }));
    return one instanceof Error ? Promise.reject(one) : Promise.resolve(one);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#server.close();
    for (const one of this.#arrived.splice(0)) {
      if (!(one instanceof Error)) one.close();
    }
    for (const waiter of this.#waiters.splice(0)) waiter.reject(closedFailure("accept"));
  }
}
