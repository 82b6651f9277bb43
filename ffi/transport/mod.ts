/**
 * Plain TCP of whichever runtime this is, chosen when it is called and not at import.
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
 * Opens a TCP connection, without delay for small writes and able to close one direction.
 *
 * @throws TransportError where it cannot be made.
 * @throws PermissionError naming the flag, where the runtime forbids it.
 */
export function connectTcp(options: ConnectTcpOptions): Promise<TcpTransport> {
  return runtime().connectTcp(options);
}

/**
 * Listens for TCP connections.
 *
 * @throws TransportError where the address cannot be had.
 * @throws PermissionError naming the flag, where the runtime forbids it.
 */
export function listenTcp(options: ListenTcpOptions): Promise<TcpListener> {
  return runtime().listenTcp(options);
}
