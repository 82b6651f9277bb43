/**
 * What runs on Deno for Windows: measures everything in this one process, prints the table as it comes, and leaves
 * its rows in a file.
 *
 * @module
 */

import { measureAll } from "../results.ts";
import type { Measured } from "../rounds.ts";
import { needsRealm, WINDOWS_COLUMNS, WINDOWS_MEASURES } from "./measures.ts";
import { cSspi, librarySspi } from "./sspi.ts";
import { denoTcp, isTcp, libraryTcp } from "./tcp.ts";

/** Its first argument, as JSON. */
export interface Subject {
  /** The names of the measures. */
  readonly names: readonly string[];
  /** How often to take turns. */
  readonly rounds: number;
  /** How long each turn lasts, in milliseconds. */
  readonly ms: number;
  /** Whether this is Wine. */
  readonly wine: boolean;
  /** The C program; null where there is no program and no realm. */
  readonly library: string | null;
  /** Where the rows go, as JSON. */
  readonly rows: string;
}

/** One peer of two, each with requests of its own. */
function either(tcp: Measured, sspi: Measured): Measured {
  return { name: tcp.name, measure: (request, ms) => (isTcp(request) ? tcp : sspi).measure(request, ms) };
}

if (import.meta.main) {
  const subject: Subject = JSON.parse(Deno.args[0]);
  const { wine, library } = subject;
  const measures = WINDOWS_MEASURES.filter((each) =>
    subject.names.includes(each.name) && (library !== null || !needsRealm(each))
  );
  const ours = library === null ? libraryTcp() : either(libraryTcp(), librarySspi(wine));
  const peers = [denoTcp(), ours, ...library === null ? [] : [cSspi(library, wine)]];
  const rows = await measureAll(measures, peers, subject, WINDOWS_COLUMNS);
  await Deno.writeTextFile(subject.rows, JSON.stringify(rows));
  Deno.exit(0);
}
