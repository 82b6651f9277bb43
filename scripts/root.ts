/**
 * The repository's root folder. A file URL's `pathname` is not a path on Windows: every path comes from here.
 *
 * @module
 */

import { sep } from "node:path";
import { fileURLToPath } from "node:url";

/** The root's address. */
export const ROOT_URL: URL = new URL("../", import.meta.url);

/** The root's path, with a separator at its end. */
export const ROOT: string = fileURLToPath(ROOT_URL);

/** A path below `root` (which ends with a separator), from there and with slashes; null for one that is not below. */
export function pathFrom(root: string, path: string): string | null {
  if (!path.startsWith(root)) return null;
  return path.slice(root.length).replaceAll(sep, "/");
}
