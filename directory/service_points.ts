/**
 * Service connection points: where a service says how it is reached. What is read of one is whatever somebody wrote into
 * the directory, and is checked before it is used.
 *
 * @module
 */

import { checkInteger, checkKeys, checkSignal, describe } from "../contexts/check.ts";
import { struct } from "../ffi/memory/struct.ts";
import { checkText, equalText, isHostName } from "./check.ts";
import type { Directory, DirectoryEntry, DirectoryFilter } from "./types.ts";

/** A service connection point, as the directory holds it. Its values are untrusted: anybody may have written them. */
export interface ServicePoint {
  /** Its `objectGUID`, which stays the same where the object is renamed or moved: keep this. */
  readonly guid: string;
  /** Its distinguished name, for now. */
  readonly dn: string;
  /** Its name (`cn`). */
  readonly name?: string;
  /** The service's class (`serviceClassName`). */
  readonly serviceClass?: string;
  /** What it is found by. */
  readonly keywords: readonly string[];
  /** The host's DNS name, or that of SRV records (`serviceDNSName`). */
  readonly dnsName?: string;
  /** What `dnsName` is: `A` for a host, `SRV` for SRV records. */
  readonly dnsNameType?: string;
  /** How the service is reached there (`serviceBindingInformation`): usually one value, a port. */
  readonly bindingInformation: readonly string[];
  /** Why attributes of it cannot be used, each as a sentence; those are left out. Empty for a sound one. */
  readonly problems: readonly string[];
}

/** What to search for. At least one of `keywords`, `serviceClass` and `guid` is given; all that are given must match. */
export interface ServicePointQuery {
  /** Keywords that the connection point has, all of them: GUIDs or names. The case of letters is ignored. */
  readonly keywords?: string | readonly string[];
  /** Its service class. */
  readonly serviceClass?: string;
  /** Its `objectGUID`, which finds it wherever it was moved. */
  readonly guid?: string;
  /** Where to search: a distinguished name. Left out: the domain, or the forest in a global catalog. */
  readonly under?: string;
  /** Ends the search; its reason is rethrown unchanged. */
  readonly signal?: AbortSignal;
}

/** Options of {@linkcode findServicePoints}. */
export interface FindServicePointsOptions extends ServicePointQuery {
  /** A DNS name, usually that of this computer: hosts that share more of its end come first. */
  readonly near?: string;
  /** The most connection points to return, 1 to 10,000: the first in the order. Default 100. Only as many are held. */
  readonly limit?: number;
}

/** The class of the objects. */
export const SERVICE_POINT_CLASS = "serviceConnectionPoint";
/** The attributes that are read. */
export const SERVICE_POINT_ATTRIBUTES: readonly string[] = [
  "objectGUID",
  "objectClass",
  "cn",
  "serviceClassName",
  "keywords",
  "serviceDNSName",
  "serviceDNSNameType",
  "serviceBindingInformation",
];

const QUERY_KEYS = ["keywords", "serviceClass", "guid", "under", "signal"];
const FIND_KEYS = [...QUERY_KEYS, "near", "limit"];
const [DEFAULT_LIMIT, MAX_LIMIT] = [100, 10_000];
/** More values of one attribute than a directory lets an object have (some 1,200) are not read by anyone. */
const MAX_VALUES = 2_000;
/** The longest value the schema allows an attribute of a connection point to have, with room. */
const MAX_UNITS = 1_024;
const GUID_TEXT = /^\{?([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\}?$/i;
const GUID = struct("GUID", { value: "guid" });

/** A GUID as 36 characters in lower case. @throws TypeError where it is none. */
export function checkGuid(value: unknown, name: string): string {
  const match = typeof value === "string" ? GUID_TEXT.exec(value) : null;
  if (match) return match[1].toLowerCase();
  throw new TypeError(
    `${name} must be a GUID such as a762885a-aa44-11d2-81f1-00c04fb9624e, not ${describe(value)}`,
  );
}

/** The bytes of a GUID, as the directory holds them. */
export function guidBytes(guid: string): Uint8Array {
  const bytes = new Uint8Array(GUID.size);
  GUID.write(new DataView(bytes.buffer), { value: guid });
  return bytes;
}

/** Reads a connection point. `null` where the object is none: it has no GUID, or is of another class. */
export function readServicePoint(entry: DirectoryEntry): ServicePoint | null {
  const [bytes] = entry.bytes("objectGUID");
  if (bytes?.length !== GUID.size) return null;
  const problems: string[] = [];
  const many = (attribute: string): string[] => {
    let values: readonly string[];
    try {
      values = entry.texts(attribute);
    } catch {
      problems.push(`${attribute} has a value that is not text`);
      return [];
    }
    if (values.length > MAX_VALUES) {
      problems.push(`${attribute} has ${values.length} values, more than ${MAX_VALUES}`);
      return [];
    }
    const usable = values.filter((value) => value.length <= MAX_UNITS);
    if (usable.length < values.length) {
      problems.push(`${attribute} has a value of more than ${MAX_UNITS} characters`);
    }
    return usable;
  };
  const one = (attribute: string): string | undefined => {
    const values = many(attribute);
    if (values.length <= 1) return values[0];
    problems.push(`${attribute} has ${values.length} values where one is expected`);
    return undefined;
  };
  if (!many("objectClass").some((name) => equalText(name, SERVICE_POINT_CLASS))) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const found = {
    name: one("cn"),
    serviceClass: one("serviceClassName"),
    dnsName: one("serviceDNSName"),
    dnsNameType: one("serviceDNSNameType"),
  };
  const present = Object.fromEntries(Object.entries(found).filter(([, value]) => value !== undefined));
  return Object.freeze({
    guid: GUID.read(view).value,
    dn: entry.dn,
    ...present,
    keywords: Object.freeze(many("keywords")),
    bindingInformation: Object.freeze(many("serviceBindingInformation")),
    problems: Object.freeze(problems),
  });
}

/**
 * Searches for connection points page by page, in the order in which the directory returns them. As many are in memory as
 * a page has, however many match.
 *
 * @throws TypeError where an argument is wrong; nothing was sent. Otherwise as `directory.search`.
 */
export async function* searchServicePoints(
  directory: Directory,
  query: ServicePointQuery,
): AsyncGenerator<ServicePoint, void, undefined> {
  checkKeys(query, QUERY_KEYS, "query");
  const { filter, under, signal } = readQuery(query, "query");
  const search = { ...(under === undefined ? {} : { base: under }), filter, signal };
  for await (const entry of directory.search({ ...search, attributes: SERVICE_POINT_ATTRIBUTES })) {
    const point = readServicePoint(entry);
    if (point !== null) yield point;
  }
}

/**
 * Finds connection points and puts them in order: those whose host is nearest to `near` first, that is, shares most
 * labels of its DNS name's end; then by DNS name, by name and by GUID. The same directory gives the same order.
 *
 * Who may create objects anywhere in the directory may publish a connection point with any keyword and any host. What
 * proves the service is the SPN that is made of a service class that you know: see {@linkcode connectService}. `under`
 * limits the search to where only administrators publish.
 *
 * @example
 * ```ts
 * import { findServicePoints, openDirectory } from "@winsock/secure-sockets/directory";
 *
 * async function list(): Promise<void> {
 *   await using directory = await openDirectory({ domain: "example.test" });
 *   const keywords = "a762885a-aa44-11d2-81f1-00c04fb9624e";
 *   for (const { dnsName, bindingInformation } of await findServicePoints(directory, { keywords })) {
 *     console.log(dnsName, bindingInformation);
 *   }
 * }
 * console.log(typeof list);
 * ```
 * @throws TypeError or RangeError where an argument is wrong; nothing was sent. Otherwise as `directory.search`.
 * @see https://learn.microsoft.com/windows/win32/ad/how-clients-find-and-use-a-service-connection-point
 */
export async function findServicePoints(
  directory: Directory,
  options: FindServicePointsOptions,
): Promise<ServicePoint[]> {
  checkKeys(options, FIND_KEYS, "options");
  const { near, limit = DEFAULT_LIMIT, ...query } = options;
  checkInteger(limit, "options.limit", 1, MAX_LIMIT);
  if (near !== undefined && !isHostName(checkText(near, "options.near"))) {
    throw new TypeError(`options.near must be the DNS name of a host, not ${describe(near)}`);
  }
  readQuery(query, "options");
  const compare = orderBy(near);
  let found: ServicePoint[] = [];
  for await (const point of searchServicePoints(directory, query)) {
    found.push(point);
    // Twice the limit at most is held, and sorted seldom.
    if (found.length >= 2 * limit) found = found.sort(compare).slice(0, limit);
  }
  return found.sort(compare).slice(0, limit);
}

function orderBy(near: string | undefined): (one: ServicePoint, other: ServicePoint) => number {
  const labels = (name: string) => name.toLowerCase().split(".").reverse();
  const wanted = near === undefined ? [] : labels(near);
  const shared = ({ dnsName }: ServicePoint): number => {
    if (dnsName === undefined) return -1;
    const its = labels(dnsName);
    const differs = wanted.findIndex((label, index) => label !== its[index]);
    return differs < 0 ? wanted.length : differs;
  };
  const keys = (point: ServicePoint) => [point.dnsName?.toLowerCase() ?? "", point.name ?? "", point.guid];
  return (one, other) => {
    const nearer = shared(other) - shared(one);
    if (nearer !== 0) return nearer;
    const [mine, its] = [keys(one), keys(other)];
    const at = mine.findIndex((key, index) => key !== its[index]);
    return at < 0 ? 0 : mine[at] < its[at] ? -1 : 1;
  };
}

function readQuery(
  { keywords, serviceClass, guid, under, signal }: ServicePointQuery,
  name: string,
): { filter: DirectoryFilter; under?: string; signal?: AbortSignal } {
  const list = keywords === undefined ? [] : typeof keywords === "string" ? [keywords] : keywords;
  if (!Array.isArray(list)) throw new TypeError(`${name}.keywords must be a keyword or a list of keywords`);
  const parts: DirectoryFilter[] = list.map((keyword: unknown, index) => {
    const equals = checkText(keyword, `${name}.keywords[${index}]`);
    if (equals === "") throw new TypeError(`${name}.keywords[${index}] must not be empty`);
    return { attribute: "keywords", equals };
  });
  if (serviceClass !== undefined) {
    const equals = checkText(serviceClass, `${name}.serviceClass`);
    if (equals === "") throw new TypeError(`${name}.serviceClass must not be empty`);
    parts.push({ attribute: "serviceClassName", equals });
  }
  if (guid !== undefined) {
    parts.push({ attribute: "objectGUID", equals: guidBytes(checkGuid(guid, `${name}.guid`)) });
  }
  if (parts.length === 0) {
    throw new TypeError(`Give ${name}.keywords, ${name}.serviceClass or ${name}.guid: what to search for`);
  }
  if (under !== undefined && checkText(under, `${name}.under`) === "") {
    throw new TypeError(`${name}.under must not be empty; leave it out to search the whole domain`);
  }
  const filter = { and: [{ attribute: "objectClass", equals: SERVICE_POINT_CLASS }, ...parts] };
  return { filter, under, signal: checkSignal(signal, `${name}.signal`) };
}
