/**
 * A temporary MIT Kerberos realm on loopback, for tests, the demo and the bench. Works on Deno and on Node,
 * needs no root, and ends with the process that started it, however that ended.
 *
 * ```ts
 * import { startRealm } from "./realm.ts";
 *
 * await using realm = await startRealm();
 * const restore = realm.applyEnv();
 * await realm.kinit("alice");
 * restore();
 * ```
 *
 * @module
 */

import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { findProgram, mustRun, run } from "../../scripts/process.ts";
import { kdcConf, krb5Conf, type RealmConfig } from "./realm_config.ts";

/** The name of every realm made here. */
export const REALM = "MIT.TEST";
/** The users of every realm made here, and their passwords. */
export const USERS: Readonly<{ alice: string; bob: string }> = { alice: "Alice1234!", bob: "Bob1234!" };
/** The services whose keys are in the key table of every realm made here. */
export const SERVICES: readonly string[] = ["HTTP/localhost", "host/localhost", "host/web.mit.test"];
const PROGRAMS = ["krb5kdc", "kdb5_util", "kadmin.local", "kinit", "sh"];

// The shell holds the KDC as its child and ends it at the end of its own input: that comes even when the process
// at the other end of the pipe was killed.
const KEEPER = `"$1" -n -r "$2" >"$3/kdc.out" 2>&1 </dev/null &
kdc=$!
read -r _
kill "$kdc"
wait "$kdc"
[ -z "$4" ] || rm -rf -- "$4"`;

/** How a realm is to be made. Everything may be left out. */
export interface RealmOptions {
  /** The folder to use, new or empty; it is then kept. Left out: a temporary one, removed at the end. */
  dir?: string;
  /** The KDC's port on 127.0.0.1; left out: a free one. */
  port?: number;
  /** Whether acceptors keep a replay cache, in the folder of the realm. Default false: quick, and tests can replay. */
  rcache?: boolean;
  /** The longest a ticket lives, as krb5 writes durations. Default `10h`. */
  maxLife?: string;
  /** Further lines of `[libdefaults]` in krb5.conf. */
  libdefaults?: Record<string, string>;
}

/** The variables that make a process use the realm. */
export interface RealmEnv extends Record<string, string> {
  /** The path of krb5.conf. */
  KRB5_CONFIG: string;
  /** The services' key table. */
  KRB5_KTNAME: string;
  /** The users' credential cache; empty until {@linkcode Realm.kinit}. */
  KRB5CCNAME: string;
  /** A key table with alice's key: GSS-API gets her a ticket by itself where the cache has none. */
  KRB5_CLIENT_KTNAME: string;
}

/** What {@linkcode Realm.addPrincipal} makes. */
export interface PrincipalOptions {
  /** The password; left out: a random key. */
  password?: string;
  /** Key tables to put the key in; a random-key principal defaults to the services' table. */
  keytabs?: readonly string[];
  /** Further arguments of `addprinc`, for instance `+ok_as_delegate` or `-maxlife 5s`. */
  flags?: string;
}

/** How {@linkcode Realm.kinit} gets a ticket. */
export interface KinitOptions {
  /** The user's password; left out: the known one of alice or bob. */
  password?: string;
  /** The credential cache to fill, for instance `FILE:/tmp/cc`; left out: the realm's own. */
  cache?: string;
  /** How long the ticket lives, as krb5 writes durations (`1s`, `10h`). */
  lifetime?: string;
  /** Whether the ticket can be delegated. Default `true`. */
  forwardable?: boolean;
  /** The service to get an initial ticket for, instead of a ticket-granting one. */
  service?: string;
  /** A krb5.conf other than the realm's own, for instance one of {@linkcode Realm.writeConfig}. */
  config?: string;
}

/** A running realm. One owner; `stop` twice is harmless. */
export interface Realm extends AsyncDisposable {
  /** Its name: `MIT.TEST`. */
  readonly realm: string;
  /** The folder all its files lie in. */
  readonly dir: string;
  /** The KDC's port on 127.0.0.1, UDP and TCP. */
  readonly port: number;
  /** The variables that make a process use the realm. */
  readonly env: RealmEnv;
  /** Users and their passwords. */
  readonly users: Readonly<Record<keyof typeof USERS, string>>;
  /** Services whose keys are in the key table. Only the first may be delegated to under the realm's policy. */
  readonly services: readonly string[];
  /** Sets this process's real environment, which native code reads too; call the result to put it back. */
  applyEnv(): () => void;
  /** Adds a user or a service. */
  addPrincipal(name: string, options?: PrincipalOptions): Promise<void>;
  /** Puts the keys of `principals` in the key table `file` (a path), without changing them. */
  exportKeytab(file: string, principals: readonly string[]): Promise<void>;
  /** Runs commands of `kadmin.local`; any complaint of it is an error. */
  kadmin(commands: readonly string[]): Promise<string>;
  /** Gets `user` a ticket into a cache and resolves to the cache's name. */
  kinit(user: string, options?: KinitOptions): Promise<string>;
  /** Writes a second krb5.conf (another port, other `[libdefaults]`) and returns its path. */
  writeConfig(changes: { port?: number; libdefaults?: Record<string, string> }): string;
  /** Ends the KDC and keeps the realm, which must have been given its folder; {@linkcode Realm.resume} starts it again. */
  pause(): Promise<void>;
  /** Starts the KDC after {@linkcode Realm.pause}. */
  resume(): Promise<void>;
  /** Ends the KDC and removes the temporary folder. */
  stop(): Promise<void>;
}

/** Why no realm can be made here, as a sentence that says what to install; null where one can. */
export function realmUnavailable(): string | null {
  const missing = PROGRAMS.filter((name) => findProgram(name) === null);
  if (missing.length === 0) return null;
  return `a Kerberos realm needs ${missing.join(", ")}: install krb5-kdc, krb5-admin-server and krb5-user`;
}

/** Makes and starts a realm; resolves once its KDC answers. */
export async function startRealm(options: RealmOptions = {}): Promise<Realm> {
  const reason = realmUnavailable();
  if (reason !== null) throw new Error(`Cannot start a realm: ${reason}`);
  const dir = options.dir ?? mkdtempSync(join(tmpdir(), "secure-sockets-realm-"));
  mkdirSync(dir, { recursive: true });
  if (existsSync(join(dir, "principal"))) {
    throw new TypeError(`Cannot start a realm: dir ${dir} holds one already, give an empty folder`);
  }
  const config: RealmConfig = {
    realm: REALM,
    dir,
    port: options.port ?? await freePort(),
    rcache: options.rcache ? `file2:${join(dir, "rcache")}` : "none:",
    maxLife: options.maxLife ?? "10h",
    libdefaults: options.libdefaults,
  };
  const realm = new MitRealm(config, options.dir === undefined);
  try {
    await realm.create();
    await realm.start();
  } catch (error) {
    await realm.stop();
    throw error;
  }
  return realm;
}

class MitRealm implements Realm {
  readonly realm = REALM;
  readonly users = USERS;
  readonly services = SERVICES;
  readonly dir: string;
  readonly port: number;
  readonly env: RealmEnv;
  readonly #config: RealmConfig;
  readonly #adminEnv: Record<string, string>;
  readonly #removeAtEnd: boolean;
  #keeper: ChildProcess | null = null;
  #configs = 0;

  constructor(config: RealmConfig, removeAtEnd: boolean) {
    this.#config = config;
    this.#removeAtEnd = removeAtEnd;
    this.dir = config.dir;
    this.port = config.port;
    this.env = {
      KRB5_CONFIG: join(this.dir, "krb5.conf"),
      KRB5_KTNAME: `FILE:${join(this.dir, "svc.keytab")}`,
      KRB5CCNAME: `FILE:${join(this.dir, "cc")}`,
      KRB5_CLIENT_KTNAME: `FILE:${join(this.dir, "user.keytab")}`,
    };
    this.#adminEnv = { ...this.env, KRB5_KDC_PROFILE: join(this.dir, "kdc.conf") };
    writeFileSync(this.env.KRB5_CONFIG, krb5Conf(config));
    writeFileSync(this.#adminEnv.KRB5_KDC_PROFILE, kdcConf(config));
  }

  async create(): Promise<void> {
    const args = ["create", "-s", "-r", REALM, "-P", "a master password of no worth"];
    await mustRun(findProgram("kdb5_util")!, args, { env: this.#adminEnv });
    await this.kadmin([
      ...Object.entries(USERS).map(([user, password]) => `addprinc -pw ${password} ${user}`),
      ...SERVICES.map((name, index) => `addprinc -randkey ${index === 0 ? "+ok_as_delegate " : ""}${name}`),
      `ktadd -k ${quote(join(this.dir, "svc.keytab"))} ${SERVICES.join(" ")}`,
      `ktadd -norandkey -k ${quote(join(this.dir, "user.keytab"))} alice`,
    ]);
  }

  async start(): Promise<void> {
    const args = ["-c", KEEPER, "kdc-keeper", findProgram("krb5kdc")!, REALM, this.dir];
    const keeper = spawn(findProgram("sh")!, [...args, this.#removeAtEnd ? this.dir : ""], {
      env: { ...process.env, ...this.#adminEnv },
      stdio: ["pipe", "ignore", "ignore"],
      // A session of its own: Ctrl-C reaches the owner, whose end then ends the keeper in order.
      detached: true,
    });
    keeper.unref();
    keeper.stdin!.on("error", () => {});
    this.#keeper = keeper;
    for (let waited = 0; waited < 10_000; waited += 10) {
      if (read(join(this.dir, "kdc.log")).includes("commencing operation")) return;
      const complaint = /^krb5kdc: (?!starting).*/m.exec(read(join(this.dir, "kdc.out")));
      if (complaint) throw new Error(`Cannot start a realm: ${complaint[0]}`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    throw new Error(`Cannot start a realm: the KDC said nothing in 10 s: ${read(join(this.dir, "kdc.out"))}`);
  }

  applyEnv(): () => void {
    return applyEnvironment(this.env);
  }

  async addPrincipal(name: string, options: PrincipalOptions = {}): Promise<void> {
    const random = options.password === undefined;
    const keytabs = options.keytabs ?? (random ? [join(this.dir, "svc.keytab")] : []);
    const key = random ? "-randkey" : `-pw ${quote(options.password!)}`;
    await this.kadmin([`addprinc ${key} ${options.flags ?? ""} ${quote(name)}`]);
    for (const keytab of keytabs) await this.exportKeytab(keytab, [name]);
  }

  async exportKeytab(file: string, principals: readonly string[]): Promise<void> {
    await this.kadmin([`ktadd -norandkey -k ${quote(file)} ${principals.map(quote).join(" ")}`]);
  }

  async kadmin(commands: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await run(findProgram("kadmin.local")!, ["-r", REALM], {
      env: this.#adminEnv,
      input: commands.join("\n") + "\n",
    });
    // kadmin.local ends with 0 whatever became of the commands it was given.
    const complaints = stderr.split("\n").filter((line) => line !== "" && !/^No policy specified/.test(line));
    if (code !== 0 || complaints.length > 0) {
      throw new Error(`kadmin.local refused: ${complaints.join("; ") || `exit code ${code}`}`);
    }
    return stdout;
  }

  async kinit(user: string, options: KinitOptions = {}): Promise<string> {
    const password = options.password ?? (USERS as Record<string, string>)[user];
    if (password === undefined) {
      throw new TypeError(`kinit: give the password of ${user}, only alice's and bob's are known`);
    }
    const cache = options.cache ?? this.env.KRB5CCNAME;
    const args = ["-c", cache, options.forwardable === false ? "-F" : "-f"];
    if (options.lifetime !== undefined) args.push("-l", options.lifetime);
    if (options.service !== undefined) args.push("-S", options.service);
    const env = { ...this.env, KRB5_CONFIG: options.config ?? this.env.KRB5_CONFIG };
    await mustRun(findProgram("kinit")!, [...args, user], { env, input: `${password}\n` });
    return cache;
  }

  writeConfig(changes: { port?: number; libdefaults?: Record<string, string> }): string {
    const path = join(this.dir, `krb5-${++this.#configs}.conf`);
    const libdefaults = { ...this.#config.libdefaults, ...changes.libdefaults };
    writeFileSync(path, krb5Conf({ ...this.#config, port: changes.port ?? this.port, libdefaults }));
    return path;
  }

  async stop(): Promise<void> {
    const keeper = this.#keeper;
    this.#keeper = null;
    if (!keeper) {
      if (this.#removeAtEnd) rmSync(this.dir, { recursive: true, force: true });
      return;
    }
    keeper.ref();
    const { promise, resolve } = Promise.withResolvers<void>();
    if (keeper.exitCode !== null || keeper.signalCode !== null) resolve();
    keeper.once("close", () => resolve());
    keeper.stdin!.end();
    await promise;
  }

  pause(): Promise<void> {
    if (this.#removeAtEnd) {
      throw new TypeError("Cannot pause the realm: its folder is temporary, give options.dir");
    }
    return this.stop();
  }

  resume(): Promise<void> {
    // What the KDC logged when it started before says nothing of this time.
    rmSync(join(this.dir, "kdc.log"), { force: true });
    return this.start();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}

/** Sets this process's real environment, which native code reads too; call the result to put it back. */
export function applyEnvironment(env: Readonly<Record<string, string>>): () => void {
  const before = new Map(Object.keys(env).map((name) => [name, process.env[name]]));
  Object.assign(process.env, env);
  return () => {
    for (const [name, value] of before) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  };
}

/** The text of a file; empty where there is none. */
export function read(path: string): string {
  return existsSync(path) ? readFileSync(path, "utf8") : "";
}

function quote(word: string): string {
  if (/["\r\n]/.test(word)) throw new TypeError(`kadmin.local cannot be told ${JSON.stringify(word)}`);
  return `"${word}"`;
}

/** A port of 127.0.0.1 that was free a moment ago. */
export function freePort(): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const server = createServer();
  server.on("error", reject);
  server.listen(0, "127.0.0.1", () => {
    const address = server.address();
    server.close(() => resolve((address as { port: number }).port));
  });
  return promise;
}
