/**
 * The origins that may be signed on to, and the target of each.
 *
 * @module
 */

import { checkFunction, checkTarget, describe, isIpAddress } from "../../contexts/check.ts";

/** An entry of the list. */
interface Pattern {
  readonly protocol: string;
  readonly port: string;
  readonly hostname: string;
  /** `.example.test` of `*.example.test`. */
  readonly suffix: string | null;
}

/** A list of origins. */
export class Origins {
  readonly #patterns: readonly Pattern[];
  readonly #target: ((url: URL) => string) | undefined;

  /** @throws TypeError if an entry is not an origin, or has no target. */
  constructor(list: unknown, target: ((url: URL) => string) | undefined) {
    if (!Array.isArray(list) || list.length === 0) {
      throw new TypeError(
        'options.origins must list the origins to sign on to, such as ["https://intranet.example.test"]',
      );
    }
    checkFunction(target, "options.target");
    this.#target = target;
    this.#patterns = list.map((entry, index) =>
      parse(entry, `options.origins[${index}]`, target !== undefined)
    );
  }

  /** The target of a listed origin; `null` if it is not listed. */
  targetOf(url: URL): string | null {
    if (!this.#patterns.some((pattern) => listed(pattern, url))) return null;
    const target = this.#target === undefined
      ? `HTTP/${url.hostname.replace(/\.$/, "")}`
      : this.#target(new URL(url));
    return checkTarget(target, "the result of options.target()");
  }
}

function parse(entry: unknown, name: string, hasTarget: boolean): Pattern {
  const wrong = (problem: string): TypeError =>
    new TypeError(
      `${name} ${problem}: give scheme and host, such as "https://intranet.example.test" or ` +
        '"https://*.example.test"',
    );
  if (typeof entry !== "string" && !(entry instanceof URL)) {
    throw wrong(`is ${describe(entry)}, not an origin`);
  }
  if (entry === "*") throw wrong("is every origin, whose servers would all be given tokens");
  const url = URL.parse(entry);
  if (url === null || !/^https?:$/.test(url.protocol)) throw wrong("is not an origin of http or https");
  const { hostname, protocol, port } = url;
  if (url.username !== "" || url.password !== "") throw wrong("has a user name or a password");
  if (url.pathname !== "/" || url.search !== "" || url.hash !== "") throw wrong("has more than an origin");
  const suffix = hostname.startsWith("*.") ? hostname.slice(1) : null;
  if ((suffix ?? hostname).includes("*") || suffix === ".") throw wrong("has * where no whole label is");
  if (isAddress(hostname) && !hasTarget) {
    throw new TypeError(
      `${name} is an IP address, which has no service principal name: give the host's name, or options.target`,
    );
  }
  return { protocol, port, hostname, suffix };
}

function isAddress(hostname: string): boolean {
  return hostname.startsWith("[") || isIpAddress(hostname);
}

function listed({ protocol, port, hostname, suffix }: Pattern, url: URL): boolean {
  if (url.protocol !== protocol || url.port !== port) return false;
  return suffix === null
    ? url.hostname === hostname
    : url.hostname.endsWith(suffix) && url.hostname !== suffix;
}
