/**
 * Closing where a failure to close would hide the one that led there.
 *
 * @module
 */

/** Runs `close`, which may throw or give a promise whatever its type says; that it fails changes nothing for anyone. */
export async function quietly(close: () => unknown): Promise<void> {
  try {
    await close();
  } catch {
    // What led here is what matters.
  }
}
