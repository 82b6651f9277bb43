/**
 * Opens directories: finds a server, connects, and binds.
 *
 * @module
 */

import { connect as connectSocket, type Socket } from "node:net";
import { connect as connectTls, type TLSSocket } from "node:tls";
import type { Duplex } from "node:stream";
import type { ChannelBindings, SecurityInfo } from "../contract.ts";
import {
  AuthenticationError,
  DirectoryError,
  ProtocolError,
  TimeoutError,
  TransportError,
} from "../errors.ts";
import { socketFailure } from "../ffi/transport/failure.ts";
import { saslClient } from "../sasl/mod.ts";
import { Deadline } from "../sockets/deadline.ts";
import { saslBind, simpleBind, startTls } from "./bind.ts";
import { addressOf, locate } from "./locate.ts";
import { printable } from "./results.ts";
import { type DirectoryOptions, overTls, readOptions, type Terms } from "./options.ts";
import type { Directory, DirectoryServer, RootDse } from "./types.ts";

/** How long one server may take, so that one that does not answer does not take the time of all. */
const SERVER_MS = 8_000;
const PORTS = { plain: 389, tls: 636, globalCatalog: 3268, globalCatalogTls: 3269 } as const;
/** What makes the next server worth trying: this one cannot serve now, or cannot prove its name. */
const OTHER_SERVER = ["busy", "unavailable", "operationsError"];
const OTHER_NAME = ["unknown-target", "wrong-target"];

/**
 * Connects to a directory, and binds with a proof of both ends' identities. The next server is tried where one cannot
 * be reached or cannot prove its name, but not where it refuses the credentials.
 *
 * @throws TypeError or RangeError where an option is wrong; nothing was sent.
 * @throws AuthenticationError where a server refuses the credentials, or there are none.
 * @throws TransportError where no server can be found or used; the message names each and why.
 * @throws TimeoutError after `timeoutMs`; ProviderNotFoundError, PermissionError; DirectoryError where the server refuses
 * the kind of bind; the signal's reason, unchanged.
 *
 * @example
 * ```ts
 * import { openDirectory } from "@winsock/secure-sockets/directory";
 *
 * async function computers(): Promise<void> {
 *   await using directory = await openDirectory({ domain: "example.test" });
 *   const filter = { attribute: "objectCategory", equals: "computer" } as const;
 *   for await (const computer of directory.search({ filter, attributes: ["dNSHostName"] })) {
 *     console.log(computer.dn, computer.text("dNSHostName"));
 *   }
 * }
 * console.log(typeof computers);
 * ```
 */
export async function openDirectory(options: DirectoryOptions): Promise<Directory> {
  const terms = readOptions(options);
  const deadline = new Deadline(terms.signal, "Opening the directory", terms.timeoutMs);
  try {
    const wanted = { domain: terms.domain!, site: terms.site, globalCatalog: terms.globalCatalog };
    const servers = terms.servers ??
      trustworthy(await deadline.race(locate(wanted, terms.resolver, deadline.signal)), terms);
    const failures: [DirectoryServer, Error][] = [];
    for (const server of servers) {
      try {
        return await openServer(server, terms, options, deadline.signal);
      } catch (error) {
        deadline.signal.throwIfAborted();
        if (servers.length === 1 || !anotherMayServe(error)) throw error;
        failures.push([server, error as Error]);
      }
    }
    throw noServer(failures);
  } finally {
    deadline.end();
  }
}

/** A certificate proves a name, and not that the name is a controller's: a password goes to names of the domain only. */
function trustworthy(
  servers: readonly DirectoryServer[],
  { simple, domain }: Terms,
): readonly DirectoryServer[] {
  if (simple === undefined) return servers;
  const inside = servers.filter(({ hostname }) => hostname.endsWith(`.${domain}`));
  if (inside.length > 0) return inside;
  throw new TransportError(
    "ENOTFOUND",
    `Cannot show the password to the servers that DNS names for ${domain}: ${
      servers.map(({ hostname }) => hostname).join(", ")
    } ` +
      "are not names of the domain. Give options.servers, or bind without options.simple",
  );
}

function anotherMayServe(error: unknown): boolean {
  if (error instanceof AuthenticationError) return OTHER_NAME.includes(error.reason);
  if (error instanceof DirectoryError) return OTHER_SERVER.includes(error.resultName);
  return error instanceof TransportError || error instanceof TimeoutError || error instanceof ProtocolError;
}

function noServer(failures: readonly (readonly [DirectoryServer, Error])[]): TransportError {
  const each = failures.map(([{ hostname }, { message }]) => `\n  ${hostname}: ${message}`).join("");
  const [[, cause]] = failures;
  const codeName = cause instanceof TransportError ? cause.codeName : "unavailable";
  return new TransportError(
    codeName,
    `Cannot open the directory: none of ${failures.length} servers serves:${each}`,
    {
      cause,
    },
  );
}

async function openServer(
  server: DirectoryServer,
  terms: Terms,
  options: DirectoryOptions,
  signal: AbortSignal,
): Promise<Directory> {
  const { security, globalCatalog } = terms;
  const { hostname } = server;
  const port = portOf(server, terms);
  const deadline = new Deadline(signal, `Connecting to ${hostname}:${port}`, SERVER_MS);
  let stream: Duplex | null = null;
  try {
    const socket = await connectTcp(server, port, terms, deadline);
    stream = socket;
    if (security === "starttls") await deadline.race(startTls(socket));
    let channelBindings: ChannelBindings | undefined;
    if (overTls(security)) {
      const secured = await overSocket(socket, hostname, terms, deadline);
      stream = secured;
      channelBindings = { type: "tls-server-end-point", certificate: certificateOf(secured) };
    }
    let context: SecurityInfo | undefined;
    if (terms.simple !== undefined) {
      await deadline.race(simpleBind(stream, terms.simple.name, terms.simple.password));
    } else {
      const { credentials, registry, system } = terms;
      using sasl = await saslClient({
        mechanism: "GSS-SPNEGO",
        target: terms.target ?? targetOf(hostname, terms),
        layers: [overTls(security) ? "none" : security === "sign" ? "integrity" : "confidentiality"],
        ...{ credentials, registry, system, channelBindings, signal: deadline.signal },
      });
      await deadline.race(saslBind(stream, sasl));
      context = sasl.context.security;
      stream = sasl.protect(stream);
    }
    // Loaded here, so that importing ./directory loads no LDAP library.
    const { openClient } = await import("./ldap_client.ts");
    const bound = {
      stream,
      server: { hostname, port },
      security: { protection: security, ...(context === undefined ? {} : { context }) },
      timeoutMs: terms.timeoutMs,
      globalCatalog,
      openGlobalCatalog: (root: RootDse, signal?: AbortSignal) => {
        const { servers: _, ...rest } = options;
        // This server, where it has one; else those that DNS knows.
        const here = root.isGlobalCatalogReady ? { servers: [{ hostname, address: server.address }] } : {};
        return openDirectory({ ...rest, ...here, domain: root.forest, globalCatalog: true, signal });
      },
      openDomain: (domain: string, signal?: AbortSignal) => {
        const { servers: _, site: __, ...rest } = options;
        return openDirectory({ ...rest, domain, globalCatalog: false, signal });
      },
    };
    const directory = await openClient(bound, deadline.signal);
    stream = null;
    try {
      checkServed(directory, terms);
    } catch (error) {
      await directory.close();
      throw error;
    }
    return directory;
  } finally {
    deadline.end();
    stream?.destroy();
  }
}

/** What is searched must be what was asked for, whatever names the server can prove. */
function checkServed({ rootDse, server }: Directory, { domain, globalCatalog }: Terms): void {
  const served = globalCatalog ? rootDse.forest : rootDse.domain;
  if (domain === undefined || served === domain) return;
  throw new ProtocolError(
    "unexpected-message",
    `${server.hostname} serves the ${globalCatalog ? "forest" : "domain"} ${
      printable(served)
    }, not ${domain}. Give ` +
      "that one as options.domain, or another server",
  );
}

/** SRV records name LDAP's port, never that of LDAPS. */
function portOf({ port }: DirectoryServer, { security, globalCatalog, servers }: Terms): number {
  const usual = security === "ldaps"
    ? globalCatalog ? PORTS.globalCatalogTls : PORTS.tls
    : globalCatalog
    ? PORTS.globalCatalog
    : PORTS.plain;
  return servers === undefined && security === "ldaps" ? usual : port ?? usual;
}

/** The names that only controllers have, where the domain is known ([MS-DRSR] 2.2.4.2). */
function targetOf(hostname: string, { domain, globalCatalog }: Terms): string {
  if (domain === undefined) return `ldap/${hostname}`;
  return globalCatalog ? `GC/${hostname}/${domain}` : `ldap/${hostname}/${domain}`;
}

async function connectTcp(
  { hostname, address }: DirectoryServer,
  port: number,
  { resolver }: Terms,
  deadline: Deadline,
): Promise<Socket> {
  const host = address ?? await deadline.race(addressOf(hostname, resolver, deadline.signal));
  const socket = connectSocket({ host, port, noDelay: true });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const what = `connect to ${hostname}:${port}`;
  // The listener stays: an error without one would end the process.
  socket.once("connect", resolve).on(
    "error",
    (error) => reject(socketFailure(error, what, `${host}:${port}`)),
  );
  try {
    await deadline.race(promise);
    return socket;
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

async function overSocket(
  socket: Socket,
  hostname: string,
  { ca }: Terms,
  deadline: Deadline,
): Promise<TLSSocket> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const secured = connectTls({
    socket,
    servername: hostname,
    minVersion: "TLSv1.2",
    // Said, so that NODE_TLS_REJECT_UNAUTHORIZED does not say otherwise.
    rejectUnauthorized: true,
    ...(ca === undefined ? {} : { ca }),
  });
  secured.once("secureConnect", resolve).on("error", (cause: Error & { code?: string }) => {
    reject(
      new TransportError(
        cause.code ?? "TLS",
        `Cannot secure the connection to ${hostname} by TLS: ${cause.message}. The certificate must be ${hostname}'s, ` +
          "from an authority that is trusted here: give the authority's in options.ca",
        { cause },
      ),
    );
  });
  try {
    await deadline.race(promise);
    return secured;
  } catch (error) {
    secured.destroy();
    throw error;
  }
}

function certificateOf(secured: TLSSocket): Uint8Array {
  const { raw } = secured.getPeerCertificate();
  return new Uint8Array(raw);
}
