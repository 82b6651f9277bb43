/**
 * Socket addresses: converts between the system's structures and text.
 *
 * @module
 */

import { UnsupportedPlatformError } from "../../errors.ts";
import { AF, SOCKADDR_IN, SOCKADDR_IN6 } from "../raw/ws2_32.ts";

/** The address of one end of a socket. */
export interface SocketAddress {
  /** 4 or 6. */
  readonly version: 4 | 6;
  /** The host as text: `192.0.2.1`, `2001:db8::1`, `fe80::1%7`. */
  readonly hostname: string;
  /** The port, 0 to 65535. */
  readonly port: number;
  /** The system's structure: 16 bytes for IPv4, 28 for IPv6. */
  readonly bytes: Uint8Array;
}

/** The address family of an IP version. */
export function familyOf(version: 4 | 6): number {
  return version === 4 ? AF.INET : AF.INET6;
}

/**
 * Reads and copies the system's structure.
 *
 * @throws UnsupportedPlatformError where it is neither IPv4 nor IPv6.
 */
export function readAddress(from: Uint8Array): SocketAddress {
  const view = new DataView(from.buffer, from.byteOffset, from.byteLength);
  const family = view.getUint16(0, true);
  if (family === AF.INET) {
    const { sin_addr, sin_port } = SOCKADDR_IN.read(view);
    return address(4, [...sin_addr].join("."), sin_port, from.slice(0, SOCKADDR_IN.size));
  }
  if (family === AF.INET6) {
    const { sin6_addr, sin6_port, sin6_scope_id } = SOCKADDR_IN6.read(view);
    const scope = sin6_scope_id === 0 ? "" : `%${sin6_scope_id}`;
    return address(6, formatIpv6(sin6_addr) + scope, sin6_port, from.slice(0, SOCKADDR_IN6.size));
  }
  throw new UnsupportedPlatformError(`Unknown address family ${family}`, {
    instead: "Use IPv4 or IPv6",
  });
}

function address(version: 4 | 6, hostname: string, port: Uint8Array, bytes: Uint8Array): SocketAddress {
  return { version, hostname, port: port[0] << 8 | port[1], bytes };
}

/** Returns the wildcard address with port 0, to which `bind` must bind a socket before ConnectEx. */
export function anyAddress(version: 4 | 6): Uint8Array {
  const bytes = new Uint8Array(version === 4 ? SOCKADDR_IN.size : SOCKADDR_IN6.size);
  new DataView(bytes.buffer).setUint16(0, familyOf(version), true);
  return bytes;
}

/** Formats an IPv6 address as in RFC 5952. */
function formatIpv6(bytes: Uint8Array): string {
  const groups = Array.from({ length: 8 }, (_, index) => bytes[index * 2] << 8 | bytes[index * 2 + 1]);
  if (groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff) {
    return `::ffff:${[...bytes.subarray(12)].join(".")}`;
  }
  const zeros = longestZeros(groups);
  const hex = (part: number[]): string => part.map((group) => group.toString(16)).join(":");
  if (zeros.length < 2) return hex(groups);
  return `${hex(groups.slice(0, zeros.start))}::${hex(groups.slice(zeros.start + zeros.length))}`;
}

function longestZeros(groups: readonly number[]): { start: number; length: number } {
  let best = { start: 0, length: 0 };
  for (let start = 0; start < groups.length; start++) {
    let length = 0;
    while (start + length < groups.length && groups[start + length] === 0) length++;
    if (length > best.length) best = { start, length };
  }
  return best;
}
