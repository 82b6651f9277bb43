/**
 * Connects to a service that is found in the directory, and proves that it is the one.
 *
 * @module
 */

import { checkFunction, checkInteger, checkKeys, checkMethod, checkSignal } from "../contexts/check.ts";
import {
  AuthenticationError,
  DirectoryError,
  SecurityRequirementError,
  TimeoutError,
  TransportError,
} from "../errors.ts";
import { connect, type ConnectOptions, type SecureConn } from "../sockets/mod.ts";
import { Deadline } from "../sockets/deadline.ts";
import { quietly } from "../sockets/transport.ts";
import { addressOf, type DirectoryResolver, dnsResolver } from "./locate.ts";
import { openDirectory } from "./open.ts";
import type { DirectoryOptions } from "./options.ts";
import {
  attemptsFor,
  checkService,
  listed,
  MAX_POINTS,
  type ServiceAttempt,
  type WantedService,
} from "./service_attempts.ts";
import { quoted } from "./results.ts";
import { findServicePoints, type ServicePoint } from "./service_points.ts";
import type { Directory } from "./types.ts";

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
const DEFAULT_TIMEOUT_MS = 30_000;
/** How long one host may take while there are others to try. */
const ATTEMPT_MS = 8_000;

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
        const address = await deadline.race(addressOf(hostname, resolver, deadline.signal));
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
        if (error instanceof AuthenticationError) {
          const { reason, message } = error;
          const what = `${target}, which the connection point ${quoted(attempt.point.dn)} leads to`;
          throw new AuthenticationError(reason, `Cannot authenticate ${what}: ${message}`, { cause: error });
        }
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

/**
 * Runs `body` with a directory: the caller's, or one that is opened and closed for it. What `body` returns once the
 * deadline is over is given to `discard`.
 */
export async function withDirectory<T>(
  given: Directory | DirectoryOptions,
  deadline: Deadline,
  body: (directory: Directory) => Promise<T>,
  discard?: (late: T) => unknown,
): Promise<T> {
  if (isDirectory(given)) return await body(given);
  const signals = given.signal === undefined ? [] : [checkSignal(given.signal, "options.directory.signal")!];
  const opened = await openDirectory({ ...given, signal: AbortSignal.any([...signals, deadline.signal]) });
  try {
    return await deadline.race(body(opened), discard);
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
      : [`the keywords ${[keywords].flat().map((word) => quoted(word)).join(", ")}`]),
    ...(guid === undefined ? [] : [`the GUID ${guid}`]),
  ];
  throw new DirectoryError(
    32,
    "noSuchObject",
    `Cannot find the service ${serviceClass}: no connection point of that class has ${
      by.join(" and ") || "it"
    } ` +
      `${
        under === undefined ? "in the domain" : `below ${quoted(under)}`
      }. Publish one, or check what it is ` +
      "published with",
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

type Checked = ConnectServiceOptions & { readonly resolver: DirectoryResolver; readonly timeoutMs: number };

function readOptions(options: ConnectServiceOptions): Checked {
  checkKeys(options, KEYS, "options");
  const { service, directory, requirements, timeoutMs = DEFAULT_TIMEOUT_MS } = options;
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
