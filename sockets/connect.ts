/**
 * Opens an authenticated TCP connection.
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
 * `target` names the server: by default `host/` and the hostname as typed, without the dot at the end of an
 * absolute name. DNS is never asked for another name. Credentials are acquired before the connection is opened, so
 * nothing is sent where there are none.
 *
 * With a provider of the socket layer the operating system secures the socket itself. `computer` then names the
 * peer, by default with the same name, and the connection is returned only after the system has reported that it is
 * secured as required.
 *
 * @throws TypeError or RangeError if an option is invalid; nothing was opened.
 * @throws ProviderNotFoundError or PermissionError if no provider is available; nothing was opened.
 * @throws TransportError if the TCP connection fails.
 * @throws AuthenticationError if either end refuses the other, or the peer closes the connection.
 * @throws SecurityRequirementError if the connection would be weaker than required.
 * @throws ProtocolError if the peer breaks the protocol.
 * @throws TimeoutError if everything together takes longer than `timeoutMs`.
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
    // Before a provider is selected: that opens the system's libraries.
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
