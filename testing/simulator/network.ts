/**
 * The simulated network: hosts, names, and connections between them.
 *
 * @module
 */

import type { SocketAddress } from "../../ffi/winsock/address.ts";
import { isLoopback, parseIp } from "./address.ts";
import { Associations } from "./association.ts";
import { type FaultOptions, Faults } from "./faults.ts";
import { type BoundSocket, Host, type HostOptions } from "./host.ts";
import { STATUS } from "./machine.ts";
import { negotiate, type Outcome } from "./negotiation.ts";
import { Pipe } from "./pipe.ts";
import type { Request } from "./machine.ts";

/** Options of a simulated network. */
export interface NetworkOptions {
  /** Options of hosts that differ from those that `host(name)` makes. */
  readonly hosts?: { readonly [name: string]: HostOptions };
  /** Makes calls fail at random; the same seed gives the same faults. */
  readonly faults?: FaultOptions;
  /**
   * What WSAQuerySocketSecurity returns if the buffer has no room: two pages of the documentation contradict each
   * other.
   */
  readonly sizeProbe?: "WSAEFAULT" | "WSAEMSGSIZE";
  /**
   * What WSAQuerySocketSecurity returns after the system has aborted a connection because its association changed,
   * which is not documented. Default `"answers"`, with the identifiers of the new association.
   */
  readonly abortedQuery?: "answers" | "WSAECONNRESET";
  /** Names for which no name server answers: a query for them ends only when it is cancelled. */
  readonly silentNames?: readonly string[];
}

/** Bytes sent over the network, by their protection. */
export interface Traffic {
  /** Not protected. */
  clear: number;
  /** Protected against changes. */
  secured: number;
  /** Encrypted. */
  encrypted: number;
}

/** Hosts, and the traffic between them. */
export class Network {
  readonly options: NetworkOptions;
  readonly traffic: Traffic = { clear: 0, secured: 0, encrypted: 0 };
  /** The IPsec associations between hosts. */
  readonly associations = new Associations();
  readonly #hosts = new Map<string, Host>();

  constructor(options: NetworkOptions) {
    this.options = options;
    for (const name of Object.keys(options.hosts ?? {})) this.host(name);
  }

  /** Returns a host, and makes it if it does not exist. */
  host(name: string): Host {
    const known = this.#hosts.get(name.toLowerCase());
    if (known) return known;
    const { hosts = {}, faults } = this.options;
    const index = this.#hosts.size + 1;
    // Each host has its own faults: the calls of one host do not affect the faults of another.
    const own = new Faults(faults && { ...faults, seed: faults.seed + index });
    const host = new Host(name, index, Object.hasOwn(hosts, name) ? hosts[name] : {}, own);
    this.#hosts.set(name.toLowerCase(), host);
    return host;
  }

  /** All hosts. */
  get hosts(): Iterable<Host> {
    return this.#hosts.values();
  }

  /** The addresses of a name or of a numeric address, as `from` sees them. */
  resolve(from: Host, name: string): Uint8Array[] {
    const numeric = parseIp(name);
    if (numeric) return [numeric];
    // Without the dot of an absolute name.
    const relative = name.toLowerCase().replace(/\.$/, "");
    if (relative === "localhost") return [Uint8Array.of(127, 0, 0, 1)];
    const host = name === "" ? from : this.#hosts.get(relative);
    return host ? [host.v4, host.v6] : [];
  }

  /** Whether no name server answers for a name. */
  silent(name: string): boolean {
    return (this.options.silentNames ?? []).some((each) => each.toLowerCase() === name.toLowerCase());
  }

  /** The host that has an address, as `from` sees it. */
  find(from: Host, address: SocketAddress): Host | null {
    if (isLoopback(address)) return from;
    return [...this.#hosts.values()].find((host) => host.has(address)) ?? null;
  }

  /** Connects a bound socket; the request completes when the connection is made or has failed. */
  connect(client: BoundSocket, to: SocketAddress, request: Request): void {
    const host = this.find(client.host, to);
    if (host === null) return request.complete(STATUS.HOST_UNREACHABLE, 0);
    const target = client.targets.get("") ?? null;
    const listener = host.at("stream", to.version, to.port);
    const security = negotiate(
      client.host.end(client.settings),
      host.end(listener?.settings ?? null),
      target,
    );
    // The negotiation precedes the first packet of the connection.
    if (security.kind === "failed") return request.complete(STATUS.IO_TIMEOUT, 0);
    if (!listener?.listening) return request.complete(STATUS.CONNECTION_REFUSED, 0);
    const own = client.host.ownAddress(client.version, client.local!.port);
    const onBytes = (count: number) => this.#count(security, count);
    const [there, back] = [new Pipe(onBytes), new Pipe(onBytes)];
    const from = isLoopback(to) ? { ...to, port: own.port, bytes: withPort(to.bytes, own.port) } : own;
    client.local = from;
    const ends = { security };
    client.connection = { ...ends, incoming: back, outgoing: there, own: from, peer: to, peerHost: host };
    listener.arrive({
      ...ends,
      incoming: there,
      outgoing: back,
      own: to,
      peer: from,
      peerHost: client.host,
    });
    request.complete(STATUS.SUCCESS, 0);
  }

  /** Sends a datagram. It is lost if it must not be sent, or if nothing receives it. */
  send(socket: BoundSocket, data: Uint8Array, to: SocketAddress): void {
    const host = this.find(socket.host, to);
    const receiver = host?.at("datagram", to.version, to.port);
    if (host === null) return;
    const target = socket.targets.get(`${to.hostname}:${to.port}`) ?? null;
    const security = negotiate(
      socket.host.end(socket.settings),
      host.end(receiver?.settings ?? null),
      target,
    );
    if (!receiver) return security.kind === "failed" ? undefined : socket.unreachable();
    const own = socket.host.ownAddress(socket.version, socket.local!.port);
    const from = isLoopback(to) ? { ...to, port: own.port, bytes: withPort(to.bytes, own.port) } : own;
    socket.peers.set(`${to.hostname}:${to.port}`, { security, host });
    receiver.peers.set(`${from.hostname}:${from.port}`, { security, host: socket.host });
    if (security.kind === "failed") return;
    this.#count(security, data.length);
    receiver.deliver({ data: data.slice(), from });
  }

  #count(security: Outcome, bytes: number): void {
    if (security.kind !== "secured") this.traffic.clear += bytes;
    else if (security.encrypted) this.traffic.encrypted += bytes;
    else this.traffic.secured += bytes;
  }
}

function withPort(bytes: Uint8Array, port: number): Uint8Array {
  const copy = bytes.slice();
  copy[2] = port >> 8;
  copy[3] = port;
  return copy;
}
