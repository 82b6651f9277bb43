/**
 * The options of a local proxy, checked.
 *
 * @module
 */

import {
  checkFunction,
  checkInteger,
  checkKeys,
  checkSignal,
  checkTimeout,
  describe,
} from "../../contexts/check.ts";
import { proxyAddress } from "./address.ts";
import { type Access, Guard } from "./guard.ts";
import { Networks, NoProxy } from "./networks.ts";
import type { Route } from "./routes.ts";
import type { ProxySignOnOptions } from "./sign_on.ts";
import { checkAuthorities, checkSignOn } from "./tunnel.ts";

/** A proxy that a local proxy signs on to. */
export interface Upstream {
  /** Its URL: `http://proxy.example.test:8080`. */
  readonly proxy: string | URL;
  /** Its SPN; left out: `HTTP/` and the host of its URL. */
  readonly target?: string;
}

/** What happened in a local proxy: one line of its log. */
export interface ProxyEvent {
  /** When. */
  readonly time: Date;
  /** `error`: a client got no connection. `warn`: something to know. `info`: all is well. */
  readonly level: "info" | "warn" | "error";
  /** What, as a word to search for. */
  readonly event: "listening" | "failed" | "refused" | "upstream-down" | "pac" | "closed";
  /** What happened, and what to do. It contains no token or password. */
  readonly message: string;
  /** The client's address. */
  readonly client?: string;
  /** What the client wanted to reach, as `host:port`. */
  readonly destination?: string;
  /** The proxy, as `host:port`. */
  readonly upstream?: string;
}

/** What a running local proxy reports about itself. */
export interface LocalProxyStatus {
  /** When it was started. */
  readonly since: Date;
  /** The proxies it was given, or its PAC file, with whether each could be reached the last time. */
  readonly upstreams: readonly { readonly name: string; readonly down: boolean }[];
  /** Connections of clients that are open. */
  readonly connections: number;
  /** Tunnels that are open. */
  readonly tunnels: number;
  /** Requests and tunnels that were served. */
  readonly served: number;
  /** Requests and tunnels that failed. */
  readonly failed: number;
  /** The last failure. */
  readonly lastFailure?: ProxyEvent;
}

/** Options of {@linkcode startLocalProxy}. */
export interface LocalProxyOptions extends ProxySignOnOptions {
  /** The proxies to sign on to, in the order to try them. Either this or `pac` is required. */
  readonly upstreams?: readonly (string | URL | Upstream)[];
  /** The address of a PAC file (`http:`, `https:` or `file:`), which chooses the proxy for each host. */
  readonly pac?: string | URL;
  /**
   * Hosts that are reached without a proxy, as in `NO_PROXY`: names with their subdomains, suffixes, addresses,
   * networks (`10.0.0.0/8`). This machine itself always is.
   */
  readonly noProxy?: readonly string[];
  /** The port to listen on. Default 3128; 0: any free one. */
  readonly port?: number;
  /**
   * From where it can be used. `loopback` (the default): by this machine. `host`: also by its containers and virtual
   * machines. `gateway`: also by the networks of `allow`. Everyone who can reach it acts as the user that runs it.
   */
  readonly access?: "loopback" | "host" | "gateway";
  /** With `access: "gateway"`: the networks that may use it, for instance `["192.168.7.0/24"]`. */
  readonly allow?: readonly string[];
  /**
   * A secret that clients must send as the password of `Proxy-Authorization: Basic`, at least 16 characters. It keeps
   * other users of this machine out.
   */
  readonly token?: string;
  /** The most connections of clients. Default 10,000. */
  readonly maxConnections?: number;
  /** The time until a proxy has made a connection. Default 30,000. What is connected has no limit. */
  readonly connectTimeoutMs?: number;
  /** Certificates of the authorities for proxies of `https://`; left out: the system's. */
  readonly ca?: string | Uint8Array;
  /** Is called with each event. It must not throw. */
  readonly onEvent?: (event: ProxyEvent) => void;
  /** Closes the proxy when it is aborted. */
  readonly signal?: AbortSignal;
}

/** Checked options. */
export interface LocalProxyTerms {
  readonly routes: readonly Route[];
  readonly pac?: URL;
  readonly noProxy: NoProxy;
  readonly port: number;
  readonly access: Access;
  readonly guard: Guard;
  readonly token?: string;
  readonly maxConnections: number;
  readonly connectTimeoutMs: number;
  readonly ca?: string | Uint8Array;
  readonly signOn: ProxySignOnOptions;
  readonly onEvent: (event: ProxyEvent) => void;
  readonly signal?: AbortSignal;
}

const KNOWN = [
  ...[
    "upstreams",
    "pac",
    "noProxy",
    "port",
    "access",
    "allow",
    "token",
    "maxConnections",
    "connectTimeoutMs",
    "ca",
  ],
  ...["registry", "credentials", "system", "onEvent", "signal"],
];

/** Checks options; nothing is opened. */
export function localProxyTerms(options: LocalProxyOptions): LocalProxyTerms {
  checkKeys(options, KNOWN, "options");
  const { access = "loopback", token } = options;
  if (!["loopback", "host", "gateway"].includes(access)) {
    throw new TypeError(`options.access must be one of loopback, host, gateway, not ${describe(access)}`);
  }
  if (token !== undefined && (typeof token !== "string" || !/^[\x21-\x7e]{16,256}$/.test(token))) {
    throw new TypeError("options.token must be 16 to 256 visible ASCII characters");
  }
  checkFunction(options.onEvent, "options.onEvent");
  const routes = upstreams(options.upstreams ?? []);
  if (routes.length > 0 === (options.pac !== undefined)) {
    throw new TypeError(
      "options must have either upstreams, with at least one proxy, or pac: nothing else says which proxy to use",
    );
  }
  return {
    routes,
    pac: options.pac === undefined ? undefined : pacUrl(options.pac),
    noProxy: new NoProxy(strings(options.noProxy ?? [], "options.noProxy"), "options.noProxy"),
    port: checkInteger(options.port ?? 3128, "options.port", 0, 65535),
    access,
    guard: new Guard(access, allowed(access, options.allow), token),
    token,
    maxConnections: checkInteger(options.maxConnections ?? 10_000, "options.maxConnections", 1, 1_000_000),
    connectTimeoutMs: checkTimeout(options.connectTimeoutMs, "options.connectTimeoutMs", 30_000),
    ca: checkAuthorities(options.ca),
    signOn: checkSignOn(options),
    onEvent: options.onEvent ?? (() => {}),
    signal: checkSignal(options.signal, "options.signal"),
  };
}

function upstreams(list: unknown): Route[] {
  if (!Array.isArray(list)) throw new TypeError("options.upstreams must be a list of URLs of proxies");
  return list.map((entry, index) => {
    const name = `options.upstreams[${index}]`;
    if (typeof entry !== "object" || entry === null || entry instanceof URL) {
      return proxyAddress(entry, undefined, name);
    }
    checkKeys(entry, ["proxy", "target"], name);
    return proxyAddress(entry.proxy, entry.target, `${name}.proxy`);
  });
}

function strings(list: unknown, name: string): readonly string[] {
  if (Array.isArray(list) && list.every((entry) => typeof entry === "string")) return list;
  throw new TypeError(`${name} must be a list of strings`);
}

function allowed(access: Access, allow: unknown): Networks {
  const networks = new Networks();
  if (access !== "gateway") {
    if (allow === undefined) return networks;
    throw new TypeError('options.allow has an effect only with access: "gateway"');
  }
  for (const entry of strings(allow ?? [], "options.allow")) {
    if (networks.add(entry)) continue;
    throw new TypeError(
      `options.allow contains ${JSON.stringify(entry)}, which is not a network such as 10.0.0.0/8`,
    );
  }
  if (networks.size > 0) return networks;
  throw new TypeError('options.allow must name the networks that access: "gateway" is for');
}

function pacUrl(value: unknown): URL {
  let url: URL;
  try {
    url = new URL(String(value));
  } catch {
    throw new TypeError('options.pac must be a URL, for instance "http://wpad.example.test/proxy.pac"');
  }
  if (url.username !== "" || url.password !== "") {
    throw new TypeError("options.pac must not contain a user name or password: its address is logged");
  }
  if (["http:", "https:", "file:"].includes(url.protocol)) return url;
  throw new TypeError(
    `options.pac must begin with http://, https:// or file://, not ${describe(url.protocol)}`,
  );
}
