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

/** The most file descriptors that are kept free for handshakes and the application. */
const SPARE_DESCRIPTORS = 32;

type Net = typeof import("node:net");

interface NodeProcess {
  getBuiltinModule?(name: string): unknown;
  permission?: { has(scope: string): boolean };
  allowedNodeEnvironmentFlags?: ReadonlySet<string>;
  platform?: string;
  report?: { excludeNetwork?: boolean; getReport(): unknown };
}

let mostDescriptors: number | undefined;

/** Returns how many descriptors may be in use before they are scarce; Infinity where the limit is not known. */
function plenty(): number {
  mostDescriptors ??= descriptorLimit((globalThis as { process?: NodeProcess }).process ?? {});
  return mostDescriptors - Math.min(SPARE_DESCRIPTORS, mostDescriptors / 8);
}

function descriptorLimit({ getBuiltinModule, platform, report }: NodeProcess): number {
  try {
    const fs = getBuiltinModule!("node:fs") as { readFileSync(path: string, encoding: "latin1"): string };
    const limit = /^Max open files +(\d+)/m.exec(fs.readFileSync("/proc/self/limits", "latin1"))?.[1];
    if (limit !== undefined) return Number(limit);
  } catch {
    // Not Linux, or not permitted. The report is the second choice, because it waits for each worker that is in a
    // native call.
  }
  if (!report || platform === "win32") return Infinity;
  const network = report.excludeNetwork;
  // Otherwise the report would resolve the name of each peer.
  report.excludeNetwork = true;
  const { userLimits } = report.getReport() as { userLimits?: { open_files?: { soft?: unknown } } };
  report.excludeNetwork = network;
  const soft = userLimits?.open_files?.soft;
  return typeof soft === "number" && soft > 0 ? soft : Infinity;
}

/**
 * Returns `node:net`. @throws PermissionError or UnsupportedPlatformError where it is not permitted or does not
 * exist.
 */
function net(what: string, address: string): Net {
  const { process = {} } = globalThis as { process?: NodeProcess };
  // Checked here: Node 26 throws the error of a refused listen where it cannot be caught. Node before 25 has no such
  // permission.
  const limited = process.permission && process.allowedNodeEnvironmentFlags?.has("--allow-net");
  if (limited && !process.permission!.has("net")) {
    throw socketFailure({ code: "ERR_ACCESS_DENIED" }, what, address);
  }
  const module = process.getBuiltinModule?.("node:net") as Net | undefined;
  if (module) return module;
  throw new UnsupportedPlatformError("This runtime has no TCP sockets that the library supports", {
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
  return new NodeListener(server, address, plenty());
}

/** The part of a socket's internal handle used here. */
interface Handled {
  readonly _handle?: { readonly fd?: number } | null;
}

const descriptorOf = (socket: Socket): number => (socket as Handled)._handle?.fd ?? -1;

/** The sockets that listeners of this process have accepted. */
const taken = new Set<Socket>();

/**
 * Whether so many descriptors are in use, with this one open. At the limit libuv silently closes each new connection.
 * A new descriptor has the lowest free number: all numbers below it are in use, and so are those of the sockets
 * above.
 */
function isScarce(socket: Socket, plenty: number): boolean {
  let used = descriptorOf(socket) + 1;
  if (used + taken.size < plenty) return false;
  const own = used - 1;
  for (const other of taken) if (descriptorOf(other) > own) used++;
  return used >= plenty;
}

interface Waiter {
  resolve(transport: TcpTransport): void;
  reject(error: unknown): void;
}

class NodeListener implements TcpListener {
  readonly addr: NetAddress;
  scarce = false;
  readonly #server: Server;
  readonly #arrived: (TcpTransport | Error)[] = [];
  readonly #waiters: Waiter[] = [];
  #closed = false;

  constructor(server: Server, address: string, plenty: number) {
    this.#server = server;
    const { address: hostname, port } = server.address() as AddressInfo;
    this.addr = { transport: "tcp", hostname, port };
    server.on("connection", (socket: Socket) => {
      this.scarce = isScarce(socket, plenty);
      taken.add(socket);
      socket.once("close", () => taken.delete(socket));
      this.#arrive(new NodeTransport(socket));
    });
    server.on("error", (cause) => {
      // While one error waits to be reported, a further one adds nothing.
      if (this.#arrived.some((one) => one instanceof Error)) return;
      this.#arrive(socketFailure(cause, `accept on ${address}`, address));
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
