/**
 * The AuthIP policies that this library added itself, and that let no server act as its client. Of any other policy
 * nothing is known but its key.
 *
 * @module
 */

/** From the beginning the key that names none: the system's own policy, by which no server acts as its client. */
const BOUNDED = new Set<string>(["00000000-0000-0000-0000-000000000000"]);

/** Keeps in mind that the policies of these keys let nobody impersonate; gives what forgets them. */
export function rememberBounded(keys: readonly string[]): () => void {
  for (const key of keys) BOUNDED.add(key);
  return () => {
    for (const key of keys) BOUNDED.delete(key);
  };
}

/** Whether a server may be able to act as a client with this policy: for all that is known. */
export function mayLetImpersonate(key: string): boolean {
  return !BOUNDED.has(key.toLowerCase());
}
