/**
 * Accounts that have SPNs: which one is meant, what it may write itself, and who has an SPN already.
 *
 * @module
 */

import { checkSignal, describe } from "../contexts/check.ts";
import { DirectoryError } from "../errors.ts";
import { Spn } from "../spn.ts";
import { checkText, equalText } from "./check.ts";
import { domainOf } from "./names.ts";
import type { Directory, DirectoryEntry, DirectoryFilter } from "./types.ts";

/** An account, as a directory holds it. */
export interface SpnAccount {
  /** Its distinguished name. */
  readonly dn: string;
  /** Its name in its domain: `svcweb`, `WEB1$`. */
  readonly name: string;
  /** What it is. */
  readonly kind: "user" | "computer" | "managed service account" | "other";
  /** The DNS name of its domain. */
  readonly domain: string;
}

/** Where owners of SPNs were searched for: `domain` where no global catalog could be reached. */
export type SpnScope = "forest" | "domain";

/** The attribute. */
export const SPN = "servicePrincipalName";
/** What is read of every account. */
export const ACCOUNT_ATTRIBUTES: readonly string[] = ["sAMAccountName", "objectClass"];
/** How many SPNs one search asks for. */
const CHUNK = 50;

/** What describes an account. */
export function accountOf(entry: DirectoryEntry): SpnAccount {
  const classes = entry.texts("objectClass").map((name) => name.toLowerCase());
  const kind = classes.some((name) => /^msds-(group)?managedserviceaccount$/.test(name))
    ? "managed service account"
    : classes.includes("computer")
    ? "computer"
    : classes.includes("user")
    ? "user"
    : "other";
  return Object.freeze({
    dn: entry.dn,
    name: entry.text("sAMAccountName") ?? "",
    kind,
    domain: domainIn(entry.dn),
  });
}

/** The domain in a name that a server has written; empty where it is not a distinguished name. */
function domainIn(dn: string): string {
  try {
    return domainOf(dn);
  } catch {
    return "";
  }
}

/** Finds the account that is meant, and reads `attributes` of it. */
export async function findAccount(
  directory: Directory,
  account: string,
  attributes: readonly string[],
  signal?: AbortSignal,
): Promise<DirectoryEntry> {
  const given = checkText(account, "account");
  const read = { attributes: [...ACCOUNT_ATTRIBUTES, ...attributes], signal };
  if (given.includes("=") || /^<(GUID|SID)=/i.test(given)) {
    const entry = await directory.read(given, read);
    if (entry !== null) return entry;
    throw noAccount(given, "no object has this distinguished name, or this account may not see it");
  }
  const [name, realm] = splitName(given);
  const { domain, defaultNamingContext } = directory.rootDse;
  if (realm !== undefined && realm.toLowerCase() !== domain) {
    const own = await readNetbiosName(directory, signal);
    if (own === undefined || realm.toLowerCase() !== own.toLowerCase()) {
      throw noAccount(given, `it is of another domain than ${domain}; open the directory of that one`);
    }
  }
  const names = [name, ...(name.endsWith("$") ? [] : [`${name}$`])];
  const found: DirectoryEntry[] = [];
  const filter = { or: names.map((equals) => ({ attribute: "sAMAccountName", equals })) };
  for await (const entry of directory.search({ base: defaultNamingContext, filter, ...read })) {
    found.push(entry);
  }
  // A user and a computer may have names that differ in the $ alone: what was typed is meant.
  const exact = found.find((entry) => entry.text("sAMAccountName")?.toLowerCase() === name.toLowerCase()) ??
    found[0];
  if (exact !== undefined) return exact;
  throw noAccount(given, `${domain} has no account of this name`);
}

/** The NetBIOS name of the connection's domain. */
async function readNetbiosName(
  directory: Directory,
  signal: AbortSignal | undefined,
): Promise<string | undefined> {
  const { configurationNamingContext, defaultNamingContext } = directory.rootDse;
  const base = `CN=Partitions,${configurationNamingContext}`;
  const filter = { attribute: "nCName", equals: defaultNamingContext };
  const search = { base, scope: "one", filter, attributes: ["nETBIOSName"], signal } as const;
  for await (const entry of directory.search(search)) return entry.text("nETBIOSName");
}

function splitName(given: string): [name: string, domain?: string] {
  const [before, after] = given.split("\\");
  if (given === "" || given.includes("@") || given.split("\\").length > 2 || after === "") {
    throw new TypeError(
      `account must be an account's name, such as svcweb or WEB1$, or its distinguished name, not ${
        describe(given)
      }`,
    );
  }
  return after === undefined ? [before] : [after, before];
}

function noAccount(account: string, why: string): DirectoryError {
  return new DirectoryError(
    32,
    "noSuchObject",
    `Cannot find the account ${JSON.stringify(account)}: ${why}. Give its logon name, or its ` +
      "distinguished name",
  );
}

/** SPNs as they were given, checked; of those that are equal the first. */
export function readSpns(value: unknown): Spn[] {
  if (!Array.isArray(value) || value.length === 0) {
    throw new TypeError("spns must be a list of at least one SPN, such as HTTP/web.example.test");
  }
  const spns = new Map<string, Spn>();
  for (const [index, given] of value.entries()) {
    const spn = given instanceof Spn ? given : Spn.parse(given);
    if (spn.realm !== undefined) {
      throw new TypeError(
        `spns[${index}] names a realm, which is not part of a registered SPN: leave @${spn.realm} out`,
      );
    }
    if (!spns.has(keyOf(`${spn}`))) spns.set(keyOf(`${spn}`), spn);
  }
  return [...spns.values()];
}

/** What two texts of one SPN have in common: the directory ignores case. Text that is not an SPN stays text. */
export function keyOf(text: string): string {
  try {
    return Spn.parse(text).canonical;
  } catch {
    return text.toLowerCase();
  }
}

/** Who has SPNs. */
export interface Owners {
  /** By {@linkcode keyOf}. */
  readonly byKey: ReadonlyMap<string, readonly SpnAccount[]>;
  /** Where they were searched for. */
  readonly scope: SpnScope;
}

/**
 * Runs `search` on the connection's domain, whose answer is the newest, and on a global catalog. Results of the second are
 * of accounts that the first did not find too.
 */
export async function inForest(
  directory: Directory,
  search: (directory: Directory, base: string) => Promise<void>,
  signal: AbortSignal | undefined,
): Promise<SpnScope> {
  await search(directory, directory.rootDse.defaultNamingContext);
  let catalog: Directory;
  try {
    catalog = await directory.openGlobalCatalog({ signal });
  } catch {
    signal?.throwIfAborted();
    return "domain";
  }
  try {
    await search(catalog, "");
    return "forest";
  } finally {
    await catalog.close();
  }
}

/** Finds out who has SPNs of `keys`. */
export async function findOwners(
  directory: Directory,
  spns: readonly Spn[],
  signal?: AbortSignal,
): Promise<Owners> {
  checkSignal(signal, "options.signal");
  const byKey = new Map<string, SpnAccount[]>();
  const wanted = new Set(spns.map((spn) => spn.canonical));
  const scope = await inForest(directory, async (from, base) => {
    for (let at = 0; at < spns.length; at += CHUNK) {
      const filter: DirectoryFilter = { or: spns.slice(at, at + CHUNK).flatMap(spellings) };
      const attributes = [...ACCOUNT_ATTRIBUTES, SPN];
      for await (const entry of from.search({ base, filter, attributes, signal })) {
        const account = accountOf(entry);
        for (const key of new Set(entry.texts(SPN).map(keyOf))) {
          if (!wanted.has(key)) continue;
          const owners = byKey.get(key) ?? [];
          if (!owners.some(({ dn }) => sameDn(dn, account.dn))) byKey.set(key, [...owners, account]);
        }
      }
    }
  }, signal);
  return { byKey, scope };
}

/** The ways to write one SPN that are different values in the directory: with and without a service named like its host. */
function spellings(spn: Spn): DirectoryFilter[] {
  const { serviceClass, instanceName, port, serviceName } = spn;
  const of = (parts: Parameters<typeof Spn.make>[0]): DirectoryFilter => ({
    attribute: SPN,
    equals: `${Spn.make(parts)}`,
  });
  const parts = { serviceClass, instanceName, port };
  if (serviceName === undefined) return [of(parts), of({ ...parts, serviceName: instanceName })];
  const same = serviceName.toLowerCase() === instanceName.toLowerCase();
  return same ? [of(parts), of({ ...parts, serviceName })] : [of({ ...parts, serviceName })];
}

/** Whether two distinguished names that servers wrote are of one object. */
export function sameDn(one: string, other: string): boolean {
  return equalText(one, other);
}
