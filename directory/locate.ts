/**
 * Finds the controllers of a domain as Windows does: by SRV records, the client's site first, in the order of RFC 2782.
 *
 * @module
 */

import { Resolver } from "node:dns/promises";
import { isIpAddress } from "../contexts/check.ts";
import { PermissionError, TransportError } from "../errors.ts";
import { isHostName } from "./check.ts";
import type { DirectoryServer } from "./types.ts";

/** A record of RFC 2782. */
export interface ServiceRecord {
  /** The host that offers the service. */
  readonly hostname: string;
  /** Its port. */
  readonly port: number;
  /** Lower ones are tried first. */
  readonly priority: number;
  /** Among those of one priority, how often it is tried first. */
  readonly weight: number;
}

/** Resolves names. What it answers is not trusted: a controller proves its name. */
export interface DirectoryResolver {
  /** The SRV records of a name; an empty list where there are none. @throws where name servers do not answer. */
  records(name: string, signal?: AbortSignal): Promise<readonly ServiceRecord[]>;
  /** The IP addresses of a host. Left out: the operating system resolves it. */
  addresses?(hostname: string, signal?: AbortSignal): Promise<readonly string[]>;
}

/** The most controllers that are considered: a domain may have hundreds, and most of them are far away. */
const MAX_SERVERS = 32;
/** What name servers answer where a name or a record does not exist. */
const ABSENT = ["ENOTFOUND", "ENODATA", "NotFound"];

/**
 * A resolver that asks name servers itself.
 *
 * @param nameservers their addresses, each with `:port` where that is not 53; left out: those of the machine.
 *
 * @example
 * ```ts
 * import { dnsResolver } from "@winsock/secure-sockets/directory";
 *
 * const resolver = dnsResolver(["192.0.2.53"]);
 * console.log(typeof resolver.records); // => function
 * ```
 */
export function dnsResolver(nameservers?: readonly string[]): DirectoryResolver {
  const ask = async <T>(signal: AbortSignal | undefined, question: (resolver: Resolver) => Promise<T[]>) => {
    signal?.throwIfAborted();
    const resolver = new Resolver();
    if (nameservers !== undefined) resolver.setServers([...nameservers]);
    const cancel = (): void => resolver.cancel();
    signal?.addEventListener("abort", cancel, { once: true });
    try {
      return await question(resolver);
    } catch (error) {
      signal?.throwIfAborted();
      const { code, name } = error as { code?: string; name?: string };
      if (ABSENT.includes(code ?? "") || ABSENT.includes(name ?? "")) return [];
      throw error;
    } finally {
      signal?.removeEventListener("abort", cancel);
    }
  };
  const records: DirectoryResolver["records"] = async (name, signal) =>
    (await ask(signal, (resolver) => resolver.resolveSrv(name)))
      .map(({ name: hostname, port, priority, weight }) => ({ hostname, port, priority, weight }));
  if (nameservers === undefined) return { records };
  return {
    records,
    addresses: async (hostname, signal) => [
      ...await ask(signal, (resolver) => resolver.resolve4(hostname)),
      ...await ask(signal, (resolver) => resolver.resolve6(hostname)),
    ],
  };
}

/** Which controllers to look for. */
export interface Wanted {
  /** The domain; the forest's root domain for a global catalog. */
  readonly domain: string;
  /** The site to prefer. */
  readonly site?: string;
  /** Whether they must have a global catalog. */
  readonly globalCatalog: boolean;
}

/** The controllers of a domain, in the order in which to try them. @throws TransportError where none are found. */
export async function locate(
  { domain, site, globalCatalog }: Wanted,
  resolver: DirectoryResolver,
  signal?: AbortSignal,
): Promise<DirectoryServer[]> {
  const kind = globalCatalog ? "gc" : "dc";
  const all = `_ldap._tcp.${kind}._msdcs.${domain}`;
  const names = site === undefined ? [all] : [`_ldap._tcp.${site}._sites.${kind}._msdcs.${domain}`, all];
  const found: DirectoryServer[] = [];
  for (const name of names) {
    let records: readonly ServiceRecord[];
    try {
      records = await resolver.records(name, signal);
    } catch (cause) {
      signal?.throwIfAborted();
      const { code, name: kind } = cause as { code?: unknown; name?: string };
      if (kind === "NotCapable" || code === "ERR_ACCESS_DENIED") {
        throw new PermissionError(
          "sockets",
          "--allow-net",
          `Cannot ask for ${name}: run again with --allow-net`,
          {
            cause,
          },
        );
      }
      throw new TransportError(
        (cause as { code?: string }).code ?? "unknown",
        `Cannot find the controllers of ${domain}: the name servers did not answer for ${name}: ` +
          `${(cause as Error).message}. Check the machine's name servers, or give options.servers`,
        { cause },
      );
    }
    for (const { hostname, port } of inOrder(records)) {
      const plain = hostname.replace(/\.$/, "").toLowerCase();
      // No host: a lone dot, which says that the domain does not offer the service, or what somebody else has written.
      if (!isHostName(plain) || port < 1 || port > 65535) continue;
      if (found.some((server) => server.hostname === plain && server.port === port)) continue;
      found.push({ hostname: plain, port });
    }
  }
  if (found.length > 0) return found.slice(0, MAX_SERVERS);
  throw new TransportError(
    "ENOTFOUND",
    `Cannot find the controllers of ${domain}: there are no SRV records ${
      names.join(" or ")
    }. Check the domain's ` +
      "name and the machine's name servers, or give options.servers",
  );
}

/** The address of a host to connect to. @throws TransportError where it has none, or no name server says it. */
export async function addressOf(
  hostname: string,
  resolver: DirectoryResolver,
  signal: AbortSignal,
): Promise<string> {
  // Left to the operating system.
  if (resolver.addresses === undefined || isIpAddress(hostname)) return hostname;
  let addresses: readonly string[];
  try {
    addresses = await resolver.addresses(hostname, signal);
  } catch (cause) {
    signal.throwIfAborted();
    throw unresolved(hostname, cause as Error);
  }
  if (addresses.length > 0) return addresses[0];
  throw unresolved(hostname, Object.assign(new Error("it has no address"), { code: "ENOTFOUND" }));
}

function unresolved(hostname: string, cause: Error & { readonly code?: string }): TransportError {
  const why = `Cannot resolve ${hostname}: ${cause.message}. Check the name, and the machine's name servers`;
  return new TransportError(cause.code ?? "unknown", why, { cause });
}

/** The records in the order of RFC 2782: by priority, and at random by weight within one. */
export function inOrder(
  records: readonly ServiceRecord[],
  random: () => number = Math.random,
): ServiceRecord[] {
  const ordered: ServiceRecord[] = [];
  for (const priority of [...new Set(records.map(({ priority }) => priority))].sort((a, b) => a - b)) {
    // Those of weight 0 first, so that they are rarely chosen where others are there.
    const left = records.filter((record) => record.priority === priority).sort((a, b) => a.weight - b.weight);
    while (left.length > 0) {
      const sum = left.reduce((sum, { weight }) => sum + weight, 0);
      const at = Math.floor(random() * (sum + 1));
      let running = 0;
      const chosen = left.findIndex(({ weight }) => (running += weight) >= at);
      ordered.push(...left.splice(Math.max(0, chosen), 1));
    }
  }
  return ordered;
}
