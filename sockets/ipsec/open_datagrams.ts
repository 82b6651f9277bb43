/**
 * Datagrams that the operating system secures.
 *
 * @module
 */

import { StateError, TransportError } from "../../errors.ts";
import { readTarget } from "../../ffi/ipsec/codec_reader.ts";
import { type ArrivedDatagram, isReset, UdpSocket } from "../../ffi/winsock/udp.ts";
import { describe } from "../../ffi/winsock/overlapped.ts";
import { SecureSockets } from "../../ffi/ipsec/secure_sockets.ts";
import type { SocketAddress } from "../../ffi/winsock/address.ts";
import { type NativeSystem, nativeSystem } from "../../ffi/system.ts";
import { type Winsock, winsockOf } from "../../ffi/winsock/winsock.ts";
import type { SecurityInfo, SocketCodec } from "../../contract.ts";
import {
  checkComputer,
  checkFunction,
  checkHostname,
  checkInteger,
  checkKeys,
  checkSignal,
  hostPrincipal,
  isIpAddress,
} from "../../contexts/check.ts";
import { choose, isSocketChosen, type SocketChosen } from "../establish.ts";
import { DATAGRAMS, FailureLog } from "../failure_log.ts";
import { quietly } from "../transport.ts";
import { type ListenSettings, readListenOptions } from "../read_options.ts";
import type {
  DatagramAddress,
  DatagramOptions,
  DatagramPeer,
  ReceivedDatagram,
  SecureDatagrams,
} from "./datagrams.ts";
import { BoundedMap } from "../bounded_map.ts";
import { SocketSecurity } from "./security.ts";
import { applySettings, refuseForDatagrams, refuseForSocket } from "./terms.ts";
import { Deadline } from "../deadline.ts";

/** The most peers that are remembered. The oldest is removed then, and is named and queried again when it is used. */
const MAX_PEERS = 4096;

/** The options of `openDatagrams()`: those of `listen` that apply to a socket without connections. */
const OPTIONS = [
  "hostname",
  "port",
  "onDropped",
  "credentials",
  "requirements",
  "registry",
  "system",
  "signal",
];

/**
 * Opens a UDP socket that the operating system secures. Only for providers of the socket layer.
 *
 * @throws TypeError or RangeError if an option is invalid or unknown; nothing was opened.
 * @throws ProviderNotFoundError, PermissionError or UnsupportedPlatformError if no provider is available.
 * @throws TransportError if the address is unavailable.
 *
 * @example
 * ```ts
 * import { createRegistry, ipsec, openDatagrams, openSystem } from "@winsock/secure-sockets";
 *
 * using system = openSystem({ grants: ["ipsec"] });
 * const requirements = { mutualAuthentication: false };
 * await using udp = await openDatagrams({ registry: createRegistry([ipsec()]), requirements, system });
 * await udp.send(new TextEncoder().encode("ping"), { hostname: "files.example.com", port: 7777 });
 * ```
 */
export async function openDatagrams(options: DatagramOptions): Promise<SecureDatagrams> {
  checkKeys(options, OPTIONS, "options");
  const { onDropped, port = 0, ...rest } = options;
  checkFunction(onDropped, "options.onDropped");
  const settings = readListenOptions({ ...rest, port });
  const deadline = new Deadline(settings.signal, "Opening");
  try {
    // Before a provider is selected: that opens the system's libraries.
    deadline.signal.throwIfAborted();
    return await open(settings, onDropped, deadline);
  } finally {
    deadline.end();
  }
}

async function open(
  settings: ListenSettings,
  onDropped: DatagramOptions["onDropped"],
  deadline: Deadline,
): Promise<SecureDatagrams> {
  const chosen = choose(settings);
  if (!isSocketChosen(chosen)) {
    const { provider: { name, layer } } = chosen.selection;
    throw new TypeError(
      `the provider "${name}" is of layer ${layer}, which cannot secure datagrams: use ipsec()`,
    );
  }
  refuseForSocket(chosen);
  refuseForDatagrams(chosen);
  const system = nativeSystem(settings.system);
  const [winsock, secure] = [winsockOf(system, "ipsec"), new SecureSockets(system)];
  const codec = await deadline.race(chosen.selection.provider.codec(), (late) => late.close());
  try {
    const { hostname, port } = settings;
    const [address] = await winsock.resolve(hostname, port, "datagram", "listen", deadline.signal);
    const socket = new UdpSocket(winsock, address.version);
    try {
      applySettings(chosen, codec, secure, socket);
      socket.bind(address.bytes);
      return new Datagrams(chosen, { system, winsock, secure, codec, socket, onDropped });
    } catch (error) {
      await socket.close();
      throw error;
    }
  } catch (error) {
    await quietly(() => codec.close());
    throw error;
  }
}

interface Parts {
  readonly system: NativeSystem;
  readonly winsock: Winsock;
  readonly secure: SecureSockets;
  readonly codec: SocketCodec;
  readonly socket: UdpSocket;
  readonly onDropped?: DatagramOptions["onDropped"];
}

class Datagrams implements SecureDatagrams {
  readonly addr: DatagramAddress;
  readonly #chosen: SocketChosen;
  readonly #parts: Parts;
  readonly #peerNames = new BoundedMap<{ readonly computer: string; readonly address: SocketAddress }>(
    MAX_PEERS,
  );
  readonly #peers = new BoundedMap<SocketSecurity>(MAX_PEERS);
  /** Pending look-ups of peers' names; close() aborts them. */
  readonly #lookUps = new Set<Deadline>();
  readonly #log = new FailureLog(DATAGRAMS);
  #closing: Promise<void> | null = null;

  constructor(chosen: SocketChosen, parts: Parts) {
    this.#chosen = chosen;
    this.#parts = parts;
    this.addr = toAddress(parts.socket.localAddress);
  }

  async send(data: Uint8Array, peer: DatagramPeer, signal?: AbortSignal): Promise<SecurityInfo> {
    if (!(data instanceof Uint8Array)) throw new TypeError("data must be a Uint8Array");
    const copy = data.slice();
    const { socket, secure, codec } = this.#parts;
    const address = await this.#resolve(peer, checkSignal(signal, "signal"));
    const computer = computerOf(peer);
    if (this.#peerNames.get(keyOf(address))?.computer !== computer) {
      const { bytes } = address;
      secure.setPeerTarget(socket, readTarget(codec.target(bytes, computer), bytes, computer));
      this.#peers.delete(keyOf(address));
      const gone = this.#peerNames.set(keyOf(address), { computer, address });
      if (gone !== undefined) this.#forget(gone.address);
    }
    await socket.sendTo(copy, address, signal);
    return this.#secured(address);
  }

  async receive(p: Uint8Array, signal?: AbortSignal): Promise<ReceivedDatagram> {
    if (!(p instanceof Uint8Array)) throw new TypeError("p must be a Uint8Array");
    for (;;) {
      const arrived = await this.#arrived(signal);
      if (arrived === null) continue;
      const { data, from } = arrived;
      let security: SecurityInfo;
      try {
        security = this.#secured(from);
      } catch (error) {
        data.fill(0);
        if (this.#closing) throw error;
        // A datagram of an unsecured sender must not prevent others from being received.
        this.#reportDropped(error, toAddress(from));
        continue;
      }
      try {
        if (data.length > p.length) throw tooLong(data.length, p.length, from);
        p.set(data);
        return { length: data.length, from: toAddress(from), security };
      } finally {
        data.fill(0);
      }
    }
  }

  /** The next datagram of any sender; `null` if the system reported that an earlier one was not delivered. */
  async #arrived(signal?: AbortSignal): Promise<ArrivedDatagram | null> {
    try {
      return await this.#parts.socket.receiveFrom(signal);
    } catch (error) {
      if (!isReset(error)) throw error;
      // Lets timers and other work run: a peer may send many such reports.
      await new Promise((resolve) => setTimeout(resolve));
      return null;
    }
  }

  #reportDropped(error: unknown, from: DatagramAddress): void {
    const { onDropped } = this.#parts;
    if (onDropped) this.#log.report(error, from, () => onDropped(error, from));
  }

  async deletePeerTarget(peer: DatagramPeer): Promise<void> {
    const address = await this.#resolve(peer);
    this.#forget(address);
  }

  #forget(address: SocketAddress): void {
    this.#parts.secure.deletePeerTarget(this.#parts.socket, address);
    this.#peerNames.delete(keyOf(address));
    this.#peers.delete(keyOf(address));
  }

  close(): Promise<void> {
    const reason = new StateError("Cannot find the peer's address: the socket was closed");
    for (const deadline of this.#lookUps) deadline.abort(reason);
    return this.#closing ??= this.#parts.socket.close().then(() => {
      this.#log.flush();
      this.#parts.codec.close();
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** The security of a peer. The first query reads everything; later ones check that it is unchanged. */
  #secured(address: SocketAddress): SecurityInfo {
    const key = keyOf(address);
    const known = this.#peers.get(key);
    if (known !== undefined) return known.checkPackets();
    const { system, secure, codec, socket } = this.#parts;
    const options = { system, secure, codec, socket, peer: address.bytes, release: () => {} };
    const security = new SocketSecurity(this.#chosen, options);
    this.#peers.set(key, security);
    return security.info;
  }

  async #resolve(peer: DatagramPeer, signal?: AbortSignal): Promise<SocketAddress> {
    checkKeys(peer, ["hostname", "port", "computer"], "peer");
    const hostname = checkHostname(peer.hostname, "peer.hostname");
    const port = checkInteger(peer.port, "peer.port", 1, 65_535);
    const { socket, winsock } = this.#parts;
    const deadline = new Deadline(signal, "Finding the peer's address");
    this.#lookUps.add(deadline);
    let found: SocketAddress[];
    try {
      found = await winsock.resolve(hostname, port, "datagram", "connect", deadline.signal);
    } finally {
      this.#lookUps.delete(deadline);
      deadline.end();
    }
    const address = found.find(({ version }) => version === socket.version);
    if (address) return address;
    throw new TransportError(
      "WSANO_DATA",
      `${hostname} has no IPv${socket.version} address, which this socket needs`,
    );
  }
}

function tooLong(length: number, room: number, from: SocketAddress): TransportError {
  return new TransportError(
    "WSAEMSGSIZE",
    `Cannot receive: the datagram from ${describe(from)} has ${length} bytes, and p has room for ${room}. ` +
      "It is lost; give p room for the longest that peers send, at most 65,527 bytes",
  );
}

function computerOf({ hostname, computer }: DatagramPeer): string {
  if (computer !== undefined) return checkComputer(computer, "peer.computer");
  if (!isIpAddress(hostname)) return hostPrincipal(hostname);
  throw new TypeError(
    `peer.hostname is the IP address ${hostname}, which does not name a computer: give peer.computer`,
  );
}

function keyOf({ hostname, port }: SocketAddress): string {
  return `${hostname} ${port}`;
}

function toAddress({ hostname, port }: SocketAddress): DatagramAddress {
  return Object.freeze({ transport: "udp", hostname, port });
}
