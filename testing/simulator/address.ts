/**
 * Addresses of simulated hosts: converts text to the system's structure and to a key for comparison.
 *
 * @module
 */

import { AF, SOCKADDR_IN, SOCKADDR_IN6 } from "../../ffi/raw/ws2_32.ts";
import { readAddress, type SocketAddress } from "../../ffi/winsock/address.ts";

/** The bytes of an IP address; `null` if the text is not an IP address. */
export function parseIp(text: string): Uint8Array | null {
  return text.includes(":") ? parseIpv6(text) : parseIpv4(text);
}

function parseIpv4(text: string): Uint8Array | null {
  const parts = text.split(".");
  if (parts.length !== 4 || !parts.every((part) => /^\d{1,3}$/.test(part) && Number(part) < 256)) return null;
  return Uint8Array.from(parts, Number);
}

function parseIpv6(text: string): Uint8Array | null {
  const halves = text.split("::");
  if (halves.length > 2) return null;
  const groups = halves.map((half) => half === "" ? [] : half.split(":"));
  const given = groups.flat();
  if (!given.every((group) => /^[0-9a-f]{1,4}$/i.test(group))) return null;
  const missing = 8 - given.length;
  if (halves.length === 2 ? missing < 1 : missing !== 0) return null;
  const all = [...groups[0], ...Array<string>(missing).fill("0"), ...(groups[1] ?? [])];
  return Uint8Array.from(all.flatMap((group) => [parseInt(group, 16) >> 8, parseInt(group, 16) & 0xff]));
}

/** The system's structure of an address. */
export function socketAddress(ip: Uint8Array, port: number): SocketAddress {
  const v6 = ip.length === 16;
  const bytes = new Uint8Array(v6 ? SOCKADDR_IN6.size : SOCKADDR_IN.size);
  const view = new DataView(bytes.buffer);
  const network = Uint8Array.of(port >> 8, port);
  if (v6) SOCKADDR_IN6.write(view, { sin6_family: AF.INET6, sin6_port: network, sin6_addr: ip });
  else SOCKADDR_IN.write(view, { sin_family: AF.INET, sin_port: network, sin_addr: ip });
  return readAddress(bytes);
}

/** Whether an address stands for every address of its machine. */
export function isAny({ hostname }: SocketAddress): boolean {
  return hostname === "0.0.0.0" || hostname === "::";
}

/** Whether an address is a loopback address. */
export function isLoopback({ hostname }: SocketAddress): boolean {
  return hostname.startsWith("127.") || hostname === "::1";
}
