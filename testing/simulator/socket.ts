/**
 * A simulated socket: bound, listening, connected, and what waits on it.
 *
 * @module
 */

import type { SocketAddress } from "../../ffi/winsock/address.ts";
import type { BoundSocket, Connection, Datagram, Host } from "./host.ts";
import type { Association, Watcher } from "./association.ts";
import { type Associable, type KernelObject, type Port, Request, STATUS } from "./machine.ts";
import type { Outcome, SocketSettings } from "./negotiation.ts";

interface DatagramReader {
  readonly request: Request;
  take(datagram: Datagram): void;
}

/** An ICMP message in the place of a datagram. */
const UNREACHABLE = Symbol("port unreachable");

/** A socket of another family or kind, for which IPsec has no settings; the simulator does no more with it. */
export class UnservedSocket implements KernelObject {
  closed(): void {}
}

/** A socket of a host. */
export class SimulatedSocket implements KernelObject, Associable, BoundSocket {
  port: Port | null = null;
  skipsAtOnce = false;
  local: SocketAddress | null = null;
  listening = false;
  connection: Connection | null = null;
  /** Whether SO_UPDATE_CONNECT_CONTEXT or SO_UPDATE_ACCEPT_CONTEXT was set: before, names and security are hidden. */
  updated = false;
  /** What WSASetSocketSecurity was told; once. */
  settings: SocketSettings | null = null;
  /** True once the settings may not change any more. */
  secured = false;
  /** True once the system has aborted its connection, since an association changed. */
  aborted = false;
  /** The names peers must prove; the key is the peer's address, empty for TCP. */
  readonly targets = new Map<string, string>();
  /** What IPsec came to with a UDP peer. */
  readonly peers = new Map<string, { readonly security: Outcome; readonly host: Host }>();
  readonly requests = new Set<Request>();
  readonly host: Host;
  readonly version: 4 | 6;
  readonly type: "stream" | "datagram";
  #unwatch: (() => void) | null = null;
  /** Whether its operations need not wait. */
  readonly overlapped: boolean;
  readonly #backlog: Connection[] = [];
  readonly #acceptors: { readonly request: Request; readonly socket: SimulatedSocket }[] = [];
  readonly #datagrams: (Datagram | typeof UNREACHABLE)[] = [];
  readonly #readers: DatagramReader[] = [];

  constructor(host: Host, version: 4 | 6, type: "stream" | "datagram", overlapped: boolean) {
    this.overlapped = overlapped;
    this.host = host;
    this.version = version;
    this.type = type;
  }

  /** Begins an overlapped operation. */
  begin(overlapped: bigint): Request {
    const request: Request = new Request(
      this.host.machine,
      overlapped,
      () => this.port,
      () => void this.requests.delete(request),
    );
    this.requests.add(request);
    return request;
  }

  /** Cancels one operation, or with 0 all; false where there was none. */
  cancel(overlapped: bigint): boolean {
    const found = [...this.requests].filter((each) => overlapped === 0n || each.overlapped === overlapped);
    for (const request of found) request.complete(STATUS.CANCELLED, 0);
    return found.length > 0;
  }

  /** A connection has arrived. */
  arrive(connection: Connection): void {
    this.#backlog.push(connection);
    this.#hand();
  }

  /** Waits for a connection, which becomes `socket`'s. */
  accept(socket: SimulatedSocket, request: Request): void {
    this.#acceptors.push({ socket, request });
    this.#hand();
  }

  #hand(): void {
    while (this.#acceptors.length > 0 && this.#backlog.length > 0) {
      const { request, socket } = this.#acceptors.shift()!;
      if (request.done) continue;
      socket.connection = this.#backlog.shift()!;
      socket.local = socket.connection.own;
      request.complete(STATUS.SUCCESS, 0);
    }
  }

  /** Has the connection aborted when fields of its association change; in place of what was watched before. */
  watch(association: Association, fields: number): void {
    this.#unwatch?.();
    const watcher: Watcher = { fields, abort: () => this.#abort() };
    association.watchers.add(watcher);
    this.#unwatch = () => void association.watchers.delete(watcher);
  }

  /** What this end waits for is aborted; the other end sees a reset. */
  #abort(): void {
    this.#unwatch?.();
    this.aborted = true;
    this.connection?.incoming.break({ reader: STATUS.CONNECTION_ABORTED });
    this.connection?.outgoing.break({ writer: STATUS.CONNECTION_ABORTED });
  }

  /** A datagram has arrived. */
  deliver(datagram: Datagram): void {
    this.#datagrams.push(datagram);
    this.#drain();
  }

  /** What SIO_UDP_CONNRESET says: whether receiving ends when an earlier datagram did not arrive. */
  reportsResets = true;

  unreachable(): void {
    if (!this.reportsResets) return;
    this.#datagrams.push(UNREACHABLE);
    this.#drain();
  }

  /** Waits for a datagram. */
  receiveFrom(reader: DatagramReader): void {
    this.#readers.push(reader);
    this.#drain();
  }

  #drain(): void {
    while (this.#readers.length > 0 && this.#datagrams.length > 0) {
      const reader = this.#readers.shift()!;
      if (reader.request.done) continue;
      const arrived = this.#datagrams.shift()!;
      if (arrived === UNREACHABLE) reader.request.complete(STATUS.PORT_UNREACHABLE, 0);
      else reader.take(arrived);
    }
  }

  closed(): void {
    this.#unwatch?.();
    this.cancel(0n);
    this.host.unbind(this);
    for (const connection of [...this.#backlog, ...this.connection ? [this.connection] : []]) {
      // Whoever leaves bytes unread resets the connection.
      if (connection.incoming.unread > 0) connection.outgoing.break();
      else connection.outgoing.end();
      connection.incoming.break();
    }
  }
}
