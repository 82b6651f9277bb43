/**
 * Who may use a local proxy, and what it takes for a request: decided before anything is done for a client.
 *
 * @module
 */

import { createHash, timingSafeEqual } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { networkInterfaces } from "node:os";
import { parseCredentials } from "../fields.ts";
import { type Destination, destination, portOf, unbracket } from "./address.ts";
import { LOOPBACK, Networks, plainAddress } from "./networks.ts";

/** From where a local proxy may be used. */
export type Access = "loopback" | "host" | "gateway";

/**
 * Networks of this machine's own: bridges of containers and virtual machines, by the names that programs give them.
 * Names that people give (`br-lan`, `vEthernet (External)`) are often of bridges to a network of other machines.
 */
const VIRTUAL =
  /^(docker|br-[\da-f]{12}$|podman|cni|virbr|lxc|lxd|incus|vmnet|vboxnet|vEthernet \((WSL|Default Switch|nat|DockerNAT)\b|bridge1\d\d)/i;

/** Why a request is refused. */
export interface Refusal {
  readonly status: number;
  readonly reason: string;
}

/** What a request asks of a local proxy. */
export type Asked =
  | { readonly kind: "own"; readonly path: string }
  | { readonly kind: "forward"; readonly url: URL; readonly wanted: Destination }
  | { readonly kind: "refused"; readonly refusal: Refusal };

/** Decides which clients are served. */
export class Guard {
  readonly #access: Access;
  readonly #allowed: Networks;
  readonly #token: string | undefined;

  constructor(access: Access, allowed: Networks, token: string | undefined) {
    this.#access = access;
    this.#allowed = allowed;
    this.#token = token;
  }

  /** Whether a client with this address is served. */
  admits(address: string | undefined): boolean {
    if (address === undefined) return false;
    if (isLoopback(address)) return true;
    switch (this.#access) {
      case "loopback":
        return false;
      case "host":
        return hostNetworks().has(address);
      case "gateway":
        return this.#allowed.has(address);
    }
  }

  /** Whether a client has proved that it knows the token, if one is required. */
  knowsToken(field: string | undefined): boolean {
    if (this.#token === undefined) return true;
    if (field === undefined) return false;
    try {
      const { scheme, token } = parseCredentials(field);
      if (scheme !== "basic" || token === null) return false;
      const text = atob(token);
      return same(text.slice(text.indexOf(":") + 1), this.#token);
    } catch {
      return false;
    }
  }
}

/** Compares in a time that does not depend on where the texts differ. */
function same(a: string, b: string): boolean {
  const digest = (text: string) => createHash("sha256").update(text).digest();
  return timingSafeEqual(digest(a), digest(b));
}

/** Whether an address is of this machine's loopback. */
export function isLoopback(address: string | undefined): boolean {
  return address !== undefined && LOOPBACK.has(plainAddress(address));
}

/** Whether a network interface leads to this machine's containers or virtual machines alone, by its name. */
export function isVirtual(name: string): boolean {
  return VIRTUAL.test(name);
}

/** The machine's own addresses, and the networks of its containers and virtual machines, as they are now. */
function hostNetworks(): Networks {
  const networks = new Networks();
  for (const [name, addresses] of Object.entries(networkInterfaces())) {
    for (const { address, cidr } of addresses ?? []) {
      networks.add(isVirtual(name) && cidr !== null ? cidr : address.replace(/%.*$/, ""));
    }
  }
  return networks;
}

/** Reads what a request asks for. */
export function readRequest(request: IncomingMessage, ports: readonly number[]): Asked {
  const bad = malformed(request);
  if (bad !== null) return { kind: "refused", refusal: bad };
  const target = request.url ?? "";
  if (target.startsWith("/") || target === "*") return ownRequest(request, target, ports);
  let url: URL;
  try {
    url = new URL(target);
  } catch {
    return refused(400, "The request's target is not a URL");
  }
  if (url.protocol !== "http:") {
    return refused(400, `This proxy forwards http:// requests; for ${url.protocol}// use CONNECT`);
  }
  if (url.username !== "" || url.password !== "") {
    return refused(400, "The request's URL contains a user name");
  }
  try {
    return { kind: "forward", url, wanted: destination(unbracket(url.hostname), portOf(url)) };
  } catch {
    return refused(400, "The request's URL has no valid host and port");
  }
}

/** Reads the target of CONNECT: a host and a port. */
export function readConnect(request: IncomingMessage): Destination | Refusal {
  const bad = malformed(request);
  if (bad !== null) return bad;
  const { headers } = request;
  if (headers["content-length"] !== undefined || headers["transfer-encoding"] !== undefined) {
    return { status: 400, reason: "CONNECT has no content" };
  }
  const [, host, port] = /^(\[[\da-f:.]+\]|[^[\]:/?#@\s]+):(\d{1,5})$/i.exec(request.url ?? "") ?? [];
  try {
    return destination(unbracket(host), Number(port));
  } catch {
    return { status: 400, reason: "CONNECT takes a host and a port, such as web.example.com:443" };
  }
}

/**
 * What the parser of the runtime lets pass, and other servers may read differently: request smuggling. It refuses a
 * length together with an encoding, lengths that differ, bare line feeds and folded lines itself.
 */
function malformed(request: IncomingMessage): Refusal | null {
  const { rawHeaders, headers, httpVersion } = request;
  let hosts = 0;
  let authorizations = 0;
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at].toLowerCase();
    if (name === "host") hosts++;
    else if (name === "proxy-authorization") authorizations++;
  }
  if (hosts > 1 || authorizations > 1) {
    return { status: 400, reason: "A header field is repeated that must not be" };
  }
  const coding = headers["transfer-encoding"];
  if (coding !== undefined && (coding.toLowerCase() !== "chunked" || httpVersion !== "1.1")) {
    return { status: 400, reason: "The only Transfer-Encoding is chunked, with HTTP/1.1" };
  }
  return null;
}

/**
 * A request for the proxy itself: its status page. The name in Host must be this machine's: a page of another origin,
 * whose name was made to resolve to this address, has its own there.
 */
function ownRequest({ headers, method }: IncomingMessage, path: string, ports: readonly number[]): Asked {
  const [, host, port] = /^(localhost|127\.0\.0\.1|\[::1\])(?::(\d+))?$/i.exec(headers.host ?? "") ?? [];
  if (host === undefined || !ports.includes(Number(port ?? 80))) {
    return refused(421, "This is a proxy. Set it as HTTPS_PROXY and HTTP_PROXY");
  }
  const site = headers["sec-fetch-site"];
  if (headers.origin !== undefined || (site !== undefined && site !== "none" && site !== "same-origin")) {
    return refused(403, "Pages of other origins cannot use this proxy");
  }
  if (method !== "GET" && method !== "HEAD") return refused(405, "The status page takes GET and HEAD");
  return { kind: "own", path };
}

function refused(status: number, reason: string): Asked {
  return { kind: "refused", refusal: { status, reason } };
}
