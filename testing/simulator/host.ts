/**
 * One simulated host: its machine, its addresses, its account in the domain, and its sockets.
 *
 * @module
 */

import type { SocketAddress } from "../../ffi/winsock/address.ts";
import { isAny, parseIp, socketAddress } from "./address.ts";
import type { Faults } from "./faults.ts";
import { Machine } from "./machine.ts";
import type { End, Outcome, SocketSettings } from "./negotiation.ts";
import type { Pipe } from "./pipe.ts";
import type { Proposal } from "./quick_mode.ts";

/** Options of a simulated host. */
export interface HostOptions {
  /** Its IPv4 address; left out: the next one of 10.0.0.0/24. */
  readonly address?: string;
  /** The principal of its computer account; left out: `host/` and its name. */
  readonly computer?: string;
  /** Further principals of its computer. */
  readonly spns?: readonly string[];
  /** The administrator's IPsec policy for all of its traffic. Default `"none"`. */
  readonly policy?: "none" | "requested" | "required";
  /** Whether the computer is in the domain, and so has credentials. Default `true`. */
  readonly credentials?: boolean;
  /** Whether encryption may be negotiated. Default `true`. */
  readonly encryption?: boolean;
  /** The account that its programs run as. Default `SIM\` and the host's name. */
  readonly account?: SimulatedAccount;
  /** Whether that account may change and read IPsec policies and associations. Default `false`. */
  readonly administrator?: boolean;
  /** The type of its peers' tokens, which is not documented. Default `"impersonation"`. */
  readonly peerTokens?: "impersonation" | "primary";
  /** Whether that account has SeImpersonatePrivilege; without it clients are only identified. Default `true`. */
  readonly mayImpersonate?: boolean;
}

/** An account of the simulated domain. */
export interface SimulatedAccount {
  /** Its domain. */
  readonly domain: string;
  /** Its name. */
  readonly name: string;
  /** Its security identifier as text, `S-1-5-21-...`. */
  readonly sid: string;
  /** The groups it belongs to. */
  readonly groups?: readonly { readonly domain: string; readonly name: string; readonly sid: string }[];
}

/** A main- or quick-mode policy that settings may refer to by its key. */
export interface KnownPolicy {
  /** Its authentication method. */
  readonly authentication: "anonymous" | "kerberos";
  /** Whether its extended mode lets the server act as the client's user. */
  readonly impersonation: boolean;
  /** The proposals of a quick-mode policy. */
  readonly proposals?: readonly Proposal[];
}

/** A connection, as one of its ends sees it. */
export interface Connection {
  /** What this end receives. */
  readonly incoming: Pipe;
  /** What this end sends. */
  readonly outgoing: Pipe;
  /** The peer's address. */
  readonly peer: SocketAddress;
  /** This end's address. */
  readonly own: SocketAddress;
  /** The result of the IPsec negotiation. */
  readonly security: Outcome;
  /** The host at the other end. */
  readonly peerHost: Host;
}

/** A datagram in transit. */
export interface Datagram {
  readonly data: Uint8Array;
  readonly from: SocketAddress;
}

/** A socket, as its host and the network see it. */
export interface BoundSocket {
  /** Its host. */
  readonly host: Host;
  /** Its IP version. */
  readonly version: 4 | 6;
  /** Its type. */
  readonly type: "stream" | "datagram";
  /** The address it is bound to. */
  local: SocketAddress | null;
  /** Whether it listens. */
  readonly listening: boolean;
  /** Its connection. */
  connection: Connection | null;
  /** Its IPsec settings. */
  readonly settings: SocketSettings | null;
  /** The names peers must prove; the key is the peer's address, empty for TCP. */
  readonly targets: ReadonlyMap<string, string>;
  /** The result of the IPsec negotiation with each UDP peer. */
  readonly peers: Map<string, { readonly security: Outcome; readonly host: Host }>;
  /** Accepts a connection, or queues it. */
  arrive(connection: Connection): void;
  /** Receives a datagram, or queues it. */
  deliver(datagram: Datagram): void;
  /** Receives an ICMP message: nothing receives at the port that a datagram was sent to. */
  unreachable(): void;
}

/** A host and its kernel. */
export class Host {
  readonly name: string;
  readonly machine: Machine;
  readonly options: HostOptions;
  readonly v4: Uint8Array;
  readonly v6: Uint8Array;
  /** Bound sockets, by type, IP version and port. */
  readonly bound = new Map<string, BoundSocket>();
  /** IPsec policies by key. */
  readonly policies = new Map<string, KnownPolicy>();
  #nextPort = 49152;

  constructor(name: string, index: number, options: HostOptions, faults: Faults) {
    const v4 = parseIp(options.address ?? `10.0.0.${index}`);
    if (v4?.length !== 4) throw new TypeError(`hosts.${name}.address must be an IPv4 address`);
    this.name = name;
    this.options = options;
    this.v4 = v4;
    this.v6 = Uint8Array.of(0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, ...v4);
    this.machine = new Machine(faults);
  }

  /** The address that a socket of that version sends from. */
  ownAddress(version: 4 | 6, port: number): SocketAddress {
    return socketAddress(version === 4 ? this.v4 : this.v6, port);
  }

  /** The principals of its computer. */
  get principals(): readonly string[] {
    return [this.options.computer ?? `host/${this.name}`, ...this.options.spns ?? []];
  }

  /** This end, as a negotiation sees it. */
  end(settings: SocketSettings | null): End {
    const { policy = "none", credentials = true, encryption = true } = this.options;
    return { settings, policy, credentials, encryption, names: this.principals };
  }

  /** Whether an address belongs to this host. */
  has(address: SocketAddress): boolean {
    return [4, 6].some((version) => this.ownAddress(version as 4 | 6, 0).hostname === address.hostname);
  }

  /** Binds a socket; returns 0, or the error. */
  bind(socket: BoundSocket, address: SocketAddress): number {
    const WSAEADDRINUSE = 10048, WSAEADDRNOTAVAIL = 10049;
    const loopback = address.hostname === "127.0.0.1" || address.hostname === "::1";
    if (!isAny(address) && !loopback && !this.has(address)) return WSAEADDRNOTAVAIL;
    let { port } = address;
    if (port === 0) port = this.#freePort(socket);
    else if (this.bound.has(key(socket, port))) return WSAEADDRINUSE;
    const ip = isAny(address) ? (address.version === 4 ? new Uint8Array(4) : new Uint8Array(16)) : null;
    socket.local = socketAddress(ip ?? parseIp(address.hostname)!, port);
    this.bound.set(key(socket, port), socket);
    return 0;
  }

  #freePort(socket: BoundSocket): number {
    do this.#nextPort = this.#nextPort >= 65535 ? 49152 : this.#nextPort + 1; while (
      this.bound.has(key(socket, this.#nextPort))
    );
    return this.#nextPort;
  }

  /** Frees the port that a socket is bound to. */
  unbind(socket: BoundSocket): void {
    const at = socket.local === null ? "" : key(socket, socket.local.port);
    if (this.bound.get(at) === socket) this.bound.delete(at);
  }

  /** The socket that is bound to a port. */
  at(type: "stream" | "datagram", version: 4 | 6, port: number): BoundSocket | null {
    return this.bound.get(key({ type, version }, port)) ?? null;
  }
}

function key(socket: { type: string; version: 4 | 6 }, port: number): string {
  return `${socket.type}${socket.version}:${port}`;
}
