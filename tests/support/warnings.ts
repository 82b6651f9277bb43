/**
 * What is written to the console, for tests.
 *
 * @module
 */

/** The lines that are written to `console.warn` while `fn` runs. */
export function warnings(fn: () => Promise<void>): Promise<string[]> {
  return written("warn", fn);
}

/** The lines that are written with one of console's functions while `fn` runs. */
export async function written(by: "warn" | "error", fn: () => Promise<void>): Promise<string[]> {
  const lines: string[] = [];
  const original = console[by];
  console[by] = (line: unknown) => void lines.push(String(line));
  try {
    await fn();
  } finally {
    console[by] = original;
  }
  return lines;
}
