/**
 * Addresses: of a proxy, with the SPN that a token for it names, and of what is reached through it.
 *
 * @module
 */

import { checkHostname, checkInteger, checkTarget, describe, isIpAddress } from "../../contexts/check.ts";

/** Where a proxy is, and who it is. */
export interface ProxyAddress {
  /** Its host, as typed; an IPv6 address without brackets. */
  readonly host: string;
  /** Its port. */
  readonly port: number;
  /** Whether it is reached by TLS. */
  readonly secure: boolean;
  /** The SPN that tokens for it name. */
  readonly target: string;
  /** How messages name it: `proxy.example.test:8080`. */
  readonly label: string;
}

/** What is reached through a proxy. */
export interface Destination {
  /** A host name in ASCII, or an IP address without brackets. */
  readonly host: string;
  readonly port: number;
}

/**
 * Reads the address of a proxy: `http://proxy.example.test:8080`.
 *
 * @param name what an error calls the argument.
 * @throws TypeError if it is not the URL of a proxy, or has an IP address and no `target` is given.
 */
export function proxyAddress(value: unknown, target: unknown, name: string): ProxyAddress {
  const url = proxyUrl(value, name);
  const host = unbracket(url.hostname).replace(/\.$/, "");
  const port = portOf(url);
  if (target === undefined && isIpAddress(host)) {
    throw new TypeError(
      `${name} ${host} is an IP address, which has no service principal name: give the proxy's name instead, or ` +
        'its target, for instance "HTTP/proxy.example.test"',
    );
  }
  return {
    host,
    port,
    secure: url.protocol === "https:",
    target: target === undefined ? `HTTP/${host}` : checkTarget(target, "target"),
    label: hostAndPort({ host, port }),
  };
}

function proxyUrl(value: unknown, name: string): URL {
  const example = 'for instance "http://proxy.example.test:8080"';
  if (typeof value !== "string" && !(value instanceof URL)) {
    throw new TypeError(`${name} must be the URL of a proxy, ${example}, not ${describe(value)}`);
  }
  const text = String(value);
  let url: URL;
  try {
    url = new URL(/^[a-z][a-z\d+.-]*:\/\//i.test(text) ? text : `http://${text}`);
  } catch {
    throw new TypeError(`${name} is not a URL; give the proxy's, ${example}`);
  }
  if (url.username !== "" || url.password !== "") {
    throw new TypeError(
      `${name} must not contain a user name or password: the proxy is signed on to with the user's ticket`,
    );
  }
  if (url.protocol !== "http:" && url.protocol !== "https:") {
    throw new TypeError(`${name} must begin with http:// or https://, not ${describe(url.protocol)}`);
  }
  if (
    url.hostname === "" || url.port === "0" || url.pathname !== "/" || url.search !== "" || url.hash !== ""
  ) {
    throw new TypeError(`${name} must be a host and a port without a path, ${example}`);
  }
  return url;
}

/** The port of a URL of http or https. 0, on which no server listens, is not the default. */
export function portOf({ port, protocol }: URL): number {
  return port !== "" ? Number(port) : protocol === "https:" ? 443 : 80;
}

/** Checks a host and a port, and writes the host in ASCII. */
export function destination(host: unknown, port: unknown): Destination {
  const checked = checkHostname(host, "host");
  try {
    const { hostname } = new URL(`http://${checked.includes(":") ? `[${checked}]` : checked}`);
    return { host: unbracket(hostname), port: checkInteger(port, "port", 1, 65535) };
  } catch (error) {
    if (error instanceof RangeError) throw error;
    throw new TypeError(`host must be a host's name or IP address, not ${describe(host)}`);
  }
}

/** Writes a host and a port as a URL does. */
export function hostAndPort({ host, port }: Destination): string {
  return `${host.includes(":") ? `[${host}]` : host}:${port}`;
}

/** An IPv6 address without its brackets. */
export function unbracket(host: string): string {
  return host.startsWith("[") ? host.slice(1, -1) : host;
}
