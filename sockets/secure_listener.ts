/**
 * The face of a listener.
 *
 * @module
 */

import type { SecureConn } from "./secure_conn.ts";
import type { NetAddress } from "./transport.ts";

/**
 * A listening socket that hands out connections whose handshake has succeeded.
 *
 * A failed handshake neither ends it nor vanishes: it is told to `onHandshakeError`, or to `console.warn`. Iterating
 * ends when it is closed; leaving the loop closes it.
 */
export interface SecureListener extends AsyncIterable<SecureConn>, AsyncDisposable {
  /** Where it listens. */
  readonly addr: NetAddress;
  /**
   * The next connection, in the order in which handshakes succeed.
   *
   * @throws StateError where the listener is closed, and the signal's reason where the signal closed it.
   */
  accept(): Promise<SecureConn>;
  /**
   * Stops listening, ends every handshake that is under way and closes the connections nobody has accepted;
   * calling it again does nothing. Connections handed out go on. Resolves when all of that is released.
   */
  close(): Promise<void>;
}
