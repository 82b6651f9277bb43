/**
 * The content of a temporary Active Directory domain, and its controller's configuration, as text.
 *
 * @module
 */

/** The realm of every domain made here. */
export const AD_REALM = "EXAMPLE.TEST";
/** Its NetBIOS name. */
export const AD_DOMAIN = "EXAMPLE";
/** The users of every domain made here, and their passwords. */
export const AD_USERS = {
  Administrator: "Passw0rd!",
  /** In 61 groups that count: see {@linkcode seed}. */
  alice: "Alice1234!",
  /** In no group but Domain Users. */
  bob: "Bob1234!",
  /** Accounts of services, one for each name: MIT's library cannot distinguish names that share a key. */
  svcweb: "Svcweb1234!",
  svchost: "Svchost1234!",
  /** A computer's. */
  WEB1$: "Web1Web1!",
} as const;
/**
 * The services whose keys are in the key table, and the account of each. The directory treats `HTTP/localhost` as
 * another spelling of `host/localhost`, and refuses a separate account for it.
 */
const SERVICE_ACCOUNTS = {
  "HTTP/web.example.test": "svcweb",
  "host/localhost": "svchost",
  "host/web1.example.test": "WEB1$",
} as const;
/** Their names. */
export const AD_SERVICES: readonly string[] = Object.keys(SERVICE_ACCOUNTS);

const BASE = "DC=example,DC=test";
const USERS = `CN=Users,${BASE}`;
/** `groupType`: security groups, and one for mail alone. */
const GROUP = { global: -2147483646, domainLocal: -2147483644, universal: -2147483640, distribution: 2 };
/** AES alone: without this Samba gives service tickets that are RC4. */
const AES = "msDS-SupportedEncryptionTypes: 24";
/** `userAccountControl`: a user, and a computer. */
const [NORMAL, WORKSTATION] = [512, 4096];

/** The groups besides Domain Users that alice is in directly: with the nested ones below they are 60. */
const DIRECT = Array.from({ length: 56 }, (_, index) => `Group ${String(index + 1).padStart(2, "0")}`);

/**
 * LDIF of the domain's content besides what every domain has. alice is in 61 groups: Domain Users, 56 directly
 * (of which the last is domain local), and Inner, Outer, Universal and Local, each through the one before it. She is also
 * a member of a group for mail, which never counts.
 */
export function seed(): string {
  const user = (cn: string, more: readonly string[]): string =>
    entry(`CN=${cn},${USERS}`, ["objectClass: user", `sAMAccountName: ${cn}`, ...more]);
  const group = (cn: string, type: keyof typeof GROUP, members: readonly string[]): string =>
    entry(`CN=${cn},${USERS}`, [
      "objectClass: group",
      `sAMAccountName: ${cn}`,
      `groupType: ${GROUP[type]}`,
      ...members.map((member) => `member: CN=${member},${USERS}`),
    ]);
  return [
    user("alice", [...account(AD_USERS.alice, NORMAL), "displayName: Alice Example"]),
    user("bob", account(AD_USERS.bob, NORMAL)),
    ...Object.entries(SERVICE_ACCOUNTS).flatMap(([name, cn]) =>
      cn === "WEB1$"
        ? []
        : [user(cn, [...account(AD_USERS[cn], NORMAL), AES, `servicePrincipalName: ${name}`])]
    ),
    entry(`CN=WEB1,CN=Computers,${BASE}`, [
      "objectClass: computer",
      "sAMAccountName: WEB1$",
      ...account(AD_USERS.WEB1$, WORKSTATION),
      AES,
      "dNSHostName: web1.example.test",
      "servicePrincipalName: host/web1.example.test",
      "servicePrincipalName: host/WEB1",
    ]),
    ...DIRECT.map((cn, index) =>
      group(cn, index === DIRECT.length - 1 ? "domainLocal" : "global", ["alice"])
    ),
    group("Inner", "global", ["alice"]),
    group("Outer", "global", ["Inner"]),
    group("Universal", "universal", ["Outer"]),
    group("Local", "domainLocal", ["Universal"]),
    group("Mail", "distribution", ["alice"]),
    controllerSpns("DC1", [
      "ldap/dc1.example.test",
      "ldap/dc1.example.test/example.test",
      "GC/dc1.example.test/example.test",
    ]),
  ].join("\n");
}

/** LDIF of what a controller registers itself, where it has a DNS server. */
export function controllerSpns(name: string, spns: readonly string[]): string {
  return [
    `dn: CN=${name},OU=Domain Controllers,${BASE}`,
    "changetype: modify",
    "add: servicePrincipalName",
    ...spns.map((spn) => `servicePrincipalName: ${spn}`),
    "",
  ].join("\n");
}

function entry(dn: string, lines: readonly string[]): string {
  return [`dn: ${dn}`, "changetype: add", ...lines, ""].join("\n");
}

function account(password: string, control: number): string[] {
  const quoted = new Uint8Array(new Uint16Array([...`"${password}"`].map((c) => c.charCodeAt(0))).buffer);
  return [`unicodePwd:: ${btoa(String.fromCharCode(...quoted))}`, `userAccountControl: ${control}`];
}

/** smb.conf. Everything it names lies in `dir`; nothing but `address` is listened on, and DNS is not used. */
export function smbConf(
  { name = "DC1", dir, address, strongAuthentication }: {
    name?: string;
    dir: string;
    address: string;
    strongAuthentication: boolean | "allow_sasl_over_tls";
  },
): string {
  const folders = {
    "private dir": "private",
    "state directory": "state",
    "cache directory": "cache",
    "lock directory": "lock",
    "pid directory": "run",
    "ncalrpc dir": "ncalrpc",
    "binddns dir": "bind-dns",
    "winbindd socket directory": "wb",
    "ntp signd socket directory": "ntp",
    "log file": "log/log.%m",
  };
  const global = {
    "netbios name": name,
    workgroup: AD_DOMAIN,
    realm: AD_REALM,
    "server role": "active directory domain controller",
    "server services": "rpc, ldap, cldap, kdc",
    interfaces: `${address}/8`,
    "bind interfaces only": "yes",
    ...Object.fromEntries(Object.entries(folders).map(([name, path]) => [name, `${dir}/${path}`])),
    // Extended attributes in a file of its own: the real ones take CAP_SYS_ADMIN, which containers do not have.
    "vfs objects": "dfs_samba4 acl_xattr xattr_tdb",
    "xattr_tdb:file": `${dir}/state/xattr.tdb`,
    "ldap server require strong auth": strongAuthentication === true ? "yes" : strongAuthentication || "no",
    "disable spoolss": "yes",
    "load printers": "no",
    "dns update command": "/bin/true",
    "samba kcc command": "/bin/true",
    "spn update command": "/bin/true",
    "rpc server dynamic port range": "49152-49160",
  };
  const sysvol = `${dir}/state/sysvol`;
  const share = (name: string, path: string): string => `[${name}]\n\tpath = ${path}\n\tread only = no\n`;
  return `[global]\n${Object.entries(global).map(([name, value]) => `\t${name} = ${value}\n`).join("")}` +
    share("sysvol", sysvol) + share("netlogon", `${sysvol}/${AD_REALM.toLowerCase()}/scripts`);
}
