/**
 * Makes attempts to connect of connection points, whose values are not trusted.
 *
 * @module
 */

import { checkFunction, checkInteger, checkKeys } from "../contexts/check.ts";
import { DirectoryError } from "../errors.ts";
import { Deadline } from "../sockets/deadline.ts";
import { Spn } from "../spn.ts";
import { equalText, isHostName } from "./check.ts";
import { checkForm, serviceSpn, type ServiceSpnForm } from "./install.ts";
import { type DirectoryResolver, inOrder, type ServiceRecord } from "./locate.ts";
import { printable, quoted } from "./results.ts";
import type { ServicePoint } from "./service_points.ts";

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
  readonly spn?: ServiceSpnForm;
  /** The port; left out: the one value of the connection point's binding information. */
  readonly port?: number;
  /** Whether a connection point may be used, for rules of your own. Left out: each may. */
  readonly accept?: (point: ServicePoint) => boolean;
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

const SERVICE_KEYS = ["serviceClass", "keywords", "guid", "under", "near", "spn", "port", "accept"];
/** The most connection points, and the most SRV records of one, that are considered. */
export const MAX_POINTS = 32;
/** How long name servers may take for the SRV records of one connection point. */
const RECORDS_MS = 5_000;
/** The most reasons that a message lists. */
const MAX_REASONS = 5;

/** Checks which service is wanted. @throws TypeError, RangeError. */
export function checkService(service: WantedService): void {
  checkKeys(service, SERVICE_KEYS, "options.service");
  const { serviceClass, keywords, guid, spn, port, accept } = service;
  // Throws what is wrong with it.
  Spn.make({ serviceClass, instanceName: "host" });
  if (keywords === undefined && guid === undefined) {
    throw new TypeError(
      "Give options.service.keywords or options.service.guid: what its connection point is found by",
    );
  }
  checkForm(spn, "options.service.spn");
  if (port !== undefined) checkInteger(port, "options.service.port", 1, 65535);
  checkFunction(accept, "options.service.accept");
}

/** The attempts that sound connection points lead to, in their order. @throws DirectoryError where there are none. */
export async function attemptsFor(
  points: readonly ServicePoint[],
  service: WantedService,
  resolver: DirectoryResolver,
  signal: AbortSignal,
): Promise<ServiceAttempt[]> {
  const attempts = new Map<string, ServiceAttempt>();
  const reasons: string[] = [];
  // All at once: the name servers of one connection point may take their time, and be its publisher's.
  const all = await Promise.all(points.map((point) => attemptsOf(point, service, resolver, signal)));
  for (const [index, point] of points.entries()) {
    const found = all[index];
    if (typeof found === "string") reasons.push(`${quoted(point.dn)}: ${found}`);
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
    return `its class is ${quoted(point.serviceClass ?? "")}`;
  }
  if (dnsName === undefined || !isHostName(dnsName)) {
    return `its DNS name ${quoted(dnsName ?? "")} is none`;
  }
  if (service.accept !== undefined && service.accept(point) !== true) return "it was not accepted";
  if (equalText(dnsNameType, "SRV")) {
    return await attemptsOfRecords(point, dnsName, service, resolver, signal);
  }
  if (!equalText(dnsNameType, "A")) {
    return `its DNS name is of type ${quoted(dnsNameType)}, not A or SRV`;
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
  const deadline = new Deadline(signal, `Asking for ${name}`, RECORDS_MS);
  let records: readonly ServiceRecord[];
  try {
    records = await deadline.race(resolver.records(name, deadline.signal));
  } catch (error) {
    signal.throwIfAborted();
    return `name servers did not answer for ${quoted(name)}: ${printable((error as Error).message)}`;
  } finally {
    deadline.end();
  }
  const attempts = inOrder(records).slice(0, MAX_POINTS).flatMap(({ hostname, port }) => {
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
    return serviceSpn(spn, serviceClass, host, service);
  } catch (error) {
    return `no SPN can be composed of it: ${(error as Error).message}`;
  }
}

function portOf({ bindingInformation }: ServicePoint): number | string {
  const [text, ...more] = bindingInformation;
  const port = /^[1-9][0-9]{0,4}$/.test(text ?? "") ? Number(text) : 0;
  if (more.length === 0 && port >= 1 && port <= 65535) return port;
  const said = bindingInformation.slice(0, MAX_REASONS).map(quoted).join(", ");
  return `its binding information ${said} is not one port; give service.port`;
}

/** Reasons as one text; the first few. */
export function listed(reasons: readonly string[]): string {
  const more = reasons.length - MAX_REASONS;
  return reasons.slice(0, MAX_REASONS).join("; ") + (more > 0 ? `; and ${more} more` : "");
}
