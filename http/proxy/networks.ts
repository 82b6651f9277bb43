/**
 * IP networks, and the list of hosts that are reached without a proxy.
 *
 * @module
 */

import { BlockList, isIP } from "node:net";
import { type Destination, unbracket } from "./address.ts";

/** A set of IP addresses and networks. */
export class Networks {
  readonly #list = new BlockList();
  /** How many entries it has. */
  size = 0;

  /** Adds an address or a network (`10.0.0.0/8`); returns false if it is neither. */
  add(entry: string): boolean {
    const match = /^(.+?)(?:\/(\d{1,3}))?$/.exec(entry);
    const address = unbracket(match?.[1] ?? "");
    const version = isIP(address);
    if (version === 0 || address.includes("%")) return false;
    const family = version === 4 ? "ipv4" : "ipv6";
    const most = version === 4 ? 32 : 128;
    const prefix = match![2] === undefined ? most : Number(match![2]);
    if (prefix > most) return false;
    if (prefix === 0) {
      // Two halves: some runtimes take no prefix of 0.
      this.#list.addSubnet(version === 4 ? "0.0.0.0" : "::", 1, family);
      this.#list.addSubnet(version === 4 ? "128.0.0.0" : "8000::", 1, family);
    } else this.#list.addSubnet(address, prefix, family);
    this.size++;
    return true;
  }

  /** Whether an IP address is in the set. */
  has(address: string): boolean {
    const plain = plainAddress(address);
    const version = isIP(plain);
    return version !== 0 && this.#list.check(plain, version === 4 ? "ipv4" : "ipv6");
  }
}

/** An address as the system reports it, without brackets and zone; an IPv4 address in IPv6 form as IPv4. */
export function plainAddress(address: string): string {
  const plain = unbracket(address).replace(/%.*$/, "");
  return /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(plain)?.[1] ?? plain;
}

/** The addresses of this machine alone. */
export const LOOPBACK = networks("127.0.0.0/8", "::1");
/** Addresses that reach this machine, or what only its neighbours may reach. */
export const LOCAL = networks("127.0.0.0/8", "::1", "0.0.0.0/8", "::", "169.254.0.0/16", "fe80::/10");

function networks(...entries: readonly string[]): Networks {
  const set = new Networks();
  for (const entry of entries) set.add(entry);
  return set;
}

/**
 * The hosts that are reached without a proxy: `NO_PROXY` as curl and others read it, and the exceptions in Windows'
 * Internet settings.
 *
 * An entry is `*` for every host; a name (`example.test`), which stands for its subdomains too; a suffix
 * (`.example.test`); a name with wildcards (`*.example.test`, `10.*`); an address; a network (`10.0.0.0/8`); or
 * `<local>` for names without a dot. A name or an address may be followed by a port.
 */
export class NoProxy {
  readonly #tests: ((destination: Destination) => boolean)[] = [];
  readonly #networks = new Networks();

  /** @throws TypeError if an entry is none of these. */
  constructor(entries: readonly string[], name = "noProxy") {
    for (const entry of entries) {
      const test = this.#read(entry.trim().toLowerCase());
      if (test === null) {
        throw new TypeError(
          `${name} contains ${
            JSON.stringify(entry)
          }, which is not a host name, a suffix, an address or a network`,
        );
      }
      if (test !== undefined) this.#tests.push(test);
    }
  }

  /** Reads an entry; `undefined`: it is in the networks. */
  #read(entry: string): ((destination: Destination) => boolean) | undefined | null {
    if (entry === "") return undefined;
    if (entry === "<local>") return ({ host }) => isIP(host) === 0 && !host.includes(".");
    if (this.#networks.add(entry)) return undefined;
    const [, pattern, port] = /^(\[[\da-f:.]+\]|[^:/\s]+)(?::(\d{1,5}))?$/.exec(entry) ?? [];
    if (pattern === undefined) return null;
    const matches = hostTest(unbracket(pattern));
    return matches === null
      ? null
      : (destination) =>
        matches(destination.host) && (port === undefined || Number(port) === destination.port);
  }

  /** Whether a host is reached without a proxy. */
  has(destination: Destination): boolean {
    const plain = { ...destination, host: destination.host.toLowerCase().replace(/\.$/, "") };
    return this.#networks.has(plain.host) || this.#tests.some((test) => test(plain));
  }
}

function hostTest(pattern: string): ((host: string) => boolean) | null {
  if (isIP(pattern) !== 0) return (host) => plainAddress(host) === pattern;
  if (!/^[\p{L}\p{N}*_.-]+$/u.test(pattern)) return null;
  // A suffix stands for the domain itself too, as in curl.
  const suffix = pattern.replace(/^\*?\./, "").replace(/\.$/, "");
  if (suffix === "") return null;
  if (!suffix.includes("*")) return (host) => host === suffix || host.endsWith(`.${suffix}`);
  // Linear: each part is looked for once, from the left.
  const parts = pattern.split("*");
  return (host) => {
    if (!host.startsWith(parts[0])) return false;
    let at = parts[0].length;
    for (const part of parts.slice(1, -1)) {
      const found = host.indexOf(part, at);
      if (found < 0) return false;
      at = found + part.length;
    }
    const last = parts[parts.length - 1];
    return host.length - at >= last.length && host.endsWith(last);
  };
}
