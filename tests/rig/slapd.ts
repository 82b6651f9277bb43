/**
 * OpenLDAP's slapd for tests: on a free port of loopback, everything in a temporary folder, no root needed.
 *
 * @module
 */

import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { mustRun } from "../../scripts/process.ts";
import { type Daemon, daemonFolder, findDaemon, startDaemon } from "./daemon.ts";
import { freePort, type Realm } from "./realm.ts";

/** Debian packages with slapd and the SASL plugin of it and of its clients, which come with the domain's packages. */
export const SLAPD_PACKAGES: readonly string[] = ["slapd", "libsasl2-modules-gssapi-mit"];
const SCHEMAS = "/etc/ldap/schema";
const MODULES = "/usr/lib/ldap";

/** Where everything lies. */
export const LDAP_BASE = "dc=mit,dc=test";

/** Why slapd cannot run here, as a sentence that says what to install; null where it can. */
export function slapdUnavailable(): string | null {
  const missing = ["slapd", "slapadd", "ldapsearch"].filter((name) => findDaemon(name) === null);
  const plugin = ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib"]
    .some((folder) => existsSync(join(folder, "sasl2/libgssapiv2.so")));
  if (!plugin) missing.push("Cyrus SASL's GSSAPI plugin");
  if (missing.length === 0) return null;
  return `an LDAP server needs ${missing.join(", ")}: install ${SLAPD_PACKAGES.join(" ")} ldap-utils`;
}

/** Starts slapd for `realm`, whose key table must hold `ldap/localhost`. */
export async function startSlapd(realm: Realm, entries = ""): Promise<Daemon> {
  const dir = daemonFolder("slapd");
  const port = await freePort();
  mkdirSync(join(dir, "db"));
  const config = join(dir, "slapd.conf");
  writeFileSync(config, configuration(dir, realm.realm));
  writeFileSync(join(dir, "init.ldif"), LDIF + entries);
  await mustRun(findDaemon("slapadd")!, ["-q", "-f", config, "-l", join(dir, "init.ldif")], {
    env: realm.env,
  });
  const command = [findDaemon("slapd")!, "-d", "0", "-f", config, "-h", `ldap://127.0.0.1:${port}`];
  return await startDaemon({ dir, port, command, env: realm.env });
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
