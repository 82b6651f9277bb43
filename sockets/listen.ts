/**
 * Listening for authenticated TCP connections.
 *
 * @module
 */

import { listenTcp } from "../ffi/transport/mod.ts";
import { acquire, choose } from "./establish.ts";
import { Listener } from "./listener.ts";
import type { ListenOptions } from "./options.ts";
import { readListenOptions } from "./read_options.ts";
import type { SecureListener } from "./secure_listener.ts";
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
    const chosen = choose(settings);
    const credentials = await acquire(chosen, watch);
    try {
      const tcp = await watch.race(listenTcp(settings), (late) => late.close());
      return new Listener(tcp, { ...settings, chosen, credentials });
    } catch (error) {
      credentials.close();
      throw error;
    }
  } finally {
    watch.end();
  }
}
