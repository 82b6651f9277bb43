/**
 * OpenLDAP's slapd for tests: on a free port of loopback, everything in a temporary folder, no root needed.
 *
 * @module
 */

import { spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { findProgram, mustRun } from "../../scripts/process.ts";
import { untilAnswers } from "./daemon.ts";
import { freePort, type Realm } from "./realm.ts";

/** Debian packages with slapd, its SASL plugin and its client. */
export const SLAPD_PACKAGES: readonly string[] = ["slapd", "ldap-utils", "libsasl2-modules-gssapi-mit"];
const SCHEMAS = "/etc/ldap/schema";
const MODULES = "/usr/lib/ldap";

/** Where everything lies. */
export const LDAP_BASE = "dc=mit,dc=test";

/** A running slapd. */
export interface Slapd extends AsyncDisposable {
  /** Its port on 127.0.0.1. */
  readonly port: number;
}

/** Why slapd cannot run here, as a sentence that says what to install; null where it can. */
export function slapdUnavailable(): string | null {
  const missing = ["slapd", "slapadd", "ldapsearch"].filter((name) => slapdProgram(name) === null);
  const plugin = ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib"]
    .some((folder) => existsSync(join(folder, "sasl2/libgssapiv2.so")));
  if (!plugin) missing.push("Cyrus SASL's GSSAPI plugin");
  if (missing.length === 0) return null;
  return `an LDAP server needs ${missing.join(", ")}: install ${SLAPD_PACKAGES.join(" ")}`;
}

function slapdProgram(name: string): string | null {
  // Debian keeps daemons out of users' PATH.
  return findProgram(name) ?? ["/usr/sbin", "/usr/libexec"].map((folder) => join(folder, name)).find(existsSync) ??
    null;
}

/** Starts slapd for `realm`, whose key table must hold `ldap/localhost`. */
export async function startSlapd(realm: Realm, entries = ""): Promise<Slapd> {
  const dir = mkdtempSync(join(tmpdir(), "secure-sockets-slapd-"));
  const port = await freePort();
  mkdirSync(join(dir, "db"));
  const config = join(dir, "slapd.conf");
  writeFileSync(config, configuration(dir, realm.realm));
  writeFileSync(join(dir, "init.ldif"), LDIF + entries);
  const env = { ...process.env, ...realm.env };
  await mustRun(slapdProgram("slapadd")!, ["-q", "-f", config, "-l", join(dir, "init.ldif")], { env });
  // -d keeps it in the foreground: it ends with its owner's signal, and with its owner's folder it has nothing.
  const child = spawn(slapdProgram("slapd")!, ["-d", "0", "-f", config, "-h", `ldap://127.0.0.1:${port}`], {
    env,
    stdio: "ignore",
  });
  const ended = new Promise<void>((resolve) => child.once("close", () => resolve()));
  const stop = async (): Promise<void> => {
    child.kill("SIGKILL");
    await ended;
    rmSync(dir, { recursive: true, force: true });
  };
  try {
    await untilAnswers(port, "slapd");
  } catch (error) {
    await stop();
    throw error;
  }
  return { port, [Symbol.asyncDispose]: stop };
}

function configuration(dir: string, realm: string): string {
  const subject = (mechanism: string) =>
    `authz-regexp "uid=([^,]*),(cn=[^,]*,)?cn=${mechanism},cn=auth" "uid=$1,ou=people,${LDAP_BASE}"`;
  return [
    ...["core", "cosine", "inetorgperson"].map((name) => `include ${SCHEMAS}/${name}.schema`),
    `modulepath ${MODULES}`,
    "moduleload back_mdb",
    `pidfile ${dir}/slapd.pid`,
    "sasl-host localhost",
    `sasl-realm ${realm}`,
    subject("gssapi"),
    subject("gss-spnego"),
    "sizelimit unlimited",
    "database mdb",
    `suffix "${LDAP_BASE}"`,
    `directory ${dir}/db`,
    "",
  ].join("\n");
}

const LDIF = `dn: ${LDAP_BASE}
objectClass: domain
dc: mit

dn: ou=people,${LDAP_BASE}
objectClass: organizationalUnit
ou: people

dn: uid=alice,ou=people,${LDAP_BASE}
objectClass: inetOrgPerson
uid: alice
cn: Alice
sn: A

`;
