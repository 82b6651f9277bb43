/**
 * Adapts an overlapped socket to a byte stream, and makes connections of it.
 *
 * @module
 */

import type { SecureSockets } from "../../ffi/ipsec/secure_sockets.ts";
import type { TcpSocket } from "../../ffi/winsock/tcp.ts";
import type { SocketAddress } from "../../ffi/winsock/address.ts";
import type { NativeSystem } from "../../ffi/system.ts";
import type { SocketCodec } from "../../contract.ts";
import { Connection } from "../connection.ts";
import type { SocketChosen } from "../establish.ts";
import { openBytes } from "../records.ts";
import type { SecureConn } from "../secure_conn.ts";
import { SocketSecurity } from "./security.ts";
import { type ByteTransport, type NetAddress, openWire } from "../transport.ts";
import { WireReader } from "../wire_reader.ts";

/**
 * A connected socket as a byte stream, which owns it. `explain` returns the error to report for one of the
 * socket's.
 */
export class SocketTransport implements ByteTransport {
  readonly localAddr: NetAddress;
  readonly remoteAddr: NetAddress;
  readonly #socket: TcpSocket;
  readonly #explain: (error: unknown) => unknown;

  constructor(socket: TcpSocket, explain: (error: unknown) => unknown) {
    this.#socket = socket;
    this.#explain = explain;
    this.localAddr = toNetAddress(socket.localAddress);
    this.remoteAddr = toNetAddress(socket.remoteAddress);
  }

  async read(p: Uint8Array): Promise<number | null> {
    const received = await this.#told(() => this.#socket.receive(p));
    return received === 0 ? null : received;
  }

  async write(p: Uint8Array): Promise<number> {
    await this.#told(() => this.#socket.send(p));
    return p.length;
  }

  async closeWrite(): Promise<void> {
    await this.#told(() => this.#socket.closeWrite());
  }

  async #told<T>(operation: () => T | Promise<T>): Promise<T> {
    try {
      return await operation();
    } catch (error) {
      throw this.#explain(error);
    }
  }

  close(): Promise<void> {
    return this.#socket.close();
  }
}

/** An address without the fields that only the system needs. */
export function toNetAddress({ hostname, port }: SocketAddress): NetAddress {
  return Object.freeze({ transport: "tcp", hostname, port });
}

/** What a secured connection uses. */
export interface SecuredOptions {
  /** The system. */
  readonly system: NativeSystem;
  /** The secure socket functions. */
  readonly secure: SecureSockets;
  /** Reads the system's answers. */
  readonly codec: SocketCodec;
  /** Called once, when the connection is closed. */
  readonly release: () => void;
}

/**
 * Makes a connection of a connected socket, which it then owns, after the system has reported that it is secured as
 * required. If it throws, the caller still owns the socket.
 */
export function securedConnection(
  chosen: SocketChosen,
  socket: TcpSocket,
  options: SecuredOptions,
): SecureConn {
  const security = new SocketSecurity(chosen, { ...options, socket });
  socket.setNoDelay();
  const wire = openWire(new SocketTransport(socket, (error) => security.explain(error)));
  return new Connection({ wire, security, records: openBytes(wire, new WireReader(wire)) });
}
