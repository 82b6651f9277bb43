/**
 * The settings of `secure-sockets proxy`, from the first of: its options, its configuration file, the environment,
 * Windows' Internet settings.
 *
 * @module
 */

import type { LocalProxyOptions } from "../../http/mod.ts";
import { UsageError } from "../command.ts";

/** What a configuration file contains, besides `version`. */
export interface ProxySettings {
  /** URLs of proxies. */
  readonly upstreams?: readonly string[];
  /** The SPN of every upstream; left out: `HTTP/` and its host. */
  readonly target?: string;
  readonly pac?: string;
  readonly noProxy?: readonly string[];
  readonly port?: number;
  readonly access?: "loopback" | "host" | "gateway";
  readonly allow?: readonly string[];
  readonly requireToken?: boolean;
  readonly maxConnections?: number;
  readonly connectTimeoutMs?: number;
  /** A file with certificates of authorities, in PEM. */
  readonly ca?: string;
}

const TYPES: Readonly<Record<keyof ProxySettings, "string" | "number" | "boolean" | "list">> = {
  upstreams: "list",
  target: "string",
  pac: "string",
  noProxy: "list",
  port: "number",
  access: "string",
  allow: "list",
  requireToken: "boolean",
  maxConnections: "number",
  connectTimeoutMs: "number",
  ca: "string",
};

/**
 * Reads the text of a configuration file.
 *
 * @param path what errors call it.
 */
export function parseConfig(text: string, path: string): ProxySettings {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new UsageError(`${path} is not JSON: ${(error as Error).message}`);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new UsageError(`${path} must contain an object`);
  }
  const { version, ...settings } = value as { version?: unknown };
  if (version !== 1) throw new UsageError(`${path} must contain "version": 1`);
  for (const [key, given] of Object.entries(settings)) {
    if (!Object.hasOwn(TYPES, key)) {
      throw new UsageError(
        `${path} contains ${JSON.stringify(key)}, which is unknown; use ${Object.keys(TYPES).join(", ")}`,
      );
    }
    const type = TYPES[key as keyof ProxySettings];
    const fits = type === "list"
      ? Array.isArray(given) && given.every((entry) => typeof entry === "string")
      : kindOf(given) === type;
    if (!fits) {
      throw new UsageError(`${path}: ${key} must be a ${type === "list" ? "list of strings" : type}`);
    }
  }
  return settings as ProxySettings;
}

function kindOf(value: unknown): string {
  return typeof value;
}

/** The text of a configuration file. */
export function formatConfig(settings: ProxySettings): string {
  return `${JSON.stringify({ version: 1, ...settings }, null, 2)}\n`;
}

/** The options of the command, as they are given. */
export interface GivenOptions {
  readonly upstream?: readonly string[];
  readonly target?: string;
  readonly pac?: string;
  readonly "no-proxy"?: readonly string[];
  readonly port?: string;
  readonly "host-only"?: boolean;
  readonly gateway?: boolean;
  readonly allow?: readonly string[];
  readonly "require-token"?: boolean;
  readonly "max-connections"?: string;
  readonly "connect-timeout"?: string;
  readonly ca?: string;
}

/** Reads the options of the command. */
export function fromOptions(options: GivenOptions): ProxySettings {
  if (options.gateway && options["host-only"]) {
    throw new UsageError("--gateway and --host-only cannot be given together");
  }
  const seconds = number(options["connect-timeout"], "--connect-timeout");
  return defined({
    upstreams: options.upstream,
    target: options.target,
    pac: options.pac,
    noProxy: options["no-proxy"]?.flatMap(list),
    port: number(options.port, "--port"),
    access: options.gateway ? "gateway" : options["host-only"] ? "host" : undefined,
    allow: options.allow?.flatMap(list),
    requireToken: options["require-token"],
    maxConnections: number(options["max-connections"], "--max-connections"),
    connectTimeoutMs: seconds === undefined ? undefined : seconds * 1000,
    ca: options.ca,
  });
}

function number(text: string | undefined, option: string): number | undefined {
  if (text === undefined) return undefined;
  if (!/^\d{1,7}$/.test(text)) {
    throw new UsageError(`${option} must be a whole number, not ${JSON.stringify(text)}`);
  }
  return Number(text);
}

function defined(settings: ProxySettings): ProxySettings {
  return Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined));
}

/** Puts settings over others; an upstream and a PAC file exclude each other. */
export function merge(over: ProxySettings, under: ProxySettings): ProxySettings {
  const { upstreams: _, target: __, pac: ___, ...rest } = under;
  return over.upstreams !== undefined || over.pac !== undefined
    ? { ...rest, ...over }
    : { ...under, ...over };
}

/** Whether the settings say which proxy to use. */
export function isComplete({ upstreams, pac }: ProxySettings): boolean {
  return (upstreams !== undefined && upstreams.length > 0) || pac !== undefined;
}

/** Reads HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY, in lower case first, as curl does. */
export function fromEnvironment(env: (name: string) => string | undefined, port: number): ProxySettings {
  const get = (name: string) => env(name.toLowerCase()) || env(name) || undefined;
  const noProxy = noProxyOf(env);
  for (const name of ["HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY"]) {
    const value = get(name);
    // Where it is set to this proxy already, it does not name the company's.
    if (value === undefined || isOwn(value, port)) continue;
    if (/^socks/i.test(value)) continue;
    return defined({ upstreams: [value], noProxy: noProxy.length > 0 ? noProxy : undefined });
  }
  return {};
}

/** The hosts in NO_PROXY. */
export function noProxyOf(env: (name: string) => string | undefined): string[] {
  return list(env("no_proxy") || env("NO_PROXY") || "");
}

function isOwn(value: string, port: number): boolean {
  try {
    const url = new URL(value.includes("://") ? value : `http://${value}`);
    return /^(localhost|127\..*|\[::1\])$/i.test(url.hostname) && Number(url.port || 80) === port;
  } catch {
    return false;
  }
}

/**
 * Reads Windows' Internet settings from what `reg query` prints of their key.
 *
 * @param output the lines `    NAME    REG_TYPE    VALUE`.
 */
export function fromRegistry(output: string): ProxySettings {
  const values = new Map<string, string>();
  for (const line of output.split(/\r?\n/)) {
    const [, name, value] = /^\s+(\S+)\s+REG_\w+\s+(.*?)\s*$/.exec(line) ?? [];
    if (name !== undefined) values.set(name.toLowerCase(), value);
  }
  const pac = values.get("autoconfigurl");
  if (pac !== undefined && pac !== "") return { pac };
  const server = values.get("proxyserver");
  if (!/^(0x)?0*1$/.test(values.get("proxyenable") ?? "") || server === undefined) return {};
  // One proxy for all, or one for each scheme: "http=a:80;https=b:80".
  const parts = server.split(";").map((part) => part.trim()).filter((part) => part !== "");
  const of = (scheme: string) =>
    parts.find((part) => part.startsWith(`${scheme}=`))?.slice(scheme.length + 1);
  const upstream = of("https") ?? of("http") ?? parts.find((part) => !part.includes("="));
  if (upstream === undefined) return {};
  const exceptions = list((values.get("proxyoverride") ?? "").replaceAll(";", ","));
  return { upstreams: [upstream], noProxy: exceptions };
}

function list(text: string): string[] {
  return text.split(/[,\s]+/).filter((entry) => entry !== "");
}

/** The options of the library for these settings. */
export function libraryOptions(settings: ProxySettings): Omit<LocalProxyOptions, "ca" | "token" | "onEvent"> {
  const { upstreams, target, requireToken: _, ca: __, ...rest } = settings;
  return {
    ...rest,
    ...(upstreams === undefined
      ? {}
      : { upstreams: upstreams.map((proxy) => target === undefined ? proxy : { proxy, target }) }),
  };
}
