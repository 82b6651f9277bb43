/**
 * A temporary Active Directory domain on one loopback address: Samba as its domain controller, for tests. Works on
 * Deno and on Node, keeps everything in a temporary folder, and ends with the process that started it, however
 * that ended.
 *
 * The domain is made once for each version of Samba and of its content (some ten seconds) and kept in the cache;
 * a start takes a second or two.
 *
 * ```ts
 * import { startAdDc } from "./ad_dc.ts";
 *
 * await using dc = await startAdDc();
 * const restore = dc.applyEnv();
 * await dc.kinit("alice");
 * restore();
 * ```
 *
 * @module
 */

import { type ChildProcess, spawn } from "node:child_process";
import { createHash, randomInt } from "node:crypto";
import { chownSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { cached, once } from "../../scripts/cache.ts";
import { findProgram, mustRun, run } from "../../scripts/process.ts";
import type { Certificate } from "./certificates.ts";
import { AD_DOMAIN, AD_REALM, AD_SERVICES, AD_USERS, controllerSpns, seed, smbConf } from "./ad_dc_domain.ts";
import { applyEnvironment, read } from "./realm.ts";
import { krb5Conf } from "./realm_config.ts";

/** Debian packages that a domain takes, for the tasks that install what tests need. */
export const AD_PACKAGES: readonly string[] = [
  "samba",
  "samba-ad-provision",
  "samba-dsdb-modules",
  "samba-vfs-modules",
  "winbind",
  "ldb-tools",
  "ldap-utils",
];
const PROGRAMS = ["samba", "samba-tool", "ldbmodify", "ldbsearch", "kinit", "sh", "tar"];
/** Where the packages install files other than programs. */
const FILES = [
  ["samba-ad-provision", () => existsSync("/usr/share/samba/setup/ad-schema")],
  ["samba-dsdb-modules", () => inLibraries("samba/ldb/samba_dsdb.so")],
  ["samba-vfs-modules", () => inLibraries("samba/vfs/xattr_tdb.so")],
] as const;
/** The fixed ports of a domain controller. */
const [KDC_PORT, LDAP_PORT] = [88, 389];
const READY_MS = 30_000;
/** The name of the file in which a domain is saved. */
const SNAPSHOT = "domain.tar.gz";

// The shell holds Samba as its child and ends it at the end of its own input, which comes even when the process at the
// other end of the pipe was killed. Killed, not asked to stop: nothing has to be saved.
const KEEPER = `"$1" -i -M single -s "$2/smb.conf" --debug-stdout --option=ldb:nosync=true \\
  >"$2/log/samba.out" 2>&1 </dev/null &
samba=$!
read -r _
kill -KILL "$samba"
wait "$samba" 2>/dev/null
[ -z "$3" ] || rm -rf -- "$2"`;

/** Whether LDAP without TLS must be signed or encrypted, and over TLS too, or not there. */
export type StrongAuthentication = boolean | "allow_sasl_over_tls";

/** How a domain is to be started. Everything may be left out. */
export interface AdDcOptions {
  /** Whether LDAP without TLS must be signed or encrypted, and simple binds are refused. Default `false`. */
  strongAuthentication?: StrongAuthentication;
  /** The controller's certificate; left out: one that Samba made, without a name that TLS accepts. */
  certificate?: Certificate;
}

/** How {@linkcode AdDc.kinit} gets a ticket. */
export interface AdKinitOptions {
  /** The user's password; left out: the known one of a user of {@linkcode AdDc.users}. */
  password?: string;
  /** The credential cache to fill, for instance `FILE:/tmp/cc`; left out: the domain's own. */
  cache?: string;
}

/** A running domain. One owner; `stop` twice is harmless. */
export interface AdDc extends AsyncDisposable {
  /** The realm: `EXAMPLE.TEST`. */
  readonly realm: string;
  /** The NetBIOS name: `EXAMPLE`. */
  readonly domain: string;
  /** The distinguished name everything lies under: `DC=example,DC=test`. */
  readonly base: string;
  /** The controller's address, on the loopback interface: KDC 88, LDAP 389 and 636, global catalogue 3268. */
  readonly address: string;
  /** The folder all its files lie in. */
  readonly dir: string;
  /** The variables that make a process use the realm. */
  readonly env: Readonly<Record<string, string>>;
  /** Users and their passwords. */
  readonly users: typeof AD_USERS;
  /** Services whose keys are in the key table. */
  readonly services: readonly string[];
  /** Sets this process's real environment, which native code reads too; call the result to put it back. */
  applyEnv(): () => void;
  /** Gets `user` a ticket into a cache and resolves to the cache's name. */
  kinit(user: string, options?: AdKinitOptions): Promise<string>;
  /** Runs `samba-tool` on the domain's own database and resolves to what it wrote. */
  tool(args: readonly string[]): Promise<string>;
  /** Changes the directory by LDIF, past the rules of LDAP; `controls` as for `ldbmodify`. */
  modify(ldif: string, controls?: readonly string[]): Promise<void>;
  /** Searches the directory and resolves to LDIF; `args` as for `ldbsearch`. */
  search(args: readonly string[]): Promise<string>;
  /**
   * Joins a second controller, dc2, to the domain, and starts it; this one's environment knows its KDC from then on.
   * Its files are its own: it serves on where this one has ended.
   */
  join(): Promise<AdDc>;
  /** Takes over what the controller `from` has changed since. */
  replicate(from: AdDc): Promise<void>;
  /** Ends the controller and keeps its files, as a failure of the machine would. */
  end(): Promise<void>;
  /** Puts the keys of `principals` in the key table `file` (a path), without changing them. */
  exportKeytab(file: string, principals: readonly string[]): Promise<void>;
  /** Ends the controller and removes the folder. */
  stop(): Promise<void>;
}

function inLibraries(path: string): boolean {
  const folders = existsSync("/usr/lib") ? readdirSync("/usr/lib").map((name) => join("/usr/lib", name)) : [];
  return ["/usr/lib", "/usr/lib64", ...folders].some((folder) => existsSync(join(folder, path)));
}

/** Why no domain can be made here, as a sentence that says what to do; null where one can. */
export async function adDcUnavailable(): Promise<string | null> {
  if (process.platform !== "linux") return "an Active Directory domain is made by Samba on Linux";
  const missing = PROGRAMS.filter((name) => findProgram(name) === null);
  const files = FILES.filter(([, isThere]) => !isThere()).map(([name]) => name);
  if (missing.length > 0 || files.length > 0) {
    return `an Active Directory domain needs ${[...missing, ...files].join(", ")}: ` +
      `apt-get install ${AD_PACKAGES.join(" ")} krb5-user`;
  }
  if (!mayChangeOwners()) {
    return "an Active Directory domain needs to give files to other accounts: run the tests as root";
  }
  if (await freeAddress() === null) {
    return `an Active Directory domain needs ports ${KDC_PORT} and ${LDAP_PORT} of a loopback address: run the ` +
      "tests as root, in a network namespace whose loopback interface is up";
  }
  return null;
}

function mayChangeOwners(): boolean {
  const folder = mkdtempSync(join(tmpdir(), "secure-sockets-owner-"));
  try {
    chownSync(folder, 1, 1);
    return true;
  } catch {
    return false;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** A loopback address whose ports of the controller are free; null where there is none. */
async function freeAddress(): Promise<string | null> {
  for (let attempt = 0; attempt < 8; attempt++) {
    // Random, so that parallel test runs do not conflict.
    const address = `127.${randomInt(64, 128)}.${randomInt(256)}.${randomInt(1, 255)}`;
    const free = await Promise.all([KDC_PORT, LDAP_PORT].map((port) => canListen(address, port)));
    if (!free.includes(false)) return address;
  }
  return null;
}

function canListen(address: string, port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const server = createServer();
  server.once("error", () => resolve(false));
  server.listen(port, address, () => server.close(() => resolve(true)));
  return promise;
}

/** Makes a domain, where that was not done yet, and starts it; resolves once its controller answers. */
export async function startAdDc(options: AdDcOptions = {}): Promise<AdDc> {
  const reason = await adDcUnavailable();
  if (reason !== null) throw new Error(`Cannot start a domain: ${reason}`);
  const { stdout } = await mustRun(findProgram("samba")!, ["--version"]);
  const key = createHash("sha256").update(stdout).update(SNAPSHOT).update(KEEPER).update(seed()).update(
    smbConf(PATTERN),
  );
  const snapshot = cached(`ad-dc-${key.digest("hex").slice(0, 16)}`);
  await once(snapshot, makeDomain);
  const dc = new SambaDc((await freeAddress())!, options);
  try {
    await mustRun("tar", ["-C", dc.dir, "--no-same-owner", "-xzf", join(snapshot, SNAPSHOT)]);
    dc.configure();
    await dc.start();
  } catch (error) {
    await dc.stop();
    throw error;
  }
  return dc;
}

/** Who joins and replicates: over RPC, with NTLM, since it is by address. */
const ADMINISTRATOR = ["-U", "Administrator", `--password=${AD_USERS.Administrator}`];

const PATTERN = { dir: "", address: "", strongAuthentication: false };

/** Makes the domain, fills it, runs its controller's first start, and saves it in `folder`. */
async function makeDomain(folder: string): Promise<void> {
  const address = await freeAddress();
  const dc = new SambaDc(address!, {});
  try {
    dc.configure();
    await dc.provision();
    await dc.start();
    await dc.end();
    const without = ["log", "run", "ncalrpc"].map((name) => `--exclude=./${name}`);
    // tar reports sockets, which it cannot save.
    await run("tar", ["-C", dc.dir, ...without, "-czf", join(folder, SNAPSHOT), "."]);
  } finally {
    await dc.stop();
  }
}

class SambaDc implements AdDc {
  readonly realm = AD_REALM;
  readonly domain = AD_DOMAIN;
  readonly base = AD_REALM.toLowerCase().split(".").map((part) => `DC=${part}`).join(",");
  readonly users = AD_USERS;
  readonly services = AD_SERVICES;
  readonly dir = mkdtempSync(join(tmpdir(), "secure-sockets-ad-"));
  readonly address: string;
  readonly env: Readonly<Record<string, string>>;
  readonly #options: AdDcOptions;
  readonly #name: string;
  #keeper: ChildProcess | null = null;

  constructor(address: string, options: AdDcOptions, name = "DC1") {
    this.#name = name;
    this.address = address;
    this.#options = options;
    this.env = {
      KRB5_CONFIG: join(this.dir, "krb5.conf"),
      KRB5_KTNAME: `FILE:${join(this.dir, "svc.keytab")}`,
      KRB5CCNAME: `FILE:${join(this.dir, "cc")}`,
      KRB5_CLIENT_KTNAME: `FILE:${join(this.dir, "none.keytab")}`,
    };
  }

  /** Writes the configuration files, whose paths and address are those of this start. */
  configure(): void {
    const { dir, address, realm } = this;
    for (const name of ["private", "state/sysvol", "cache", "lock", "run", "ncalrpc", "log", "wb"]) {
      mkdirSync(join(dir, name), { recursive: true });
    }
    mkdirSync(join(dir, "state/sysvol", realm.toLowerCase(), "scripts"), { recursive: true });
    const { strongAuthentication = false, certificate } = this.#options;
    writeFileSync(join(dir, "smb.conf"), smbConf({ name: this.#name, dir, address, strongAuthentication }));
    if (certificate !== undefined) {
      mkdirSync(join(dir, "private/tls"), { recursive: true });
      const { cert, key } = certificate;
      for (const [name, pem] of Object.entries({ ca: cert, cert, key })) {
        rmSync(join(dir, `private/tls/${name}.pem`), { force: true });
        writeFileSync(join(dir, `private/tls/${name}.pem`), pem, { mode: 0o600 });
      }
    }
    const krb5 = krb5Conf({ realm, dir, address, port: KDC_PORT, rcache: "none:", maxLife: "" });
    writeFileSync(join(dir, "krb5.conf"), krb5);
  }

  async provision(): Promise<void> {
    const { address, realm, domain, dir } = this;
    await mustRun(findProgram("samba-tool")!, [
      ...["domain", "provision", "-s", join(dir, "smb.conf"), `--realm=${realm}`, `--domain=${domain}`],
      ...["--server-role=dc", "--dns-backend=NONE", `--adminpass=${AD_USERS.Administrator}`],
      ...["--function-level=2008_R2", "--host-name=dc1", `--host-ip=${address}`],
      "--option=ldb:nosync=true",
    ], { env: this.env });
    // Passwords of a saved domain must not expire: the default is 42 days.
    await this.tool(["domain", "passwordsettings", "set", "--max-pwd-age=0", "--complexity=off"]);
    await this.modify(seed());
    await this.exportKeytab(join(dir, "svc.keytab"), this.services);
  }

  async start(): Promise<void> {
    const keeper = spawn(findProgram("sh")!, [
      "-c",
      KEEPER,
      "ad-keeper",
      findProgram("samba")!,
      this.dir,
      "y",
    ], {
      env: { ...process.env, ...this.env },
      stdio: ["pipe", "ignore", "ignore"],
      // A session of its own: Ctrl-C reaches the owner, whose end then ends the keeper in order.
      detached: true,
    });
    keeper.unref();
    keeper.stdin!.on("error", () => {});
    this.#keeper = keeper;
    for (const until = Date.now() + READY_MS; Date.now() < until;) {
      const answers = await Promise.all([KDC_PORT, LDAP_PORT].map((port) => answersAt(this.address, port)));
      if (!answers.includes(false)) return;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    const said = read(join(this.dir, "log/samba.out")).trim().split("\n").slice(-5).join(" ");
    throw new Error(`Cannot start a domain: Samba did not answer in ${READY_MS / 1000} s: ${said}`);
  }

  async join(): Promise<AdDc> {
    const { realm, address, dir } = this;
    const second = new SambaDc((await freeAddress())!, this.#options, "DC2");
    try {
      second.configure();
      const joining = ["domain", "join", realm.toLowerCase(), "DC", `--server=${address}`, ...ADMINISTRATOR];
      await second.tool([...joining, "--dns-backend=NONE", "--option=ldb:nosync=true"]);
      await this.modify(controllerSpns("DC2", ["ldap/dc2.example.test/example.test"]));
      await second.start();
      await second.replicate(this);
      const [file, kdc] = [join(dir, "krb5.conf"), `kdc = ${address}:${KDC_PORT}`];
      writeFileSync(file, read(file).replace(kdc, `${kdc}\n\t\tkdc = ${second.address}:${KDC_PORT}`));
    } catch (error) {
      await second.stop();
      throw error;
    }
    return second;
  }

  async replicate(from: AdDc): Promise<void> {
    const replicate = ["drs", "replicate", this.address, from.address, this.base, "--local"];
    await this.tool([...replicate, ...ADMINISTRATOR]);
  }

  applyEnv(): () => void {
    return applyEnvironment(this.env);
  }

  async kinit(user: string, options: AdKinitOptions = {}): Promise<string> {
    const password = options.password ?? (this.users as Record<string, string>)[user];
    if (password === undefined) throw new TypeError(`kinit: give the password of ${user}, it is not known`);
    const cache = options.cache ?? this.env.KRB5CCNAME;
    await mustRun(findProgram("kinit")!, ["-c", cache, user], { env: this.env, input: `${password}\n` });
    return cache;
  }

  async tool(args: readonly string[]): Promise<string> {
    const configured = [...args, `--configfile=${join(this.dir, "smb.conf")}`];
    return (await mustRun(findProgram("samba-tool")!, configured, { env: this.env })).stdout;
  }

  async modify(ldif: string, controls: readonly string[] = []): Promise<void> {
    const args = controls.map((control) => `--controls=${control}`);
    await mustRun(findProgram("ldbmodify")!, [...this.#database(), ...args], { env: this.env, input: ldif });
  }

  async search(args: readonly string[]): Promise<string> {
    return (await mustRun(findProgram("ldbsearch")!, [...this.#database(), ...args], { env: this.env }))
      .stdout;
  }

  #database(): string[] {
    const configuration = `--configfile=${join(this.dir, "smb.conf")}`;
    // Nothing has to survive a power failure.
    return ["-H", join(this.dir, "private/sam.ldb"), configuration, "--option=ldb:nosync=true"];
  }

  async exportKeytab(file: string, principals: readonly string[]): Promise<void> {
    for (const principal of principals) {
      await this.tool(["domain", "exportkeytab", file, `--principal=${principal}`]);
    }
  }

  async end(): Promise<void> {
    const { pid } = this.#keeper!;
    // By the parent's id: other processes of that name do not belong to this domain.
    await run("sh", ["-c", `kill -TERM $(ps -o pid= --ppid "$1") && sleep 0.3`, "end", String(pid)]);
  }

  async stop(): Promise<void> {
    const keeper = this.#keeper;
    this.#keeper = null;
    if (keeper) {
      keeper.ref();
      const { promise, resolve } = Promise.withResolvers<void>();
      if (keeper.exitCode !== null || keeper.signalCode !== null) resolve();
      keeper.once("close", () => resolve());
      keeper.stdin!.end();
      await promise;
    }
    rmSync(this.dir, { recursive: true, force: true });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}

function answersAt(address: string, port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = connect({ host: address, port });
  socket.once("connect", () => resolve(true));
  socket.once("error", () => resolve(false));
  return promise.finally(() => socket.destroy());
}
