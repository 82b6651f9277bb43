/**
 * Squid for tests: a forward proxy on a free port of loopback that asks for Negotiate, or for nothing; everything in a
 * temporary folder.
 *
 * @module
 */

import { chmodSync, chownSync, copyFileSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { findProgram, run } from "../../scripts/process.ts";
import { type Daemon, daemonFolder, findDaemon, startDaemon } from "./daemon.ts";
import { freePort, REALM, type Realm } from "./realm.ts";

/** Debian packages with Squid and its helper for Negotiate. */
export const SQUID_PACKAGES: readonly string[] = ["squid"];
/** A name that Squid alone resolves: to 127.0.0.1. */
export const SQUIDS_HOST = "web.example.test";
const HELPER = "/usr/lib/squid/negotiate_kerberos_auth";

/** A running Squid. */
export interface Squid extends Daemon {
  /** Its access log: one line a request, with the user's name. */
  log(): string;
}

/** Why Squid cannot run here, as a sentence that says what to do; null where it can. */
export function squidUnavailable(): string | null {
  if (findDaemon("squid") !== null && existsSync(HELPER)) return null;
  return `a proxy that asks for Negotiate needs Squid: install ${SQUID_PACKAGES.join(" ")}`;
}

/** Starts Squid for `realm`, whose key table has `HTTP/localhost`; without a realm it asks for nothing. */
export async function startSquid(realm: Realm | null): Promise<Squid> {
  const dir = daemonFolder("squid");
  const port = await freePort();
  chmodSync(dir, 0o755);
  const env: Record<string, string> = {};
  if (realm !== null) {
    copyFileSync(realm.env.KRB5_KTNAME.replace("FILE:", ""), join(dir, "keytab"));
    copyFileSync(realm.env.KRB5_CONFIG, join(dir, "krb5.conf"));
    env.KRB5_CONFIG = join(dir, "krb5.conf");
  }
  // As root Squid becomes another account, which must read its keys and write its logs.
  if (process.getuid?.() === 0) {
    const { stdout } = await run(findProgram("id")!, ["-u", "proxy"], {});
    const uid = Number(stdout);
    chownSync(dir, uid, uid);
    for (const file of ["keytab", "krb5.conf"].map((name) => join(dir, name)).filter(existsSync)) {
      chownSync(file, uid, uid);
      chmodSync(file, 0o600);
    }
  }
  writeFileSync(join(dir, "hosts"), `127.0.0.1 localhost ${SQUIDS_HOST}\n`);
  writeFileSync(join(dir, "squid.conf"), configuration(dir, port, realm !== null), { mode: 0o644 });
  const command = [findDaemon("squid")!, "-N", "-f", join(dir, "squid.conf")];
  const daemon = await startDaemon({ dir, port, command, env });
  const log = join(dir, "access.log");
  return { ...daemon, log: () => existsSync(log) ? readFileSync(log, "utf8") : "" };
}

function configuration(dir: string, port: number, signOn: boolean): string {
  const negotiate = [
    `auth_param negotiate program ${HELPER} -k FILE:${dir}/keytab -s HTTP/localhost@${REALM} -r`,
    "auth_param negotiate children 4 startup=1 idle=1",
    "auth_param negotiate keep_alive on",
    "acl known proxy_auth REQUIRED",
    "http_access allow known",
    "http_access deny all",
  ];
  return [
    `http_port 127.0.0.1:${port}`,
    `hosts_file ${dir}/hosts`,
    ...(signOn ? negotiate : ["http_access allow all"]),
    `pid_filename ${dir}/pid`,
    `access_log stdio:${dir}/access.log`,
    `cache_log ${dir}/cache.log`,
    `coredump_dir ${dir}`,
    "cache deny all",
    "cache_mem 8 MB",
    "netdb_filename none",
    "pinger_enable off",
    "dns_nameservers 127.0.0.1",
    "dns_timeout 1 seconds",
    "forwarded_for delete",
    "shutdown_lifetime 0 seconds",
    "max_filedescriptors 16384",
    "visible_hostname squid.test",
    "",
  ].join("\n");
}
