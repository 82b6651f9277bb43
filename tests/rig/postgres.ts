/**
 * A temporary PostgreSQL cluster on loopback, whose users authenticate with Kerberos in a temporary realm. Works on Deno
 * and on Node, leaves the machine's own clusters alone, and ends with the process that started it.
 *
 * @module
 */

import { type ChildProcess, spawn } from "node:child_process";
import {
  chownSync,
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { findProgram, mustRun } from "../../scripts/process.ts";
import { freePort, REALM, type Realm, USERS } from "./realm.ts";

const VERSIONS = "/usr/lib/postgresql";

// As for the KDC: the shell ends the server at the end of its own input.
const KEEPER = `folder="$1"; shift
"$@" >"$folder/log" 2>&1 </dev/null &
server=$!
read -r _
kill -INT "$server"
wait "$server"
rm -rf -- "$folder"`;

/** The server's rules for connections; alice's password is the realm's. */
const HBA = `
hostgssenc   postgres  all 127.0.0.1/32 gss include_realm=0 krb_realm=${REALM}
hostnogssenc postgres  all 127.0.0.1/32 gss include_realm=0 krb_realm=${REALM}
hostgssenc   template1 all 127.0.0.1/32 scram-sha-256
hostnogssenc template1 all 127.0.0.1/32 trust
hostnogssenc password  all 127.0.0.1/32 password
`;

/** A running cluster. One owner; `stop` twice is harmless. */
export interface Postgres extends AsyncDisposable {
  /** The server's port on 127.0.0.1. */
  readonly port: number;
  /** What the server has logged. */
  log(): string;
  /** Ends the server and removes its folder. */
  stop(): Promise<void>;
}

/** Where the server's programs are; the newest version. */
function programs(): string | null {
  const versions = existsSync(VERSIONS) ? readdirSync(VERSIONS) : [];
  const [newest] = versions.sort((one, other) => Number(other) - Number(one))
    .map((version) => join(VERSIONS, version, "bin")).filter((folder) => existsSync(join(folder, "initdb")));
  return newest ?? null;
}

/** Why no cluster can be made here, as a sentence that says what to install; null where one can. */
export function postgresUnavailable(): string | null {
  if (programs() === null) return "a PostgreSQL server is needed: install postgresql";
  if (process.getuid?.() === 0 && findProgram("setpriv") === null) {
    return "PostgreSQL refuses to run as root, and setpriv is needed to be somebody else: install util-linux";
  }
  return null;
}

/** Makes a cluster, in which alice is superuser, and starts its server. */
export async function startPostgres(realm: Realm): Promise<Postgres> {
  const reason = postgresUnavailable();
  if (reason !== null) throw new Error(`Cannot start PostgreSQL: ${reason}`);
  const dir = mkdtempSync(join(tmpdir(), "secure-sockets-postgres-"));
  try {
    return await start(realm, dir);
  } catch (error) {
    rmSync(dir, { recursive: true, force: true });
    throw error;
  }
}

async function start(realm: Realm, dir: string): Promise<Postgres> {
  const [data, keytab, krb5, password] = ["data", "keytab", "krb5.conf", "password"].map((name) =>
    join(dir, name)
  );
  const port = await freePort();
  if (!(await realm.kadmin(["listprincs"])).includes("postgres/localhost")) {
    await realm.kadmin(["addprinc -randkey postgres/localhost"]);
  }
  await realm.exportKeytab(keytab, ["postgres/localhost"]);
  cpSync(realm.env.KRB5_CONFIG, krb5);
  writeFileSync(password, USERS.alice);
  const account = process.getuid?.() === 0 ? await unprivileged() : null;
  const as = account === null ? [] : [findProgram("setpriv")!, ...account.flags];
  if (account !== null) {
    for (const path of [dir, keytab, krb5, password]) chownSync(path, account.uid, account.gid);
  }
  const bin = programs()!;
  const initdb = [
    ...as,
    join(bin, "initdb"),
    "-D",
    data,
    "-U",
    "alice",
    "--pwfile",
    password,
    "-A",
    "scram-sha-256",
  ];
  const quick = ["--no-sync", "-E", "UTF8", "--locale=C"];
  await mustRun(initdb[0], [...initdb.slice(1), ...quick], { cwd: dir });
  writeFileSync(join(data, "pg_hba.conf"), HBA);
  const settings = {
    listen_addresses: "127.0.0.1",
    port: String(port),
    unix_socket_directories: "",
    krb_server_keyfile: `FILE:${keytab}`,
    fsync: "off",
    max_connections: "30",
    lc_messages: "C",
  };
  const options = Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
  const command = [...as, join(bin, "postgres"), "-D", data, ...options];
  const keeper = spawn(findProgram("sh")!, ["-c", KEEPER, "postgres-keeper", dir, ...command], {
    env: { ...process.env, KRB5_CONFIG: krb5 },
    cwd: dir,
    stdio: ["pipe", "ignore", "ignore"],
    detached: true,
  });
  keeper.unref();
  keeper.stdin!.on("error", () => {});
  const cluster = new Cluster(dir, port, keeper);
  for (let waited = 0; waited < 30_000 && keeper.exitCode === null; waited += 20) {
    if (cluster.log().includes("ready to accept connections")) return cluster;
    if (/FATAL/.test(cluster.log())) break;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  const log = cluster.log();
  await cluster.stop();
  throw new Error(`Cannot start PostgreSQL: ${log || "it wrote nothing in 30 s"}`);
}

class Cluster implements Postgres {
  readonly port: number;
  readonly #dir: string;
  #keeper: ChildProcess | null;

  constructor(dir: string, port: number, keeper: ChildProcess) {
    this.#dir = dir;
    this.port = port;
    this.#keeper = keeper;
  }

  log(): string {
    const path = join(this.#dir, "log");
    return existsSync(path) ? readFileSync(path, "utf8") : "";
  }

  async stop(): Promise<void> {
    const keeper = this.#keeper;
    this.#keeper = null;
    if (keeper === null) return;
    keeper.ref();
    const { promise, resolve } = Promise.withResolvers<void>();
    if (keeper.exitCode !== null || keeper.signalCode !== null) resolve();
    keeper.once("close", () => resolve());
    keeper.stdin!.end();
    await promise;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}

/** An account other than root: the package's account, or nobody. */
async function unprivileged(): Promise<{ uid: number; gid: number; flags: string[] }> {
  const { stdout } = await mustRun("sh", ["-c", "getent passwd postgres || getent passwd nobody"]);
  const [, , uid, gid] = stdout.trim().split(":");
  return {
    uid: Number(uid),
    gid: Number(gid),
    flags: [`--reuid=${uid}`, `--regid=${gid}`, "--clear-groups"],
  };
}
