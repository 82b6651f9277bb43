/** The root of the repository: tests may run from a bundle that stands elsewhere, and then run from the root. */

import { existsSync } from "node:fs";
import process from "node:process";
import { fileURLToPath } from "node:url";

const beside = fileURLToPath(new URL("../../", import.meta.url));

/** The root's path, with a slash at its end. */
export const ROOT: string = existsSync(`${beside}plugins/provider.ts`) ? beside : `${process.cwd()}/`;
