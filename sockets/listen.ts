/**
 * Listening for authenticated TCP connections.
 *
 * @module
 */

import { listenTcp, type TcpListener, type TcpTransport } from "../ffi/transport/mod.ts";
import type { MessageCredentials } from "../plugins/provider.ts";
import { acquire, choose, type Chosen, establish } from "./establish.ts";
import { listenSecured } from "./listen_secured.ts";
import { Listener } from "./listener.ts";
import type { ListenOptions } from "./options.ts";
import { type ListenSettings, readListenOptions } from "./read_options.ts";
import type { SecureListener } from "./secure_listener.ts";
import { openWire } from "./transport.ts";
import { Watch } from "./watch.ts";

/**
 * Listens on TCP for clients to authenticate.
 *
 * Strangers cost little: the provider is not asked for anything before a peer's first whole token has arrived, no
 * more than `maxHandshakes` run at once, each has `handshakeTimeoutMs`, and where all places are taken the one that
 * has waited longest for its peer makes room for the newcomer. While that many connections wait to be accepted, the
 * system's own queue holds the rest.
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
  const watch = new Watch(settings.signal, "Listening");
  try {
    // Before the choice: that opens the system's libraries.
    watch.signal.throwIfAborted();
    const chosen = choose(settings);
    if (chosen.selection.provider.layer === "socket") return await listenSecured(settings, chosen, watch);
    const credentials = await acquire(chosen, watch);
    try {
      const tcp = await watch.race(listenTcp(settings), (late) => late.close());
      return listenOver(tcp, settings, chosen, credentials);
    } catch (error) {
      credentials.close();
      throw error;
    }
  } finally {
    watch.end();
  }
}

/** Accepts from `tcp` and authenticates by messages; `tcp` and the credentials become the listener's. */
export function listenOver(
  tcp: TcpListener,
  settings: ListenSettings,
  chosen: Chosen,
  credentials: MessageCredentials,
): Listener<TcpTransport> {
  return new Listener(tcp, {
    ...settings,
    secure: (transport, means) => establish(chosen, { wire: openWire(transport), credentials, ...means }),
    release: () => credentials.close(),
  });
}
