/**
 * Securing a byte stream that is there already.
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
 * Wrong arguments are refused before the transport is touched. From then on it belongs to this function, and then
 * to the connection: every failure closes it, an abort, a time-out and a provider that cannot be had included.
 *
 * @param transport A `Deno.Conn`, anything else with `read`, `write` and `close`, or a pair of web streams. Nothing
 * else may read from it or write to it.
 * @throws TypeError or RangeError where an argument is wrong; the transport is untouched.
 * @throws ProviderNotFoundError or PermissionError where no provider can serve.
 * @throws AuthenticationError where either end refuses the other, or the peer goes away.
 * @throws SecurityRequirementError where the peer would give less than is required.
 * @throws ProtocolError where the peer does not keep to the protocol.
 * @throws TimeoutError where the handshake takes too long.
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
    // Before the choice: that opens the system's libraries.
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
