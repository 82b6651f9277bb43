/**
 * Listens with sockets that the operating system secures.
 *
 * @module
 */

import { SecureSockets } from "../../ffi/ipsec/secure_sockets.ts";
import { TcpSocket } from "../../ffi/winsock/tcp.ts";
import { nativeSystem } from "../../ffi/system.ts";
import { ReferenceCount } from "../../ffi/handles.ts";
import { winsockOf } from "../../ffi/winsock/winsock.ts";
import type { SocketChosen } from "../establish.ts";
import { type Accepted, type Acceptor, Listener } from "../listener.ts";
import { type NetAddress, quietly } from "../transport.ts";
import type { ListenSettings } from "../read_options.ts";
import type { SecureListener } from "../secure_conn.ts";
import { applySettings, refuseForSocket } from "./terms.ts";
import { securedConnection, toNetAddress } from "./transport.ts";
import type { Deadline } from "../deadline.ts";

/** How many connections the system may keep ready before they are accepted. */
const BACKLOG = 200;

/** See `listen`. Sets the socket's settings before it is bound, and queries each connection before it is returned. */
export async function listenSecured(
  settings: ListenSettings,
  chosen: SocketChosen,
  deadline: Deadline,
): Promise<SecureListener> {
  refuseForSocket(chosen);
  const system = nativeSystem(settings.system);
  const [winsock, secure] = [winsockOf(system, "ipsec"), new SecureSockets(system)];
  const codec = await deadline.race(chosen.selection.provider.codec(), (late) => late.close());
  try {
    const { hostname, port } = settings;
    const [address] = await winsock.resolve(hostname, port, "stream", "listen", deadline.signal);
    const socket = new TcpSocket(winsock, address.version);
    const shared = new ReferenceCount(() => codec.close());
    try {
      applySettings(chosen, codec, secure, socket);
      socket.bind(address.bytes);
      socket.listen(BACKLOG);
      return new Listener(new SocketAcceptor(socket), {
        ...settings,
        secure: async (accepted, { release }) => {
          const giveBack = shared.hold();
          try {
            return securedConnection(chosen, accepted.socket, { system, secure, codec, release: giveBack });
          } catch (error) {
            giveBack();
            await accepted.close();
            throw error;
          } finally {
            release();
          }
        },
        release: () => shared.close(),
      });
    } catch (error) {
      await socket.close();
      throw error;
    }
  } catch (error) {
    await quietly(() => codec.close());
    throw error;
  }
}

class AcceptedSocket implements Accepted {
  readonly socket: TcpSocket;
  readonly remoteAddr: NetAddress;

  constructor(socket: TcpSocket) {
    this.socket = socket;
    this.remoteAddr = toNetAddress(socket.remoteAddress);
  }

  close(): Promise<void> {
    return this.socket.close();
  }
}

class SocketAcceptor implements Acceptor<AcceptedSocket> {
  readonly addr: NetAddress;
  readonly #socket: TcpSocket;

  constructor(socket: TcpSocket) {
    this.#socket = socket;
    this.addr = toNetAddress(socket.localAddress);
  }

  async accept(): Promise<AcceptedSocket> {
    const socket = await this.#socket.accept();
    try {
      return new AcceptedSocket(socket);
    } catch (error) {
      await socket.close();
      throw error;
    }
  }

  close(): Promise<void> {
    return this.#socket.close();
  }
}
