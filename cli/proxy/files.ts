/**
 * The files of `secure-sockets proxy`: its configuration, and the token of its clients.
 *
 * @module
 */

import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import process from "node:process";
import { formatConfig, parseConfig, type ProxySettings } from "./settings.ts";

type Env = (name: string) => string | undefined;

/** The folder of a user's configuration files. */
export function configFolder(env: Env): string {
  if (process.platform === "win32") return env("APPDATA") ?? join(homedir(), "AppData", "Roaming");
  return env("XDG_CONFIG_HOME") || join(env("HOME") || homedir(), ".config");
}

/** Where the configuration is, unless --config says otherwise. */
export function defaultConfig(env: Env): string {
  return join(configFolder(env), "secure-sockets", "proxy.json");
}

/** Reads a configuration file; `null` if there is none. */
export function readConfig(path: string): ProxySettings | null {
  return existsSync(path) ? parseConfig(readFileSync(path, "utf8"), path) : null;
}

/** Writes a configuration file, which only its owner can read. */
export function writeConfig(path: string, settings: ProxySettings): void {
  writePrivate(path, formatConfig(settings));
}

/** Writes a file that only its owner can read; what was there before stays until it is complete. */
export function writePrivate(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true });
  const draft = `${path}.${process.pid}`;
  writeFileSync(draft, text, { mode: 0o600, flag: "wx" });
  chmodSync(draft, 0o600);
  renameSync(draft, path);
}

/** Reads the clients' token from beside the configuration, or makes one. */
export function clientToken(config: string): { readonly token: string; readonly path: string } {
  const path = config.replace(/(\.json)?$/, ".token");
  if (!existsSync(path)) {
    const bytes = crypto.getRandomValues(new Uint8Array(24));
    writePrivate(path, `${Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")}\n`);
  }
  const { mode, uid } = statSync(path);
  const again = "delete it, and start again";
  if (process.platform !== "win32" && uid !== process.getuid?.()) {
    throw new Error(`The token in ${path} belongs to another user, who knows it: ${again}`);
  }
  if (process.platform !== "win32" && (mode & 0o077) !== 0) {
    throw new Error(`Other users can read the token in ${path}: ${again}`);
  }
  const token = readFileSync(path, "utf8").trim();
  // It becomes a part of a URL, and of a command line that a shell reads.
  if (/^[\w.~-]{16,}$/.test(token)) return { token, path };
  throw new Error(`The token in ${path} must be 16 or more letters, digits and . _ ~ -: ${again}`);
}
