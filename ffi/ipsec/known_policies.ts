/**
 * The AuthIP policies that this library added itself and that do not allow a server to act as its client. Of other
 * policies only the key is known.
 *
 * @module
 */

/** Initially the key of zeros: the system's own policy, which does not allow a server to act as its client. */
const BOUNDED = new Set<string>(["00000000-0000-0000-0000-000000000000"]);

/** Adds the keys of policies that do not allow impersonation; returns a function that removes them. */
export function rememberBounded(keys: readonly string[]): () => void {
  for (const key of keys) BOUNDED.add(key);
  return () => {
    for (const key of keys) BOUNDED.delete(key);
  };
}

/** Returns whether a policy may allow a server to act as its client; true for unknown policies. */
export function mayAllowImpersonation(key: string): boolean {
  return !BOUNDED.has(key.toLowerCase());
}
