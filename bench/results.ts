/**
 * Prints the results, and saves them where that was asked for.
 *
 * @module
 */

import { mustRun } from "../scripts/process.ts";
import type { Measure } from "./measure.ts";
import { type Measured, takeTurns, type Turns } from "./rounds.ts";
import { type Columns, markdown, type Row, rowsOf, textLine } from "./table.ts";

/** Measures everything, and prints each line of the table as it comes. */
export async function measureAll(
  measures: readonly Measure[],
  peers: readonly Measured[],
  turns: Turns,
  columns: Columns,
): Promise<Row[]> {
  const rows: Row[] = [];
  console.log(textLine(null, columns));
  for (const one of measures) {
    for (const row of rowsOf(one, await takeTurns(one, peers, turns), columns)) {
      rows.push(row);
      console.log(textLine(row, columns));
    }
  }
  return rows;
}

/** Today, as results are dated. */
export function today(): string {
  return new Date().toISOString().slice(0, 10);
}

/** A page of results. */
export interface Page {
  /** The command that makes it. */
  readonly command: string;
  /** Machine, load and versions, in sentences. */
  readonly circumstances: string;
  /** What was measured. */
  readonly rows: readonly Row[];
  /** What its table shows. */
  readonly columns: Columns;
  /** How to read it. */
  readonly notes: string;
}

/** Writes a page of results to a file, which is formatted like the others of the repository. */
export async function saveResults(path: string, page: Page): Promise<void> {
  const text = [
    `# Results of \`${page.command}\``,
    "",
    page.circumstances,
    "",
    markdown(page.rows, page.columns),
    page.notes,
  ];
  await Deno.writeTextFile(path, text.join("\n"));
  await mustRun(Deno.execPath(), ["fmt", "--quiet", path]);
  console.log(`\nWritten to ${path}`);
}
