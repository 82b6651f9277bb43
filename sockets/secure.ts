/**
 * Secures an existing byte stream.
 *
 * @module
 */

import { acquire, chooseForTransport, establish } from "./establish.ts";
import type { SecureOptions } from "./options.ts";
import { readSecureOptions } from "./read_options.ts";
import type { SecureConn } from "./secure_conn.ts";
import { openWire, type Transport } from "./transport.ts";
import { Deadline } from "./deadline.ts";

/**
 * Authenticates both ends of `transport` and protects what is sent over it.
 *
 * Invalid arguments are refused before the transport is used. After that this function, and then the connection,
 * owns the transport: every failure closes it, including an abort, a time-out and an unavailable provider.
 *
 * @param transport A `Deno.Conn`, any object with `read`, `write` and `close`, or a pair of web streams. Nothing
 * else may read from it or write to it.
 * @throws TypeError or RangeError if an argument is invalid; the transport was not used.
 * @throws ProviderNotFoundError or PermissionError if no provider is available.
 * @throws AuthenticationError if either end refuses the other, or the peer closes the connection.
 * @throws SecurityRequirementError if the connection would be weaker than required.
 * @throws ProtocolError if the peer breaks the protocol.
 * @throws TimeoutError if the handshake takes too long.
 *
 * @example
 * ```ts
 * import { secure } from "@winsock/secure-sockets";
 *
 * const tcp = await Deno.connect({ hostname: "files.example.test", port: 7777 });
 * await using conn = await secure(tcp, { role: "client", target: "host/files.example.test" });
 * console.log(conn.security.peer);
 * ```
 * @see https://learn.microsoft.com/openspecs/windows_protocols/ms-nns
 */
export async function secure(transport: Transport, options: SecureOptions): Promise<SecureConn> {
  const settings = readSecureOptions(options);
  const wire = openWire(transport);
  const deadline = new Deadline(settings.signal, "The handshake", settings.timeoutMs);
  try {
    // Before a provider is selected: that opens the system's libraries.
    deadline.signal.throwIfAborted();
    const chosen = chooseForTransport(settings);
    const credentials = await acquire(chosen, deadline);
    return await establish(chosen, { wire, deadline, credentials, release: () => credentials.close() });
  } catch (error) {
    wire.close();
    throw error;
  } finally {
    deadline.end();
  }
}
