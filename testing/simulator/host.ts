/**
 * One simulated host: its machine, its addresses, its account in the domain, and who listens on it.
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

/** What a simulated host is. */
export interface HostOptions {
  /** Its IPv4 address; left out: the next of 10.0.0.0/24. */
  readonly address?: string;
  /** The principal of its computer account; left out: `host/` and its name. */
  readonly computer?: string;
  /** Further principals its computer holds. */
  readonly spns?: readonly string[];
  /** The administrator's IPsec policy for all of its traffic. Default `"none"`. */
  readonly policy?: "none" | "requested" | "required";
  /** Whether the computer is in the domain, and so has something to authenticate with. Default `true`. */
  readonly credentials?: boolean;
  /** Whether encryption may be negotiated. Default `true`. */
  readonly encryption?: boolean;
  /** The account its programs run as. Default `SIM\` and the host's name. */
  readonly account?: SimulatedAccount;
  /** Whether that account may change and read IPsec's policies and associations. Default `false`. */
  readonly administrator?: boolean;
  /** Of which type the tokens of its peers are: no page tells. Default `"impersonation"`. */
  readonly peerTokens?: "impersonation" | "primary";
  /** Whether that account has SeImpersonatePrivilege: without it others are only identified. Default `true`. */
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

/** A main- or quick-mode policy that settings may name by its key. */
export interface KnownPolicy {
  /** What it authenticates by. */
  readonly authentication: "anonymous" | "kerberos";
  /** Whether its extended mode lets the server act as the client's user. */
  readonly impersonation: boolean;
  /** What it proposes, where it is a quick-mode policy. */
  readonly proposals?: readonly Proposal[];
}

/** A connection, as one of its ends has it. */
export interface Connection {
  /** What this end receives. */
  readonly incoming: Pipe;
  /** What this end sends. */
  readonly outgoing: Pipe;
  /** The peer's address. */
  readonly peer: SocketAddress;
  /** This end's address. */
  readonly own: SocketAddress;
  /** What IPsec came to. */
  readonly security: Outcome;
  /** The host at the other end. */
  readonly peerHost: Host;
}

/** A datagram on its way. */
export interface Datagram {
  readonly data: Uint8Array;
  readonly from: SocketAddress;
}

/** What a host and the network see of a socket. */
export interface BoundSocket {
  /** Where it lives. */
  readonly host: Host;
  /** Its IP version. */
  readonly version: 4 | 6;
  /** Its kind. */
  readonly type: "stream" | "datagram";
  /** Where it is bound. */
  local: SocketAddress | null;
  /** Whether it takes connections. */
  readonly listening: boolean;
  /** The connection it has. */
  connection: Connection | null;
  /** What it asked of IPsec. */
  readonly settings: SocketSettings | null;
  /** The names peers must prove; the key is the peer's address, empty for TCP. */
  readonly targets: ReadonlyMap<string, string>;
  /** What IPsec came to with a UDP peer. */
  readonly peers: Map<string, { readonly security: Outcome; readonly host: Host }>;
  /** Takes a connection, or keeps it until somebody does. */
  arrive(connection: Connection): void;
  /** Takes a datagram, or keeps it until somebody does. */
  deliver(datagram: Datagram): void;
  /** Takes an ICMP message: nobody receives at the port that a datagram went to. */
  unreachable(): void;
}

/** A host and its kernel. */
export class Host {
  readonly name: string;
  readonly machine: Machine;
  readonly options: HostOptions;
  readonly v4: Uint8Array;
  readonly v6: Uint8Array;
  /** Bound sockets, by kind, IP version and port. */
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

  /** The address a socket of that version sends from. */
  ownAddress(version: 4 | 6, port: number): SocketAddress {
    return socketAddress(version === 4 ? this.v4 : this.v6, port);
  }

  /** The principals its computer holds. */
  get principals(): readonly string[] {
    return [this.options.computer ?? `host/${this.name}`, ...this.options.spns ?? []];
  }

  /** What a negotiation knows of this end. */
  end(settings: SocketSettings | null): End {
    const { policy = "none", credentials = true, encryption = true } = this.options;
    return { settings, policy, credentials, encryption, names: this.principals };
  }

  /** Whether an address is one of this host's. */
  has(address: SocketAddress): boolean {
    return [4, 6].some((version) => this.ownAddress(version as 4 | 6, 0).hostname === address.hostname);
  }

  /** Binds a socket; 0, or the error. */
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

  /** Frees the port a socket was bound to. */
  unbind(socket: BoundSocket): void {
    const at = socket.local === null ? "" : key(socket, socket.local.port);
    if (this.bound.get(at) === socket) this.bound.delete(at);
  }

  /** Who is bound to a port. */
  at(type: "stream" | "datagram", version: 4 | 6, port: number): BoundSocket | null {
    return this.bound.get(key({ type, version }, port)) ?? null;
  }
}

function key(socket: { type: string; version: 4 | 6 }, port: number): string {
  return `${socket.type}${socket.version}:${port}`;
}
