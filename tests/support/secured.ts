/** Two ends of a secured connection in memory. */

import type { Requirements } from "../../contract.ts";
import { createRegistry } from "../../plugins/registry.ts";
import type { ClientOptions, ServerOptions } from "../../sockets/options.ts";
import { secure } from "../../sockets/secure.ts";
import type { SecureConn } from "../../sockets/secure_conn.ts";
import type { Transport } from "../../sockets/transport.ts";
import { type MemoryOptions, MemoryTransport } from "./memory_transport.ts";
import { type ToyFaults, toyProvider, toySystem } from "./toy_provider.ts";

/** Options of both ends. */
export interface PairOptions {
  /** Faults of both ends' providers. */
  faults?: ToyFaults;
  /** Further faults of the client's. */
  clientFaults?: ToyFaults;
  /** Further faults of the server's. */
  serverFaults?: ToyFaults;
  /** What both ends require. */
  requirements?: Requirements;
  /** Further options of the client. */
  client?: ClientOptions;
  /** Further options of the server. */
  server?: ServerOptions & { signal?: AbortSignal };
  /** How the transports behave. */
  memory?: MemoryOptions;
}

/** Both ends of a handshake that has been started. */
export interface Attempt {
  /** The client's end. */
  readonly client: Promise<SecureConn>;
  /** The server's end. */
  readonly server: Promise<SecureConn>;
  /** The client's transport. */
  readonly a: MemoryTransport;
  /** The server's transport. */
  readonly b: MemoryTransport;
  /** The client's provider. */
  readonly clientProvider: ReturnType<typeof toyProvider>;
  /** The server's provider. */
  readonly serverProvider: ReturnType<typeof toyProvider>;
}

/** Starts a handshake between two ends. */
export function attempt(options: PairOptions = {}): Attempt {
  const [a, b] = MemoryTransport.pair(options.memory);
  const clientProvider = toyProvider({ ...options.faults, ...options.clientFaults });
  const serverProvider = toyProvider({ ...options.faults, ...options.serverFaults });
  const { requirements } = options;
  const common = { system: toySystem(), ...(requirements ? { requirements } : {}) };
  const client = secure(a, {
    role: "client",
    ...common,
    registry: createRegistry([clientProvider]),
    ...options.client,
    target: options.client?.target ?? "host/server.test",
  });
  const server = secure(b, {
    role: "server",
    ...common,
    registry: createRegistry([serverProvider]),
    ...options.server,
  });
  client.catch(() => {});
  server.catch(() => {});
  return { client, server, a, b, clientProvider, serverProvider };
}

/** Both ends of an open connection, and its parts. */
export interface Pair extends Omit<Attempt, "client" | "server"> {
  /** The client's end. */
  readonly client: SecureConn;
  /** The server's end. */
  readonly server: SecureConn;
  /** Closes both ends. */
  close(): Promise<void>;
}

/** Makes a connection between two ends. */
export async function secured(options: PairOptions = {}): Promise<Pair> {
  const started = attempt(options);
  const [client, server] = await Promise.all([started.client, started.server]);
  const close = async () => {
    await Promise.all([client.close(), server.close()]);
  };
  return { ...started, client, server, close };
}

/** Makes a connection over two transports of any kind. */
export async function securedOver(
  a: Transport,
  b: Transport,
  faults: ToyFaults = {},
): Promise<{ client: SecureConn; server: SecureConn }> {
  const common = { registry: createRegistry([toyProvider(faults)]), system: toySystem() };
  const [client, server] = await Promise.all([
    secure(a, { role: "client", target: "host/server.test", ...common }),
    secure(b, { role: "server", ...common }),
  ]);
  return { client, server };
}

/** Returns bytes that are easy to distinguish from others. */
export function pattern(size: number, seed = 1): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(size);
  let state = seed * 2654435761 | 1;
  for (let index = 0; index < size; index++) {
    state = Math.imul(state, 1103515245) + 12345;
    bytes[index] = state >>> 16;
  }
  return bytes;
}

/** Reads exactly `size` bytes, or to the end of the stream. */
export async function readExactly(
  conn: Pick<SecureConn, "read">,
  size: number,
  step = 65_536,
): Promise<Uint8Array> {
  const bytes = new Uint8Array(size);
  let filled = 0;
  while (filled < size) {
    const read = await conn.read(bytes.subarray(filled, Math.min(size, filled + step)));
    if (read === null) break;
    filled += read;
  }
  return bytes.subarray(0, filled);
}
