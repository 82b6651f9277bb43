/**
 * Plain TCP of the current runtime, selected at the call and not at import.
 *
 * @module
 */

import * as deno from "./deno.ts";
import * as node from "./node.ts";
import type { ConnectTcpOptions, ListenTcpOptions, TcpListener, TcpTransport } from "./types.ts";

export type { ConnectTcpOptions, ListenTcpOptions, NetAddress, TcpListener, TcpTransport } from "./types.ts";

function runtime(): typeof deno | typeof node {
  const { Deno } = globalThis as { Deno?: { version?: { deno?: string } } };
  return Deno?.version?.deno ? deno : node;
}

/**
 * Opens a TCP connection with `TCP_NODELAY`, whose directions can be closed separately.
 *
 * @throws TransportError where the connection fails.
 * @throws PermissionError with the flag to add, where the runtime does not permit it.
 */
export function connectTcp(options: ConnectTcpOptions): Promise<TcpTransport> {
  return runtime().connectTcp(options);
}

/**
 * Listens for TCP connections.
 *
 * @throws TransportError where the address is unavailable.
 * @throws PermissionError with the flag to add, where the runtime does not permit it.
 */
export function listenTcp(options: ListenTcpOptions): Promise<TcpListener> {
  return runtime().listenTcp(options);
}
