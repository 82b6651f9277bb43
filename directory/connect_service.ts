/**
 * Connects to a service that is found in the directory, and proves that it is the one.
 *
 * @module
 */

import { checkFunction, checkInteger, checkKeys, checkMethod, describe } from "../contexts/check.ts";
import { DirectoryError, SecurityRequirementError, TimeoutError, TransportError } from "../errors.ts";
import { connect, type ConnectOptions, type SecureConn } from "../sockets/mod.ts";
import { Deadline } from "../sockets/deadline.ts";
import { quietly } from "../sockets/transport.ts";
import { Spn } from "../spn.ts";
import { type DirectoryResolver, dnsResolver, inOrder } from "./locate.ts";
import { openDirectory } from "./open.ts";
import type { DirectoryOptions } from "./options.ts";
import { equalText, findServicePoints, isHostName, type ServicePoint } from "./service_points.ts";
import type { Directory } from "./types.ts";

/** Which service to connect to. */
export interface WantedService {
  /**
   * The service's class. It must be known beforehand: it is what the SPN begins with, and what the server then proves. One
   * that is only read in the directory would be whatever somebody wrote there.
   */
  readonly serviceClass: string;
  /** Keywords that its connection point has, all of them. */
  readonly keywords?: string | readonly string[];
  /** The `objectGUID` of its connection point. */
  readonly guid?: string;
  /** Where to search: a distinguished name below which only administrators publish. Left out: the whole domain. */
  readonly under?: string;
  /** A DNS name, usually that of this computer: hosts that share more of its end are tried first. */
  readonly near?: string;
  /**
   * What the SPN is composed of. `host` (the default): the class and the host's DNS name, as of a host-based service.
   * `replicable`: also the name of the service, which is the distinguished name of its connection point, as in
   * Microsoft's sample, or the name of its SRV records. Only an administrator can register that one, so it also
   * proves that the connection point is meant.
   */
  readonly spn?: "host" | "replicable";
  /** The port; left out: the one value of the connection point's binding information. */
  readonly port?: number;
  /** Whether a connection point may be used, for rules of your own. Left out: each may. */
  readonly accept?: (point: ServicePoint) => boolean;
}

/** Options of {@linkcode connectService}: those of `connect`, with a service in the place of the host and its name. */
export interface ConnectServiceOptions
  extends Omit<ConnectOptions, "hostname" | "port" | "target" | "computer"> {
  /** The service. */
  readonly service: WantedService;
  /** The directory to search; stays open. Or how to open one, which is closed once the service is found. */
  readonly directory: Directory | DirectoryOptions;
  /** Resolves hosts and SRV records; left out: as the machine is configured. What it answers is not trusted. */
  readonly resolver?: DirectoryResolver;
  /** Called before each attempt to connect. */
  readonly onAttempt?: (attempt: ServiceAttempt) => void;
}

/** An attempt to connect to a service. */
export interface ServiceAttempt {
  /** The connection point. */
  readonly point: ServicePoint;
  /** The SPN that the server must prove. */
  readonly target: string;
  /** The host, by its DNS name. */
  readonly hostname: string;
  /** Its port. */
  readonly port: number;
}

const KEYS = [
  ...[
    "service",
    "directory",
    "resolver",
    "onAttempt",
    "credentials",
    "channelBindings",
    "requirements",
    "registry",
  ],
  ...["system", "signal", "timeoutMs"],
];
const SERVICE_KEYS = ["serviceClass", "keywords", "guid", "under", "near", "spn", "port", "accept"];
const DEFAULT_TIMEOUT_MS = 30_000;
/** How long one host may take while there are others to try. */
const ATTEMPT_MS = 8_000;
/** The most connection points that are considered. */
const MAX_POINTS = 32;
/** The most reasons that a message lists. */
const MAX_REASONS = 5;

/**
 * Finds a service in the directory, composes its SPN, connects, and verifies that both ends have authenticated.
 *
 * Nothing that is read in the directory is trusted: the SPN begins with the class that you give, its host must be a DNS
 * name, and the server must prove that SPN. A connection point that names the host of another service leads to a server
 * that cannot. The next connection point is tried where a host cannot be reached, never where one fails to authenticate.
 *
 * @example
 * ```ts
 * import { connectService } from "@winsock/secure-sockets/directory";
 *
 * async function hello(): Promise<void> {
 *   await using conn = await connectService({
 *     service: { serviceClass: "ADSockAuth", keywords: "a762885a-aa44-11d2-81f1-00c04fb9624e" },
 *     directory: { domain: "example.test" },
 *   });
 *   await conn.write(new TextEncoder().encode("hello"));
 * }
 * console.log(typeof hello);
 * ```
 * @throws TypeError or RangeError where an option is wrong; nothing was sent.
 * @throws DirectoryError where no connection point is found that can be used; the message says why for each.
 * @throws AuthenticationError where a host does not prove the SPN.
 * @throws TransportError where no host can be reached; otherwise as `connect` and {@linkcode openDirectory}.
 * @see https://learn.microsoft.com/windows/win32/ad/how-a-client-authenticates-an-scp-based-windows-sockets-service
 */
export async function connectService(options: ConnectServiceOptions): Promise<SecureConn> {
  const { service, directory, resolver, onAttempt, timeoutMs, signal, ...common } = readOptions(options);
  const deadline = new Deadline(signal, "Connecting to the service", timeoutMs);
  try {
    deadline.signal.throwIfAborted();
    const points = await withDirectory(directory, deadline, (open) => find(open, service, deadline.signal));
    const attempts = await deadline.race(attemptsFor(points, service, resolver, deadline.signal));
    const failures: Error[] = [];
    for (const [index, attempt] of attempts.entries()) {
      onAttempt?.(attempt);
      const { hostname, port, target } = attempt;
      const last = index === attempts.length - 1;
      try {
        const [address = hostname] = await deadline.race(addressesOf(hostname, resolver, deadline.signal));
        const conn = await connect({
          ...common,
          hostname: address,
          port,
          target,
          computer: `host/${hostname}`,
          timeoutMs: last ? timeoutMs : Math.min(timeoutMs, ATTEMPT_MS),
          signal: deadline.signal,
        });
        await verifyMutual(conn, target);
        return conn;
      } catch (error) {
        deadline.signal.throwIfAborted();
        const unreachable = error instanceof TransportError || error instanceof TimeoutError;
        if (!unreachable || attempts.length === 1) throw error;
        failures.push(error);
      }
    }
    throw new TransportError(
      (failures.find((error) => error instanceof TransportError) as TransportError | undefined)?.codeName ??
        "timeout",
      `Cannot connect to ${service.serviceClass}: none of its ${failures.length} hosts can be reached. ` +
        listed(failures.map(({ message }, index) => `${attempts[index].hostname}: ${message}`)),
      { cause: failures[0] },
    );
  } finally {
    deadline.end();
  }
}

/** Runs `body` with a directory: the caller's, or one that is opened and closed for it. */
export async function withDirectory<T>(
  given: Directory | DirectoryOptions,
  deadline: Deadline,
  body: (directory: Directory) => Promise<T>,
): Promise<T> {
  if (isDirectory(given)) return await body(given);
  const { signal } = deadline;
  const opened = await openDirectory({ ...given, signal: given.signal ?? signal });
  try {
    return await deadline.race(body(opened));
  } finally {
    await quietly(() => opened.close());
  }
}

/** Whether it is an open directory. */
export function isDirectory(given: Directory | DirectoryOptions): given is Directory {
  return typeof (given as Partial<Directory>).search === "function";
}

async function find(
  directory: Directory,
  service: WantedService,
  signal: AbortSignal,
): Promise<ServicePoint[]> {
  const { serviceClass, keywords, guid, under, near } = service;
  const points = await findServicePoints(directory, {
    ...{ serviceClass, keywords, guid, under, near },
    limit: MAX_POINTS,
    signal,
  });
  if (points.length > 0) return points;
  const by = [
    ...(keywords === undefined
      ? []
      : [`the keywords ${[keywords].flat().map((word) => JSON.stringify(word)).join(", ")}`]),
    ...(guid === undefined ? [] : [`the GUID ${guid}`]),
  ];
  throw new DirectoryError(
    32,
    "noSuchObject",
    `Cannot find the service ${serviceClass}: no connection point of that class has ${
      by.join(" and ") || "it"
    } ` +
      `${
        under === undefined ? "in the domain" : `below ${JSON.stringify(under)}`
      }. Publish one, or check what it is ` +
      "published with",
  );
}

/** The attempts that sound connection points lead to, in their order. @throws DirectoryError where there are none. */
async function attemptsFor(
  points: readonly ServicePoint[],
  service: WantedService,
  resolver: DirectoryResolver,
  signal: AbortSignal,
): Promise<ServiceAttempt[]> {
  const attempts = new Map<string, ServiceAttempt>();
  const reasons: string[] = [];
  for (const point of points) {
    const found = await attemptsOf(point, service, resolver, signal);
    if (typeof found === "string") reasons.push(`${JSON.stringify(point.dn)}: ${found}`);
    else {
      for (const attempt of found) {
        const key = `${attempt.hostname.toLowerCase()}:${attempt.port} ${attempt.target}`;
        if (!attempts.has(key)) attempts.set(key, attempt);
      }
    }
  }
  if (attempts.size > 0) return [...attempts.values()];
  throw new DirectoryError(
    0,
    "success",
    `Cannot use any connection point of ${service.serviceClass} that was found. ${
      listed(reasons)
    }. Have them corrected, ` +
      "or search for others",
  );
}

async function attemptsOf(
  point: ServicePoint,
  service: WantedService,
  resolver: DirectoryResolver,
  signal: AbortSignal,
): Promise<ServiceAttempt[] | string> {
  const [problem] = point.problems;
  if (problem !== undefined) return problem;
  const { dnsName, dnsNameType = "A" } = point;
  // A server that answers other than it was asked, or a class that another search found.
  if (point.serviceClass === undefined || !equalText(point.serviceClass, service.serviceClass)) {
    return `its class is ${JSON.stringify(point.serviceClass ?? "")}`;
  }
  if (dnsName === undefined || !isHostName(dnsName)) {
    return `its DNS name ${JSON.stringify(dnsName ?? "")} is none`;
  }
  if (service.accept !== undefined && service.accept(point) !== true) return "it was not accepted";
  if (equalText(dnsNameType, "SRV")) {
    return await attemptsOfRecords(point, dnsName, service, resolver, signal);
  }
  if (!equalText(dnsNameType, "A")) {
    return `its DNS name is of type ${JSON.stringify(dnsNameType)}, not A or SRV`;
  }
  const port = service.port ?? portOf(point);
  if (typeof port === "string") return port;
  const target = targetOf(service, dnsName, point.dn);
  return typeof target === "string" ? target : [{ point, target: `${target}`, hostname: dnsName, port }];
}

/**
 * Name servers are not trusted: the SPN holds the name of the records, which only hosts that an administrator has
 * registered for it can prove.
 */
async function attemptsOfRecords(
  point: ServicePoint,
  name: string,
  service: WantedService,
  resolver: DirectoryResolver,
  signal: AbortSignal,
): Promise<ServiceAttempt[] | string> {
  if (service.spn !== "replicable") {
    return 'its hosts are those of SRV records, which takes service.spn: "replicable"';
  }
  const records = inOrder(await resolver.records(name, signal)).slice(0, MAX_POINTS);
  const attempts = records.flatMap(({ hostname, port }) => {
    const host = hostname.replace(/\.$/, "");
    const target = isHostName(host) ? targetOf(service, host, name) : "";
    return typeof target === "string" ? [] : [{ point, target: `${target}`, hostname: host, port }];
  });
  return attempts.length > 0 ? attempts : `there are no SRV records ${name}`;
}

/** The SPN; where none can be composed, why. */
function targetOf(
  { serviceClass, spn = "host" }: WantedService,
  host: string,
  service: string,
): Spn | string {
  try {
    return spn === "host"
      ? Spn.compose({ serviceClass, serviceName: host })
      : Spn.compose({ serviceClass, serviceName: service, instanceName: host });
  } catch (error) {
    return `no SPN can be composed of it: ${(error as Error).message}`;
  }
}

function portOf({ bindingInformation }: ServicePoint): number | string {
  const [text, ...more] = bindingInformation;
  const port = /^[1-9][0-9]{0,4}$/.test(text ?? "") ? Number(text) : 0;
  if (more.length === 0 && port >= 1 && port <= 65535) return port;
  const said = JSON.stringify(bindingInformation.slice(0, MAX_REASONS).map((value) => value.slice(0, 32)));
  return `its binding information ${said} is not one port; give service.port`;
}

async function addressesOf(
  hostname: string,
  resolver: DirectoryResolver,
  signal: AbortSignal,
): Promise<readonly string[]> {
  if (resolver.addresses === undefined) return [];
  const addresses = await resolver.addresses(hostname, signal);
  if (addresses.length > 0) return addresses;
  throw new TransportError(
    "ENOTFOUND",
    `Cannot resolve ${hostname}: it has no address. Check the name servers, or the connection point`,
  );
}

async function verifyMutual(conn: SecureConn, target: string): Promise<void> {
  const { mutualAuthentication } = conn.security;
  if (mutualAuthentication === true) return;
  await quietly(() => conn.close());
  throw new SecurityRequirementError(
    "mutualAuthentication",
    String(mutualAuthentication),
    `Cannot connect to ${target}: it is not verified that the server proved its name. Use a provider that proves both ` +
      "ends, such as negotiate()",
  );
}

function listed(reasons: readonly string[]): string {
  const more = reasons.length - MAX_REASONS;
  return reasons.slice(0, MAX_REASONS).join("; ") + (more > 0 ? `; and ${more} more` : "");
}

type Checked = ConnectServiceOptions & { readonly resolver: DirectoryResolver; readonly timeoutMs: number };

function readOptions(options: ConnectServiceOptions): Checked {
  checkKeys(options, KEYS, "options");
  const { service, directory, requirements, timeoutMs = DEFAULT_TIMEOUT_MS } = options;
  checkKeys(service, SERVICE_KEYS, "options.service");
  checkService(service);
  if (typeof directory !== "object" || directory === null) {
    throw new TypeError("options.directory must be an open directory, or the options of openDirectory");
  }
  if (requirements?.mutualAuthentication === false) {
    throw new TypeError(
      "options.requirements.mutualAuthentication must not be false: what is found in a directory must prove its name",
    );
  }
  checkFunction(options.onAttempt, "options.onAttempt");
  checkInteger(timeoutMs, "options.timeoutMs", 1, 2 ** 31 - 1);
  const resolver = options.resolver ?? dnsResolver();
  checkMethod(resolver, "options.resolver", "records");
  return { ...options, timeoutMs, resolver };
}

function checkService({ serviceClass, keywords, guid, spn, port, accept }: WantedService): void {
  // Throws what is wrong with it.
  Spn.make({ serviceClass, instanceName: "host" });
  if (keywords === undefined && guid === undefined) {
    throw new TypeError(
      "Give options.service.keywords or options.service.guid: what its connection point is found by",
    );
  }
  if (spn !== undefined && spn !== "host" && spn !== "replicable") {
    throw new TypeError(`options.service.spn must be "host" or "replicable", not ${describe(spn)}`);
  }
  if (port !== undefined) checkInteger(port, "options.service.port", 1, 65535);
  checkFunction(accept, "options.service.accept");
}
