/**
 * The interface of a socket for secured datagrams.
 *
 * @module
 */

import type { SecurityInfo } from "../../contract.ts";
import type { CommonOptions } from "../options.ts";

/** The options of `openDatagrams`. */
export interface DatagramOptions extends Omit<CommonOptions, "channelBindings"> {
  /** The address to receive on. Default `"0.0.0.0"`: every IPv4 address of this machine. */
  readonly hostname?: string;
  /** The port to receive on, 0 to 65535; 0, the default, selects any free port. */
  readonly port?: number;
  /**
   * Called with each datagram that was dropped because its sender is not secured as required. Left out: nothing is
   * reported. If the function throws, or its promise rejects, receiving continues, and both errors go to
   * `console.warn`, at most one line a second.
   */
  readonly onDropped?: (error: unknown, from: DatagramAddress) => void;
  /** Aborts the opening with its `reason`, unchanged. It has no effect once the socket is open. */
  readonly signal?: AbortSignal;
}

/** An address that sends or receives datagrams. */
export interface DatagramAddress {
  /** Always `"udp"`. */
  readonly transport: "udp";
  /** The host, as an IP address. */
  readonly hostname: string;
  /** The port. */
  readonly port: number;
}

/** The destination of a datagram. */
export interface DatagramPeer {
  /** The host's name or IP address. */
  readonly hostname: string;
  /** The port. */
  readonly port: number;
  /** The principal of the peer's computer. Default `host/` and the hostname; required with an IP address. */
  readonly computer?: string;
}

/** A received datagram whose sender is secured as required. */
export interface ReceivedDatagram {
  /** How many bytes of the buffer the datagram fills. */
  readonly length: number;
  /** The sender's address. */
  readonly from: DatagramAddress;
  /** What the system reported about the sender's security. */
  readonly security: SecurityInfo;
}

/**
 * A UDP socket that the operating system secures.
 *
 * A datagram has no handshake before its first byte. The socket's settings prevent that data is sent in clear text,
 * and the system is queried right after each datagram. A received datagram is returned only after the system has
 * reported that its sender is secured as required; otherwise it is dropped.
 */
export interface SecureDatagrams extends AsyncDisposable {
  /** The address it receives on. */
  readonly addr: DatagramAddress;
  /**
   * Sends one datagram. `data` is copied at once. Before the first datagram to a peer, the system is given the name
   * of the peer's computer.
   *
   * @param signal Aborts with its `reason`, unchanged. Nothing was sent if the peer's address was not resolved yet.
   * @throws SecurityRequirementError if the system reports that the peer is not secured as required.
   */
  send(data: Uint8Array, peer: DatagramPeer, signal?: AbortSignal): Promise<SecurityInfo>;
  /**
   * Receives the next datagram of a secured peer into `p`. Datagrams of other senders, and network errors about
   * datagrams sent earlier, do not end it.
   *
   * @throws TransportError (`WSAEMSGSIZE`) if a secured peer's datagram is longer than `p`; the message contains
   * both lengths. That datagram is lost, the next one can be received.
   */
  receive(p: Uint8Array, signal?: AbortSignal): Promise<ReceivedDatagram>;
  /** Deletes the computer name that the system was given for a peer. */
  deletePeerTarget(peer: DatagramPeer): Promise<void>;
  /** Closes the socket; pending calls reject. */
  close(): Promise<void>;
}
