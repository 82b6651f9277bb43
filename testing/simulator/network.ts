/**
 * The simulated network: hosts, names, and how a connection comes about between two of them.
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

/** What a simulated network is made of. */
export interface NetworkOptions {
  /** Hosts that are not as `host(name)` would make them. */
  readonly hosts?: { readonly [name: string]: HostOptions };
  /** Makes calls fail at random, the same way for the same seed. */
  readonly faults?: FaultOptions;
  /** What WSAQuerySocketSecurity answers where it has no room: two pages of the documentation disagree. */
  readonly sizeProbe?: "WSAEFAULT" | "WSAEMSGSIZE";
  /**
   * What WSAQuerySocketSecurity does once the system has aborted a connection because its association changed: no page
   * tells. Default `"answers"`, with the identifiers of the new association.
   */
  readonly abortedQuery?: "answers" | "WSAECONNRESET";
  /** Names for which no name server answers: asking for them ends only when it is given up. */
  readonly silentNames?: readonly string[];
}

/** Bytes that went over the network, by what protected them. */
export interface Traffic {
  /** Anyone could read and change them. */
  clear: number;
  /** Protected against change. */
  secured: number;
  /** Encrypted. */
  encrypted: number;
}

/** Hosts and what goes between them. */
export class Network {
  readonly options: NetworkOptions;
  readonly traffic: Traffic = { clear: 0, secured: 0, encrypted: 0 };
  /** What IPsec has agreed on between hosts. */
  readonly associations = new Associations();
  readonly #hosts = new Map<string, Host>();

  constructor(options: NetworkOptions) {
    this.options = options;
    for (const name of Object.keys(options.hosts ?? {})) this.host(name);
  }

  /** A host, made where it is not there yet. */
  host(name: string): Host {
    const known = this.#hosts.get(name.toLowerCase());
    if (known) return known;
    const { hosts = {}, faults } = this.options;
    const index = this.#hosts.size + 1;
    // Each host draws its own faults: what one does must not change what another meets.
    const own = new Faults(faults && { ...faults, seed: faults.seed + index });
    const host = new Host(name, index, Object.hasOwn(hosts, name) ? hosts[name] : {}, own);
    this.#hosts.set(name.toLowerCase(), host);
    return host;
  }

  /** The hosts there are. */
  get hosts(): Iterable<Host> {
    return this.#hosts.values();
  }

  /** The addresses of a name or a numeric address, as `from` sees them. */
  resolve(from: Host, name: string): Uint8Array[] {
    const numeric = parseIp(name);
    if (numeric) return [numeric];
    // As an absolute name has it.
    const relative = name.toLowerCase().replace(/\.$/, "");
    if (relative === "localhost") return [Uint8Array.of(127, 0, 0, 1)];
    const host = name === "" ? from : this.#hosts.get(relative);
    return host ? [host.v4, host.v6] : [];
  }

  /** Whether nobody answers for a name. */
  silent(name: string): boolean {
    return (this.options.silentNames ?? []).some((each) => each.toLowerCase() === name.toLowerCase());
  }

  /** The host that has an address, as `from` sees it. */
  find(from: Host, address: SocketAddress): Host | null {
    if (isLoopback(address)) return from;
    return [...this.#hosts.values()].find((host) => host.has(address)) ?? null;
  }

  /** Connects a bound socket; the request completes when it is over. */
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
    // The negotiation comes before the first packet of the connection.
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

  /** Sends a datagram; one that may not be sent, or that nobody waits for, is lost. */
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
