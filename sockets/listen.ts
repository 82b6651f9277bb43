/**
 * Listens for authenticated TCP connections.
 *
 * @module
 */

import { listenTcp, type TcpListener, type TcpTransport } from "../ffi/transport/mod.ts";
import type { ProviderCredentials } from "../contract.ts";
import type { ContextSelection } from "../plugins/registry.ts";
import { acquire, choose, type Chosen, establish, isSocketChosen } from "./establish.ts";
import { listenSecured } from "./ipsec/listen.ts";
import { Listener } from "./listener.ts";
import type { ListenOptions } from "./options.ts";
import type { Turn } from "./limiter.ts";
import { openWire, quietly } from "./transport.ts";
import { type ListenSettings, readListenOptions } from "./read_options.ts";
import type { SecureListener } from "./secure_conn.ts";
import { Deadline } from "./deadline.ts";

/**
 * Listens on TCP and authenticates each client that connects.
 *
 * A handshake takes one of the `maxHandshakes` slots once the peer's first token has arrived whole; before that the
 * provider is not called, and a silent connection costs a socket and 4 KiB. At most 16 connections per slot wait to
 * begin. When a limit is reached, the peer that has been idle longest is evicted.
 *
 * Each peer has `handshakeTimeoutMs` for its handshake. Waiting for a slot does not count, has no time limit, ends
 * when the peer closes the connection, and keeps only the token in memory (and what Node itself reads ahead).
 *
 * While `maxHandshakes` finished connections wait for `accept()`, new ones stay in the system's own queue. Node has
 * no such queue and keeps them in the process: when hardly a file descriptor is left, the peer that has been silent
 * longest is evicted at once, or the new connection is closed if none is silent.
 *
 * @throws TypeError or RangeError if an option is invalid; nothing was opened.
 * @throws ProviderNotFoundError or PermissionError if no provider is available; nothing was opened.
 * @throws AuthenticationError if the server's credentials are unavailable.
 * @throws TransportError if the address is unavailable.
 *
 * @example
 * ```ts
 * import { listen } from "@winsock/secure-sockets";
 *
 * await using listener = await listen({ port: 7777, acceptedTargets: ["host/files.example.test"] });
 * for await (const conn of listener) {
 *   console.log(`${conn.security.peer} is here`);
 *   conn.readable.pipeTo(conn.writable).catch(console.error);
 * }
 * ```
 */
export async function listen(options: ListenOptions): Promise<SecureListener> {
  const settings = readListenOptions(options);
  const deadline = new Deadline(settings.signal, "Listening");
  try {
    // Before a provider is selected: that opens the system's libraries.
    deadline.signal.throwIfAborted();
    const chosen = choose(settings);
    if (isSocketChosen(chosen)) return await listenSecured(settings, chosen, deadline);
    const credentials = await acquire(chosen, deadline);
    try {
      const tcp = await deadline.race(listenTcp(settings), (late) => late.close());
      return listenOver(tcp, settings, chosen, credentials);
    } catch (error) {
      await quietly(() => credentials.close());
      throw error;
    }
  } finally {
    deadline.end();
  }
}

/**
 * Accepts connections from `tcp` and authenticates them with security contexts. The listener owns `tcp` and the
 * credentials.
 *
 * @param turn Counts idle time; left out: the turns of the event loop.
 */
export function listenOver(
  tcp: TcpListener,
  settings: ListenSettings,
  chosen: Chosen<ContextSelection>,
  credentials: ProviderCredentials,
  turn?: Turn,
): Listener<TcpTransport> {
  return new Listener(tcp, {
    ...settings,
    turn,
    secure: (transport, options) => establish(chosen, { wire: openWire(transport), credentials, ...options }),
    release: () => credentials.close(),
  });
}
