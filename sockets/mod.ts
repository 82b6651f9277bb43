/**
 * Authenticated, protected connections over TCP or any other byte stream.
 *
 * @module
 */

export { connect } from "./connect.ts";
export { listen } from "./listen.ts";
export type {
  ClientOptions,
  CommonOptions,
  ConnectOptions,
  HandshakeOrigin,
  ListenOptions,
  SecureOptions,
  ServerOptions,
} from "./options.ts";
export { openDatagrams } from "./ipsec/open_datagrams.ts";
export type {
  DatagramAddress,
  DatagramOptions,
  DatagramPeer,
  ReceivedDatagram,
  SecureDatagrams,
} from "./ipsec/datagrams.ts";
export { secure } from "./secure.ts";
export type {
  PeerAccount,
  PeerToken,
  PeerTokens,
  QueriedSecurity,
  QuerySecurityOptions,
  SecureConn,
} from "./secure_conn.ts";
export type { SecureListener } from "./secure_conn.ts";
export type {
  ByteTransport,
  NetAddress,
  StreamReader,
  StreamTransport,
  StreamWriter,
  Transport,
} from "./transport.ts";
