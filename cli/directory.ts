/**
 * The options of commands that work on a directory, and how they open it.
 *
 * @module
 */

import { readFile } from "node:fs/promises";
import { type Directory, type DirectoryOptions, openDirectory } from "../directory/mod.ts";
import { type Given, UsageError } from "./command.ts";
import type { Io } from "./io.ts";

/** How the directory is reached, and who to be. */
export const DIRECTORY_OPTIONS = {
  domain: { type: "string", value: "DOMAIN", help: "the domain; left out: USERDNSDOMAIN of the environment" },
  site: { type: "string", value: "SITE", help: "the site whose controllers are tried first" },
  server: { type: "string", value: "HOST[:PORT]", help: "the controller; left out: found by DNS" },
  address: { type: "string", value: "IP", help: "the address to connect to, with --server" },
  security: {
    type: "string",
    value: "HOW",
    choices: ["seal", "sign", "ldaps", "starttls"],
    help: "how the connection is protected; left out: seal",
  },
  ca: { type: "string", value: "FILE", help: "authorities to trust, in PEM, with ldaps or starttls" },
  keytab: { type: "string", value: "FILE", help: "who to be: the first principal of a key table" },
  cache: { type: "string", value: "NAME", help: "who to be: a credential cache; left out: the user's own" },
} as const;

/** The names of these options, which every action on a directory has. */
export const REACHING = Object.keys(DIRECTORY_OPTIONS) as (keyof typeof DIRECTORY_OPTIONS)[];

type GivenDirectory = Given<typeof DIRECTORY_OPTIONS>;

/** What an action runs on the directory that its options name. */
export function inDirectory<G extends GivenDirectory>(
  body: (directory: Directory, operands: readonly string[], options: G, io: Io) => Promise<number>,
): (operands: readonly string[], options: G, io: Io) => Promise<number> {
  return async (operands, options, io) => {
    const open = await directoryOptions(options, io);
    await using directory = await io.waiting("Opening the directory", openDirectory(open));
    return await body(directory, operands, options, io);
  };
}

async function directoryOptions(options: GivenDirectory, io: Io): Promise<DirectoryOptions> {
  const { domain = io.env("USERDNSDOMAIN"), site, server, address, security, ca, keytab, cache } = options;
  if (domain === undefined && server === undefined) throw new UsageError("Give --domain or --server");
  if (address !== undefined && server === undefined) throw new UsageError("--address needs --server");
  if (keytab !== undefined && cache !== undefined) throw new UsageError("Give --keytab or --cache, not both");
  const [hostname, port] = server?.split(":") ?? [];
  return {
    domain,
    site,
    ...(server === undefined
      ? {}
      : { servers: [{ hostname, address, ...(port ? { port: Number(port) } : {}) }] }),
    security: security as DirectoryOptions["security"],
    ...(ca === undefined ? {} : { ca: await readFile(ca, "utf8") }),
    ...(keytab !== undefined
      ? { credentials: { keytab } }
      : cache !== undefined
      ? { credentials: { cache } }
      : {}),
    signal: io.signal,
  };
}
