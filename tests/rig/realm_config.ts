/**
 * The configuration files of a temporary MIT realm, as text.
 *
 * @module
 */

/** What the files are written from. */
export interface RealmConfig {
  /** The realm's name, in upper case. */
  realm: string;
  /** The folder everything of the realm lies in. */
  dir: string;
  /** The KDC's address. Default `127.0.0.1`. */
  address?: string;
  /** Where the KDC listens, or is said to listen. */
  port: number;
  /** `none:` (no replay cache) or `dfl:` (the system's). */
  rcache: string;
  /** The longest a ticket lives, as krb5 writes durations (`10h`, `2s`). */
  maxLife: string;
  /** Further lines of `[libdefaults]`; they win over the ones here. */
  libdefaults?: Record<string, string>;
}

/** krb5.conf: what both ends read. Nothing in it makes a DNS query. */
export function krb5Conf(config: RealmConfig): string {
  const { realm, dir, port, address = "127.0.0.1" } = config;
  const libdefaults: Record<string, string> = {
    default_realm: realm,
    dns_lookup_realm: "false",
    dns_lookup_kdc: "false",
    dns_canonicalize_hostname: "false",
    rdns: "false",
    // TCP first: UDP loses nothing on loopback, but waits a second where nothing listens.
    udp_preference_limit: "1",
    qualify_shortname: '""',
    forwardable: "true",
    default_ccache_name: `FILE:${dir}/cc`,
    default_keytab_name: `FILE:${dir}/svc.keytab`,
    default_client_keytab_name: `FILE:${dir}/user.keytab`,
    default_rcache_name: config.rcache,
    ...config.libdefaults,
  };
  return section("libdefaults", libdefaults) +
    `[realms]\n\t${realm} = {\n\t\tkdc = ${address}:${port}\n\t}\n` +
    section("domain_realm", {
      [`.${realm.toLowerCase()}`]: realm,
      [realm.toLowerCase()]: realm,
      localhost: realm,
    });
}

/** kdc.conf: what the KDC alone reads. */
export function kdcConf(config: RealmConfig): string {
  const { realm, dir, port } = config;
  const inRealm = {
    database_name: `${dir}/principal`,
    key_stash_file: `${dir}/stash`,
    acl_file: `${dir}/kadm5.acl`,
    max_life: config.maxLife,
    supported_enctypes: "aes256-cts-hmac-sha1-96:normal aes128-cts-hmac-sha1-96:normal aes256-sha2:normal",
  };
  return section("kdcdefaults", { kdc_listen: `127.0.0.1:${port}`, kdc_tcp_listen: `127.0.0.1:${port}` }) +
    `[realms]\n\t${realm} = {\n${lines(inRealm, "\t\t")}\t}\n` +
    section("logging", { kdc: `FILE:${dir}/kdc.log`, admin_server: `FILE:${dir}/kdc.log` });
}

function section(name: string, entries: Record<string, string>): string {
  return `[${name}]\n${lines(entries, "\t")}`;
}

function lines(entries: Record<string, string>, indent: string): string {
  return Object.entries(entries).map(([key, value]) => `${indent}${key} = ${value}\n`).join("");
}
