/**
 * Publishes service connection points: creates, updates and removes them.
 *
 * @module
 */

import { checkKeys, checkSignal, describe } from "../contexts/check.ts";
import { DirectoryError } from "../errors.ts";
import { Spn } from "../spn.ts";
import { checkText, isHostName } from "./check.ts";
import { escapeDn } from "./names.ts";
import { changing, quoted, takeBack } from "./results.ts";
import {
  checkGuid,
  readServicePoint,
  searchServicePoints,
  SERVICE_POINT_ATTRIBUTES,
  SERVICE_POINT_CLASS,
  type ServicePoint,
} from "./service_points.ts";
import type { AttributeValue, Directory, DirectoryChange, DirectoryEntry } from "./types.ts";

/** What {@linkcode publishServicePoint} writes. */
export interface PublishOptions {
  /**
   * The distinguished name of the object to publish under: of the computer that the service runs on, or of a container
   * or organizational unit. Not of a user: the directory refuses that.
   */
  readonly under: string;
  /** The name of the connection point, unique there: `ADSockAuth`. */
  readonly name: string;
  /** The service's class, which its SPN begins with: `ADSockAuth`. */
  readonly serviceClass: string;
  /** What clients find it by: GUIDs that stand for the vendor and the product, and names. */
  readonly keywords: readonly string[];
  /** The DNS name of the host; with `dnsNameType: "SRV"` that of its SRV records. */
  readonly dnsName: string;
  /** What `dnsName` is. Default `A`, a host. */
  readonly dnsNameType?: "A" | "SRV";
  /** How the service is reached there: a port, or values that its clients understand. */
  readonly bindingInformation: number | string | readonly string[];
  /** The `objectGUID` of the connection point to update, wherever it was moved; one that is gone is created anew. */
  readonly guid?: string;
  /** Ends the wait; its reason is rethrown unchanged. */
  readonly signal?: AbortSignal;
}

/** What was published. */
export interface PublishedServicePoint {
  /** The connection point, as read back. Keep its `guid`: it is how the next update finds it. */
  readonly point: ServicePoint;
  /** What it took. */
  readonly change: "created" | "updated" | "unchanged";
  /**
   * Takes the change back: deletes what was created, restores the values that were replaced. For installations whose
   * later steps fail. Calling it twice is harmless.
   */
  undo(): Promise<void>;
}

/** What to remove: the connection point of this `objectGUID`, wherever it was moved. */
export interface RemoveOptions {
  /** Its `objectGUID`. */
  readonly guid: string;
  /** Ends the wait; its reason is rethrown unchanged. */
  readonly signal?: AbortSignal;
}

/** The names of the options. */
export const PUBLISH_KEYS: readonly string[] = [
  ...["under", "name", "serviceClass", "keywords", "dnsName", "dnsNameType", "bindingInformation", "guid"],
  "signal",
];
/** The schema's rangeUpper of these attributes. */
const MAX_LENGTH = 256;
const encoder = new TextEncoder();
/** The most characters of a `cn`. */
const MAX_NAME = 64;
const [NO_SUCH_OBJECT, DENIED, NAMING_VIOLATION, EXISTS] = [32, 50, 64, 68];
const ADVICE: { readonly [code: number]: string } = {
  [NO_SUCH_OBJECT]: "The object to publish under does not exist: check its distinguished name",
  [DENIED]:
    "A computer may publish under its own object, as its own account; elsewhere have an administrator do it, or " +
    `delegate the right to create ${SERVICE_POINT_CLASS} objects there`,
  [NAMING_VIOLATION]:
    "A connection point cannot lie under a user: publish it under the computer that the service runs " +
    "on, or under a container or organizational unit",
  [EXISTS]: "An object of another class has that name, or one was created at this moment: choose another " +
    "name, or try again",
};

type Attributes = { readonly [attribute: string]: readonly string[] };

/**
 * Creates a connection point, or updates the one of that name or `guid`: only what differs is written, and nothing where
 * nothing differs.
 *
 * @example
 * ```ts
 * import { openDirectory, publishServicePoint } from "@winsock/secure-sockets/directory";
 *
 * async function install(): Promise<string> {
 *   await using directory = await openDirectory({ domain: "example.test" });
 *   const { point } = await publishServicePoint(directory, {
 *     under: "CN=WEB1,CN=Computers,DC=example,DC=test",
 *     name: "ADSockAuth",
 *     serviceClass: "ADSockAuth",
 *     keywords: ["a762885a-aa44-11d2-81f1-00c04fb9624e", "Auth-O-Matic"],
 *     dnsName: "web1.example.test",
 *     bindingInformation: 7777,
 *   });
 *   return point.guid;
 * }
 * console.log(typeof install);
 * ```
 * @throws TypeError or RangeError where an argument is wrong; nothing was sent.
 * @throws DirectoryError where the directory refuses; the message says who may do it, or where else it can lie.
 * @see https://learn.microsoft.com/windows/win32/ad/creating-a-service-connection-point
 */
export async function publishServicePoint(
  directory: Directory,
  options: PublishOptions,
): Promise<PublishedServicePoint> {
  checkKeys(options, PUBLISH_KEYS, "options");
  const wanted = readAttributes(options);
  const { under, name } = readPlace(options);
  const signal = checkSignal(options.signal, "options.signal");
  const guid = options.guid === undefined ? undefined : checkGuid(options.guid, "options.guid");
  const dn = `CN=${escapeDn(name)},${under}`;
  const known = guid === undefined ? null : await byGuid(directory, guid, signal);
  const existing = known ?? await readPoint(directory, dn, signal);
  if (existing === null) {
    await refusing(
      `publish the connection point ${quoted(dn)}`,
      () => directory.add(dn, { objectClass: SERVICE_POINT_CLASS, ...wanted }),
    );
    const point = await readBack(directory, dn, () => directory.delete(dn));
    return { point, change: "created", undo: once(() => remove(directory, point.guid)) };
  }
  const { point, entry } = existing;
  const differing = Object.keys(wanted).filter((key) => !sameValues(readable(entry, key), wanted[key]));
  if (differing.length === 0) return { point, change: "unchanged", undo: () => Promise.resolve() };
  await refusing(
    `update the connection point ${quoted(point.dn)}`,
    () =>
      directory.modify(
        point.dn,
        differing.map((attribute) => ({ operation: "replace", attribute, values: wanted[attribute] })),
      ),
  );
  const undo = once(async () => {
    // It may have been moved since.
    const now = await byGuid(directory, point.guid);
    const changes = differing.flatMap((attribute) => restoring(attribute, wanted[attribute], entry));
    if (now !== null) await directory.modify(now.point.dn, changes);
  });
  return { point: await readBack(directory, point.dn, undo), change: "updated", undo };
}

/**
 * Removes a connection point. Returns whether there was one. Only an object of that class is ever deleted.
 *
 * @throws TypeError where an argument is wrong; nothing was sent. DirectoryError where the directory refuses.
 */
export async function removeServicePoint(directory: Directory, options: RemoveOptions): Promise<boolean> {
  checkKeys(options, ["guid", "signal"], "options");
  const guid = checkGuid(options.guid, "options.guid");
  return await remove(directory, guid, checkSignal(options.signal, "options.signal"));
}

async function remove(directory: Directory, guid: string, signal?: AbortSignal): Promise<boolean> {
  const found = await byGuid(directory, guid, signal);
  if (found === null) return false;
  const { dn } = found.point;
  signal?.throwIfAborted();
  await refusing(`remove the connection point ${quoted(dn)}`, () => directory.delete(dn));
  return true;
}

interface Existing {
  readonly point: ServicePoint;
  readonly entry: DirectoryEntry;
}

async function byGuid(directory: Directory, guid: string, signal?: AbortSignal): Promise<Existing | null> {
  for await (const { dn } of searchServicePoints(directory, { guid, signal })) {
    const found = await readPoint(directory, dn, signal);
    // It may have been moved, and another put in its place, in between.
    if (found?.point.guid === guid) return found;
  }
  return null;
}

/** Reads the object of that name; an object of another class is one that must not be touched. */
async function readPoint(directory: Directory, dn: string, signal?: AbortSignal): Promise<Existing | null> {
  const entry = await directory.read(dn, { attributes: SERVICE_POINT_ATTRIBUTES, signal });
  if (entry === null) return null;
  const point = readServicePoint(entry);
  if (point === null) {
    throw new DirectoryError(
      EXISTS,
      "entryAlreadyExists",
      `Cannot publish the connection point ${quoted(dn)}: an object of another class has that name. Choose ` +
        "another name",
    );
  }
  return { point, entry };
}

function readable(entry: DirectoryEntry, attribute: string): readonly string[] {
  try {
    return entry.texts(attribute);
  } catch {
    // What is not text was not written here, and is replaced.
    return [];
  }
}

/** Reads what was written, and takes it back where that fails. */
async function readBack(
  directory: Directory,
  dn: string,
  undo: () => Promise<void>,
): Promise<ServicePoint> {
  try {
    const existing = await readPoint(directory, dn);
    if (existing !== null) return existing.point;
    throw new DirectoryError(
      NO_SUCH_OBJECT,
      "noSuchObject",
      `Cannot read the connection point ${
        quoted(dn)
      } back: this account may not see it, or it was removed at ` +
        "this moment. Publish it with an account that may read it",
    );
  } catch (error) {
    await takeBack(error, [`the connection point ${quoted(dn)}`, undo]);
    throw error;
  }
}

/** From what was written to what was there: refused by the directory where somebody else has changed it since. */
function restoring(attribute: string, written: readonly string[], before: DirectoryEntry): DirectoryChange[] {
  const old = new Map(before.bytes(attribute).map((value) => [`${value}`, value]));
  const added = new Map(written.map((value) => [`${encoder.encode(value)}`, value]));
  const change = (operation: "add" | "delete", values: readonly AttributeValue[]): DirectoryChange[] =>
    values.length === 0 ? [] : [{ operation, attribute, values }];
  return [
    ...change("delete", [...added].flatMap(([key, value]) => old.has(key) ? [] : [value])),
    ...change("add", [...old].flatMap(([key, value]) => added.has(key) ? [] : [value])),
  ];
}

/** Values of an attribute have no order. */
function sameValues(some: readonly string[], others: readonly string[]): boolean {
  const set = new Set(others);
  return some.length === others.length && some.every((value) => set.has(value));
}

function once(body: () => Promise<unknown>): () => Promise<void> {
  let done = false;
  return async () => {
    if (done) return;
    await body();
    done = true;
  };
}

async function refusing(doing: string, body: () => Promise<void>): Promise<void> {
  try {
    await changing(doing, body);
  } catch (error) {
    if (!(error instanceof DirectoryError) || ADVICE[error.resultCode] === undefined) throw error;
    const { resultCode, resultName } = error;
    const message = `Cannot ${doing}: the directory answered ${resultName} (${resultCode}). ${
      ADVICE[resultCode]
    }`;
    throw new DirectoryError(resultCode, resultName, message, { cause: error });
  }
}

function readPlace({ under, name }: PublishOptions): { under: string; name: string } {
  if (checkText(under, "options.under") === "") {
    throw new TypeError("options.under must be the distinguished name of the object to publish under");
  }
  if (checkText(name, "options.name") === "" || name.length > MAX_NAME) {
    throw new TypeError(`options.name must have 1 to ${MAX_NAME} characters`);
  }
  return { under, name };
}

function readAttributes(options: PublishOptions): Attributes {
  const { serviceClass, keywords, dnsName, dnsNameType = "A", bindingInformation } = options;
  const service = checkValue(serviceClass, "options.serviceClass");
  // A class that no SPN can begin with would be found, and never authenticated.
  Spn.make({ serviceClass: service, instanceName: "host" });
  if (!Array.isArray(keywords) || keywords.length === 0) {
    throw new TypeError(
      "options.keywords must be a list of at least one keyword: clients find the service by them",
    );
  }
  if (typeof dnsName !== "string" || !isHostName(dnsName)) {
    throw new TypeError(
      `options.dnsName must be a DNS name such as web1.example.test, without a dot at its end, not ${
        describe(dnsName)
      }`,
    );
  }
  if (dnsNameType !== "A" && dnsNameType !== "SRV") {
    throw new TypeError("options.dnsNameType must be A or SRV");
  }
  return {
    serviceClassName: [service],
    keywords: distinct(keywords, "options.keywords"),
    serviceDNSName: [dnsName],
    serviceDNSNameType: [dnsNameType],
    serviceBindingInformation: distinct(readBinding(bindingInformation), "options.bindingInformation"),
  };
}

function readBinding(value: PublishOptions["bindingInformation"]): readonly unknown[] {
  if (typeof value === "number") {
    if (Number.isInteger(value) && value >= 1 && value <= 65535) return [String(value)];
    throw new RangeError(`options.bindingInformation must be a port from 1 to 65535, or text, not ${value}`);
  }
  const list = typeof value === "string" ? [value] : value;
  if (Array.isArray(list) && list.length > 0) return list;
  throw new TypeError("options.bindingInformation must be a port, a text or a list of texts");
}

function distinct(values: readonly unknown[], name: string): string[] {
  const checked = values.map((value, index) => checkValue(value, `${name}[${index}]`));
  // The directory compares without regard to case, and refuses a value twice.
  return [...new Map(checked.map((value) => [value.toLowerCase(), value])).values()];
}

function checkValue(value: unknown, name: string): string {
  const text = checkText(value, name);
  if (text !== "" && text.length <= MAX_LENGTH) return text;
  throw new TypeError(`${name} must have 1 to ${MAX_LENGTH} characters`);
}
