/** A directory that holds what no schema allows: for values that a hostile server, or another one, may return. */

import { Entry } from "../../directory/entries.ts";
import type { Directory } from "../../directory/mod.ts";

/** Values by attribute; text is sent in UTF-8. */
export interface FakeValues {
  readonly [attribute: string]: string | Uint8Array | readonly (string | Uint8Array)[];
}

const encoder = new TextEncoder();

/** An object as a server returns it. */
export function fakeEntry(dn: string, values: FakeValues): Entry {
  const bytes = (value: string | Uint8Array) => typeof value === "string" ? encoder.encode(value) : value;
  return new Entry(
    dn,
    Object.entries(values).map(([type, given]) => ({
      type,
      values: (typeof given === "string" || given instanceof Uint8Array ? [given] : given).map(bytes),
    })),
  );
}

/** A directory whose searches return all of `entries`, whatever is asked for. It can do nothing else. */
export function fakeDirectory(entries: Iterable<Entry>): Directory {
  return {
    async *search() {
      yield* entries;
    },
  } as Partial<Directory> as Directory;
}

/** A directory of a forest of one domain, which holds `entries`; each search returns all of them. */
export function fakeForest(entries: readonly Entry[]): Directory {
  const directory = {
    ...fakeDirectory(entries),
    rootDse: { defaultNamingContext: "DC=test", configurationNamingContext: "CN=Configuration,DC=test" },
    read: (dn: string) => Promise.resolve(entries.find((entry) => entry.dn === dn) ?? null),
    openGlobalCatalog: () => Promise.reject(new Error("There is none")),
  };
  return directory as unknown as Directory;
}
