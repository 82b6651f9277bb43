/**
 * A simulated socket: bound, listening or connected, with its pending operations.
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

/** An ICMP message in place of a datagram. */
const UNREACHABLE = Symbol("port unreachable");

/** A socket of another family or type, for which IPsec has no settings and the simulator no further functions. */
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
  /**
   * Whether SO_UPDATE_CONNECT_CONTEXT or SO_UPDATE_ACCEPT_CONTEXT was set; before, names and security cannot be
   * queried.
   */
  updated = false;
  /** The settings given to WSASetSocketSecurity, once. */
  settings: SocketSettings | null = null;
  /** True once the settings must not change any more. */
  secured = false;
  /** True once the system has aborted its connection because an association changed. */
  aborted = false;
  /** The names peers must prove; the key is the peer's address, empty for TCP. */
  readonly targets = new Map<string, string>();
  /** The result of the IPsec negotiation with each UDP peer. */
  readonly peers = new Map<string, { readonly security: Outcome; readonly host: Host }>();
  readonly requests = new Set<Request>();
  readonly host: Host;
  readonly version: 4 | 6;
  readonly type: "stream" | "datagram";
  #unwatch: (() => void) | null = null;
  /** Whether its operations can be overlapped. */
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

  /** Cancels one operation, or all with 0; false if there was none. */
  cancel(overlapped: bigint): boolean {
    const found = [...this.requests].filter((each) => overlapped === 0n || each.overlapped === overlapped);
    for (const request of found) request.complete(STATUS.CANCELLED, 0);
    return found.length > 0;
  }

  /** Called when a connection has arrived. */
  arrive(connection: Connection): void {
    this.#backlog.push(connection);
    this.#hand();
  }

  /** Waits for a connection, which `socket` then gets. */
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

  /** Aborts the connection when fields of its association change; replaces an earlier watch. */
  watch(association: Association, fields: number): void {
    this.#unwatch?.();
    const watcher: Watcher = { fields, abort: () => this.#abort() };
    association.watchers.add(watcher);
    this.#unwatch = () => void association.watchers.delete(watcher);
  }

  /** Pending operations of this end are aborted; the other end sees a reset. */
  #abort(): void {
    this.#unwatch?.();
    this.aborted = true;
    this.connection?.incoming.break({ reader: STATUS.CONNECTION_ABORTED });
    this.connection?.outgoing.break({ writer: STATUS.CONNECTION_ABORTED });
  }

  /** Called when a datagram has arrived. */
  deliver(datagram: Datagram): void {
    this.#datagrams.push(datagram);
    this.#drain();
  }

  /** The value of SIO_UDP_CONNRESET: whether receiving fails if an earlier datagram was not delivered. */
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
      // Closing a socket with unread bytes resets the connection.
      if (connection.incoming.unread > 0) connection.outgoing.break();
      else connection.outgoing.end();
      connection.incoming.break();
    }
  }
}
