/**
 * Addresses as arguments.
 *
 * @module
 */

import { UsageError } from "./command.ts";

/** A host and a port. */
export interface Address {
  /** The name or IP address, without brackets; left out: every address of this machine. */
  readonly hostname?: string;
  /** The port, 0 to 65535. */
  readonly port: number;
}

/**
 * Reads `HOST:PORT`, `[IPV6]:PORT`, or a port alone.
 *
 * @throws UsageError where it is none of these.
 */
export function parseAddress(text: string): Address {
  const [, bracketed, plain, digits] = /^(?:(?:\[([\da-fA-F:.]+)\]|([^\s:/[\]]+)):)?(\d{1,5})$/.exec(text) ??
    [];
  const port = Number(digits);
  if (digits === undefined || port > 65_535) {
    throw new UsageError(
      `${JSON.stringify(text)} is not HOST:PORT, for instance web.example.test:7777 or [::1]:7777`,
    );
  }
  const hostname = bracketed ?? plain;
  return { ...(hostname === undefined ? {} : { hostname }), port };
}

/** Returns the text of an address. */
export function addressText({ hostname, port }: Address): string {
  const host = hostname ?? "0.0.0.0";
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}
