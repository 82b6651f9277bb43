/**
 * Follows a search into the other partitions of the forest. A referral's host is never connected to: the forest's own list
 * of partitions says which domain holds a name, and its controllers are found and proved as always.
 *
 * @module
 */

import { DirectoryError } from "../errors.ts";
import { parseDn } from "./names.ts";
import { quoted, resultName } from "./results.ts";
import type { Directory, DirectoryEntry, DirectorySearch } from "./types.ts";

/** `systemFlags` of a partition: it is of this forest, and a domain. */
const [OF_FOREST, DOMAIN] = [1, 2];
/** The most partitions of one search. */
const MAX_PARTITIONS = 1000;
const REFERRAL = 10;

/** A directory whose pages can be read one partition at a time. */
export interface Partitioned extends Directory {
  /** Searches one partition, and adds where the search goes on to `references`. */
  pages(search: DirectorySearch, references: string[]): AsyncGenerator<DirectoryEntry, void, undefined>;
  /** Opens a controller of another domain of the forest, with the same credentials and protection. */
  openDomain(domain: string, signal?: AbortSignal): Promise<Partitioned>;
}

/** A partition of the forest. */
interface Partition {
  readonly dn: readonly string[];
  /** The DNS name of the domain; `null` where it is not a domain. */
  readonly domain: string | null;
}

/** Searches a directory and every partition of the forest that it refers to. */
export async function* searchForest(
  directory: Partitioned,
  search: DirectorySearch,
): AsyncGenerator<DirectoryEntry, void, undefined> {
  const references: string[] = [];
  yield* directory.pages(search, references);
  if (references.length === 0) return;
  const partitions = await readPartitions(directory, search.signal);
  const held = new Set(directory.rootDse.namingContexts.map((name) => pathOf(name)?.join()));
  const seen = new Set<string>();
  // What a partition refers to is added while the list is read.
  for (const reference of references) {
    const base = nameOf(reference);
    const path = base === null ? null : pathOf(base);
    const partition = path === null ? undefined : partitions.find(({ dn }) => endsWith(path, dn));
    if (base === null || path === null || partition === undefined) throw outside(reference);
    if (seen.has(path.join()) || seen.size >= MAX_PARTITIONS) continue;
    seen.add(path.join());
    const scope = search.scope === "one" ? "base" : search.scope;
    const below: DirectorySearch = { ...search, base, scope };
    if (held.has(partition.dn.join())) {
      yield* directory.pages(below, references);
    } else if (partition.domain === null) {
      throw outside(reference);
    } else {
      await using other = await directory.openDomain(partition.domain, search.signal);
      yield* other.pages(below, references);
    }
  }
}

/** The forest's partitions, those with the longest names first. */
async function readPartitions(directory: Partitioned, signal: AbortSignal | undefined): Promise<Partition[]> {
  const base = `CN=Partitions,${directory.rootDse.configurationNamingContext}`;
  const filter = { attribute: "objectClass", equals: "crossRef" };
  const search = {
    base,
    scope: "one",
    filter,
    attributes: ["nCName", "dnsRoot", "systemFlags"],
    signal,
  } as const;
  const found: Partition[] = [];
  for await (const entry of directory.pages(search, [])) {
    const flags = Number(entry.text("systemFlags") ?? 0);
    const dn = pathOf(entry.text("nCName") ?? "?");
    if (dn === null || (flags & OF_FOREST) === 0) continue;
    const [domain] = entry.texts("dnsRoot");
    found.push({ dn, domain: (flags & DOMAIN) === 0 ? null : domain?.toLowerCase() ?? null });
  }
  return found.sort((a, b) => b.dn.length - a.dn.length);
}

/** A distinguished name's parts, comparable; `null` where it is not one. */
function pathOf(dn: string): readonly string[] | null {
  try {
    return parseDn(dn).map(({ type, value }) => JSON.stringify([type.toLowerCase(), value.toLowerCase()]));
  } catch {
    return null;
  }
}

function endsWith(path: readonly string[], end: readonly string[]): boolean {
  const from = path.length - end.length;
  return end.length > 0 && from >= 0 && end.every((part, index) => path[from + index] === part);
}

/** The distinguished name in an LDAP URL (RFC 4516), or that was searched; `null` where there is none. */
function nameOf(reference: string): string | null {
  const url = /^ldaps?:\/\/[^/]*\/([^?]*)/i.exec(reference);
  if (url === null) return reference;
  try {
    return url[1] === "" ? null : decodeURIComponent(url[1]);
  } catch {
    return null;
  }
}

function outside(reference: string): DirectoryError {
  return new DirectoryError(
    REFERRAL,
    resultName(REFERRAL),
    `Cannot follow the referral to ${quoted(reference)}: it is not of a domain of this forest, ` +
      "and was not connected to. Search there by a directory of its own, or leave followReferrals out",
  );
}
