/**
 * Listening for authenticated TCP connections.
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
 * Listens on TCP for clients to authenticate.
 *
 * Strangers cost little: who says nothing holds a socket and 4 KiB, and none of the `maxHandshakes` places. A
 * handshake takes its place when the peer's first token has come whole; before that the provider is asked for
 * nothing. At most 16 connections for each place wait to begin, each peer has `handshakeTimeoutMs` while it is its
 * turn, and where somebody else could use its room the one that has kept everybody waiting longest is dropped. Who
 * waits for a place, its token read, has no limit of time but is let go where its peer has gone, and holds the token and
 * no other memory but what Node itself reads ahead. While `maxHandshakes` connections wait to be accepted, the system's
 * own queue holds the rest. Node has no such queue: there they are held in the process, and where hardly a file
 * descriptor is left the one that has been silent longest is dropped at once, or the newcomer where none is silent.
 *
 * @throws TypeError or RangeError where an option is wrong; nothing was opened.
 * @throws ProviderNotFoundError or PermissionError where no provider can serve; nothing was opened.
 * @throws AuthenticationError where the server's credentials cannot be had.
 * @throws TransportError where the address cannot be had.
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
    // Before the choice: that opens the system's libraries.
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
 * Accepts from `tcp` and authenticates by messages; `tcp` and the credentials become the listener's.
 *
 * @param turn How patience is counted; left out: by turns of the event loop.
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
    secure: (transport, means) => establish(chosen, { wire: openWire(transport), credentials, ...means }),
    release: () => credentials.close(),
  });
}
