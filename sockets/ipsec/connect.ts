/**
 * Connects with a socket that the operating system secures.
 *
 * @module
 */

import { type SecureSocketError, TransportError } from "../../errors.ts";
import { readTarget } from "../../ffi/ipsec/codec_reader.ts";
import { SecureSockets } from "../../ffi/ipsec/secure_sockets.ts";
import { TcpSocket } from "../../ffi/winsock/tcp.ts";
import type { SocketAddress } from "../../ffi/winsock/address.ts";
import { type NativeSystem, nativeSystem } from "../../ffi/system.ts";
import { type Winsock, winsockOf } from "../../ffi/winsock/winsock.ts";
import type { SocketCodec } from "../../contract.ts";
import { hostPrincipal, isIpAddress } from "../../contexts/check.ts";
import type { SocketChosen } from "../establish.ts";
import { quietly } from "../transport.ts";
import type { ConnectSettings } from "../read_options.ts";
import type { SecureConn } from "../secure_conn.ts";
import { applySettings, refuseForSocket } from "./terms.ts";
import { securedConnection } from "./transport.ts";
import type { Deadline } from "../deadline.ts";

const NO_ADDRESS = new Uint8Array();

/**
 * See `connect`. Sets the socket's settings and the peer's name before it connects, and queries the security before
 * the first byte.
 */
export async function connectSecured(
  settings: ConnectSettings,
  chosen: SocketChosen,
  deadline: Deadline,
): Promise<SecureConn> {
  refuseForSocket(chosen);
  const computer = peerComputer(settings);
  const system = nativeSystem(settings.system);
  const [winsock, secure] = [winsockOf(system, "ipsec"), new SecureSockets(system)];
  const release = winsock.use();
  try {
    const codec = await deadline.race(chosen.selection.provider.codec(), (late) => late.close());
    try {
      const { hostname, port } = settings;
      const addresses = await winsock.resolve(hostname, port, "stream", "connect", deadline.signal);
      return await firstOf(
        addresses,
        (address) => tryAddress(chosen, { system, winsock, secure, codec, computer, address, deadline }),
      );
    } catch (error) {
      await quietly(() => codec.close());
      throw error;
    }
  } finally {
    release();
  }
}

function peerComputer({ hostname, side }: ConnectSettings): string {
  if (side.role === "client" && side.computer !== undefined) return side.computer;
  if (!isIpAddress(hostname)) return hostPrincipal(hostname);
  throw new TypeError(
    `options.hostname is the IP address ${hostname}, which does not name a computer: give ` +
      'options.computer too, for instance "host/server.example.test"',
  );
}

/** Tries the addresses in order. An unreachable address does not prevent the next attempt. */
async function firstOf<T>(
  addresses: readonly SocketAddress[],
  attempt: (address: SocketAddress) => Promise<T>,
): Promise<T> {
  let failure: SecureSocketError = new TransportError("WSANO_DATA", "The name has no IPv4 or IPv6 address");
  for (const address of addresses) {
    try {
      return await attempt(address);
    } catch (error) {
      if (!(error instanceof TransportError)) throw error;
      failure = error;
    }
  }
  throw failure;
}

interface Attempt {
  readonly system: NativeSystem;
  readonly winsock: Winsock;
  readonly secure: SecureSockets;
  readonly codec: SocketCodec;
  readonly computer: string;
  readonly address: SocketAddress;
  readonly deadline: Deadline;
}

async function tryAddress(chosen: SocketChosen, attempt: Attempt): Promise<SecureConn> {
  const { system, winsock, secure, codec, computer, address, deadline } = attempt;
  const socket = new TcpSocket(winsock, address.version);
  try {
    applySettings(chosen, codec, secure, socket);
    secure.setPeerTarget(socket, readTarget(codec.target(NO_ADDRESS, computer), NO_ADDRESS, computer));
    await socket.connect(address, deadline.signal);
    return securedConnection(chosen, socket, {
      system,
      secure,
      codec,
      release: () => codec.close(),
    });
  } catch (error) {
    await socket.close();
    throw error;
  }
}
