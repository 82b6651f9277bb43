/**
 * The face of a socket for secured datagrams.
 *
 * @module
 */

import type { SecurityInfo } from "../../contract.ts";
import type { CommonOptions } from "../options.ts";

/** The options of `openDatagrams`. */
export interface DatagramOptions extends Omit<CommonOptions, "channelBindings"> {
  /** The address to receive on. Default `"0.0.0.0"`: every IPv4 address of this machine. */
  readonly hostname?: string;
  /** The port to receive on, 0 to 65535; 0, the default, takes any free one. */
  readonly port?: number;
  /**
   * Told of each datagram that was dropped because its sender is not secured as required; left out: nobody is. Where it
   * throws, or its promise rejects, the receiving goes on, and both failures go to `console.warn`, at most one line a second.
   */
  readonly onDropped?: (error: unknown, from: DatagramAddress) => void;
  /** Gives up opening; its `reason` is rethrown unchanged. No effect once open. */
  readonly signal?: AbortSignal;
}

/** One end of datagrams. */
export interface DatagramAddress {
  /** Always `"udp"`. */
  readonly transport: "udp";
  /** The host, as an IP address. */
  readonly hostname: string;
  /** The port. */
  readonly port: number;
}

/** Where a datagram goes. */
export interface DatagramPeer {
  /** The host's name or IP address. */
  readonly hostname: string;
  /** The port. */
  readonly port: number;
  /** The principal of its computer. Default `host/` and the hostname; required with an IP address. */
  readonly computer?: string;
}

/** A datagram that has arrived, from a peer that is secured as required. */
export interface ReceivedDatagram {
  /** How many bytes of the buffer it fills. */
  readonly length: number;
  /** Who sent it. */
  readonly from: DatagramAddress;
  /** What the system told of the sender. */
  readonly security: SecurityInfo;
}

/**
 * A UDP socket that the system secures.
 *
 * Datagrams have no moment before the first byte: the socket's settings keep what is sent from going out in clear, and
 * the system is asked right after each datagram. What has arrived is handed out only once the system has told that
 * its sender is secured as required; else it is dropped.
 */
export interface SecureDatagrams extends AsyncDisposable {
  /** Where it receives. */
  readonly addr: DatagramAddress;
  /**
   * Sends one datagram, copied at once. The peer's computer is named to the system before its first.
   *
   * @param signal gives up; its `reason` is rethrown unchanged. Nothing was sent where the peer's address was not
   * known yet.
   * @throws SecurityRequirementError where the system tells that the peer is not secured as required.
   */
  send(data: Uint8Array, peer: DatagramPeer, signal?: AbortSignal): Promise<SecurityInfo>;
  /**
   * Receives the next datagram of a secured peer into `p`. What others send, of whatever length, and what the network
   * says of datagrams sent before, does not end it.
   *
   * @throws TransportError (`WSAEMSGSIZE`) where a secured peer's datagram is longer than `p`: its message has both
   * lengths. That datagram is lost, the next is received as ever.
   */
  receive(p: Uint8Array, signal?: AbortSignal): Promise<ReceivedDatagram>;
  /** Forgets the computer that was named for a peer. */
  deletePeerTarget(peer: DatagramPeer): Promise<void>;
  /** Closes it; waiting calls are rejected. */
  close(): Promise<void>;
}
