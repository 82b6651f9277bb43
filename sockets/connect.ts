/**
 * Opening an authenticated TCP connection.
 *
 * @module
 */

import { connectTcp, type TcpTransport } from "../ffi/transport/mod.ts";
import { connectSecured } from "./ipsec/connect.ts";
import { acquire, choose, establish, isSocketChosen } from "./establish.ts";
import type { ConnectOptions } from "./options.ts";
import { openWire, quietly } from "./transport.ts";
import { readConnectOptions } from "./read_options.ts";
import type { SecureConn } from "./secure_conn.ts";
import { Deadline } from "./deadline.ts";

/**
 * Connects over TCP and authenticates both ends.
 *
 * The server is known by `target`, by default `host/` and the hostname as typed, without
 * the dot at the end of an absolute one; DNS is never asked for another
 * name. Credentials are acquired first, so that nothing is sent where there are none.
 *
 * A provider of the socket layer has the system secure the socket itself: the peer is then known by `computer`, by
 * default the same name, and the connection is handed out only after the system has told that it
 * is secured as required.
 *
 * @throws TypeError or RangeError where an option is wrong; nothing was opened.
 * @throws ProviderNotFoundError or PermissionError where no provider can serve; nothing was opened.
 * @throws TransportError where the TCP connection cannot be made.
 * @throws AuthenticationError where either end refuses the other, or the peer goes away.
 * @throws SecurityRequirementError where the peer would give less than is required.
 * @throws ProtocolError where the peer does not keep to the protocol.
 * @throws TimeoutError where everything together takes longer than `timeoutMs`.
 *
 * @example
 * ```ts
 * import { connect } from "@winsock/secure-sockets";
 *
 * await using conn = await connect({ hostname: "files.example.test", port: 7777 });
 * await conn.write(new TextEncoder().encode("hello"));
 * ```
 */
export async function connect(options: ConnectOptions): Promise<SecureConn> {
  const settings = readConnectOptions(options);
  const deadline = new Deadline(settings.signal, "Connecting", settings.timeoutMs);
  try {
    // Before the choice: that opens the system's libraries.
    deadline.signal.throwIfAborted();
    const chosen = choose(settings);
    if (isSocketChosen(chosen)) return await connectSecured(settings, chosen, deadline);
    const credentials = await acquire(chosen, deadline);
    const release = () => credentials.close();
    const { hostname, port } = settings;
    let tcp: TcpTransport;
    try {
      tcp = await connectTcp({ hostname, port, signal: deadline.signal });
    } catch (error) {
      await quietly(release);
      throw error;
    }
    return await establish(chosen, { wire: openWire(tcp), deadline, credentials, release });
  } finally {
    deadline.end();
  }
}
