/**
 * What is written to `console.warn`, for tests.
 *
 * @module
 */

/** The lines that are written to `console.warn` while `fn` runs. */
export async function warnings(fn: () => Promise<void>): Promise<string[]> {
  const lines: string[] = [];
  const { warn } = console;
  console.warn = (line: unknown) => void lines.push(String(line));
  try {
    await fn();
  } finally {
    console.warn = warn;
  }
  return lines;
}
