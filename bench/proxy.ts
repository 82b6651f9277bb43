/**
 * `deno task bench:proxy`: measures `secure-sockets proxy` beside tinyproxy and Squid, which sign on to nothing.
 *
 * @module
 */

import { chmodSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { cleanUpWhenInterrupted, temporaryFolder } from "../scripts/temporary.ts";
import { daemonFolder, findDaemon, startDaemon } from "../tests/rig/daemon.ts";
import { freePort, type Realm, startRealm } from "../tests/rig/realm.ts";
import { startSquid } from "../tests/rig/squid.ts";

const HELP = `Usage: deno task bench:proxy [--tunnels N] [--mib N] [--rounds N] [--help]

Compares this library's proxy with tinyproxy and Squid, each as a process of its own, in turns:

  connect     tunnels made one after the other; "signed on": with a Kerberos token for each, to an upstream that
              answers at once, so that the token is what it costs
  1, 16       MiB a second through 1 and 16 tunnels, from one process through the proxy into the same process
  memory      resident memory of the proxy before, and with N tunnels (default 5000) open and idle, in KiB for each

Options: --mib N how much goes through a tunnel (default 512), --rounds N (default 3).
Needs tinyproxy, squid and a Kerberos server: install tinyproxy squid krb5-kdc krb5-admin-server krb5-user.
Exit status: 0 measured; 2 the command is wrong.`;

const CLI = fileURLToPath(new URL("../cli.ts", import.meta.url));
const CHUNK = new Uint8Array(64 * 1024);

/** A proxy under measurement. */
interface Subject extends AsyncDisposable {
  readonly name: string;
  readonly port: number;
  /** Its process. */
  pid(): number;
}

/** Listens on loopback, and serves each connection by `serve`. */
function listen(serve: (connection: Deno.Conn) => Promise<void>): Deno.Listener & Disposable {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  (async () => {
    for await (const connection of listener) serve(connection).catch(() => {});
  })().catch(() => {});
  return listener;
}

function portOf(listener: Deno.Listener): number {
  return (listener.addr as Deno.NetAddr).port;
}

/** Sends as many bytes as the first 8 it receives say. */
async function source(connection: Deno.Conn): Promise<void> {
  const wanted = new Uint8Array(8);
  for (let have = 0; have < 8;) {
    const count = await connection.read(wanted.subarray(have));
    if (count === null) return connection.close();
    have += count;
  }
  let left = Number(new DataView(wanted.buffer).getBigUint64(0));
  while (left > 0) left -= await connection.write(CHUNK.subarray(0, Math.min(left, CHUNK.length)));
  await connection.read(wanted);
  connection.close();
}

/** A proxy that answers CONNECT without looking at the token, and is the far end itself. */
async function farProxy(connection: Deno.Conn): Promise<void> {
  const decoder = new TextDecoder();
  const buffer = new Uint8Array(64 * 1024);
  for (let text = ""; !text.includes("\r\n\r\n");) {
    const count = await connection.read(buffer);
    if (count === null) return connection.close();
    text += decoder.decode(buffer.subarray(0, count));
  }
  await connection.write(new TextEncoder().encode("HTTP/1.1 200 OK\r\n\r\n"));
  await source(connection);
}

/** Makes a tunnel to `port`. */
async function tunnel(proxy: number, host: string, port: number): Promise<Deno.TcpConn> {
  const connection = await Deno.connect({ hostname: "127.0.0.1", port: proxy });
  const request = `CONNECT ${host}:${port} HTTP/1.1\r\nHost: ${host}:${port}\r\n\r\n`;
  await connection.write(new TextEncoder().encode(request));
  const buffer = new Uint8Array(4096);
  let text = "";
  while (!text.includes("\r\n\r\n")) {
    const count = await connection.read(buffer);
    if (count === null) throw new Error(`the proxy closed the connection after ${JSON.stringify(text)}`);
    text += new TextDecoder().decode(buffer.subarray(0, count));
  }
  if (!/^HTTP\/1\.. 200/.test(text)) throw new Error(text);
  return connection;
}

async function drain(connection: Deno.TcpConn, bytes: number): Promise<void> {
  const wanted = new Uint8Array(8);
  new DataView(wanted.buffer).setBigUint64(0, BigInt(bytes));
  await connection.write(wanted);
  const buffer = new Uint8Array(256 * 1024);
  for (let left = bytes; left > 0;) {
    const count = await connection.read(buffer);
    if (count === null) throw new Error("the tunnel was closed");
    left -= count;
  }
  connection.close();
}

async function startOurs(realm: Realm, upstream: number): Promise<Subject> {
  const args = [
    "--upstream",
    `http://localhost:${upstream}`,
    "--port",
    "0",
    "--json",
    "--max-connections",
    "20000",
  ];
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--quiet", CLI, "proxy", ...args],
    env: { ...realm.env, HOME: realm.dir, XDG_CONFIG_HOME: realm.dir },
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).spawn();
  const lines = child.stderr.pipeThrough(new TextDecoderStream()).getReader();
  const { value = "" } = await lines.read();
  const port = Number(/127\.0\.0\.1:(\d+)/.exec(value)![1]);
  // What it logs afterwards is shown.
  const rest = (async () => {
    for (let next = await lines.read(); !next.done; next = await lines.read()) {
      console.error(next.value.trim());
    }
  })();
  return {
    name: "secure-sockets proxy",
    port,
    pid: () => child.pid,
    async [Symbol.asyncDispose]() {
      child.kill("SIGTERM");
      await Promise.all([child.status, rest]);
    },
  };
}

async function startTinyproxy(): Promise<Subject> {
  const dir = daemonFolder("tinyproxy");
  const port = await freePort();
  chmodSync(dir, 0o755);
  const lines = [`Port ${port}`, "Listen 127.0.0.1", "Timeout 600", "MaxClients 20000", "LogLevel Critical"];
  writeFileSync(join(dir, "conf"), `${lines.join("\n")}\n`);
  const command = [findDaemon("tinyproxy")!, "-d", "-c", join(dir, "conf")];
  const daemon = await startDaemon({ dir, port, command, env: {} });
  return { ...daemon, name: "tinyproxy", pid: () => pidOf("tinyproxy", dir) };
}

async function startPlainSquid(): Promise<Subject> {
  const daemon = await startSquid(null);
  return { ...daemon, name: "Squid", pid: () => pidOf("squid", String(daemon.port)) };
}

/** The process of a program whose configuration's folder or port is `mark`. */
function pidOf(program: string, mark: string): number {
  for (const { name } of Deno.readDirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const words = readFileSync(`/proc/${name}/cmdline`, "utf8").split("\0");
      if (!words[0].endsWith(program)) continue;
      const config = words.find((word) => /conf$/.test(word));
      if (config?.includes(mark) || (config !== undefined && readFileSync(config, "utf8").includes(mark))) {
        return Number(name);
      }
    } catch {
      // It has ended.
    }
  }
  throw new Error(`${program} is not there`);
}

function residentKiB(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))![1]);
}

async function seconds(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return (performance.now() - start) / 1000;
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1];
}

async function main(args: string[]): Promise<number> {
  let values: { help?: boolean; tunnels: string; mib: string; rounds: string };
  try {
    ({ values } = parseArgs({
      args,
      options: {
        help: { type: "boolean" },
        tunnels: { type: "string", default: "5000" },
        mib: { type: "string", default: "512" },
        rounds: { type: "string", default: "3" },
      },
    }));
  } catch (error) {
    console.error((error as Error).message);
    return 2;
  }
  const [tunnels, mib, rounds] = [values.tunnels, values.mib, values.rounds].map(Number);
  if (values.help || ![tunnels, mib, rounds].every((value) => Number.isInteger(value) && value > 0)) {
    console.log(HELP);
    return values.help ? 0 : 2;
  }
  await using folder = await temporaryFolder("bench", 0o711);
  for (const [name, value] of Object.entries(folder.env)) Deno.env.set(name, value);
  await using realm = await startRealm();
  await realm.kinit("alice");
  using origin = listen(source);
  using upstream = listen(farProxy);
  await using ours = await startOurs(realm, portOf(upstream));
  await using tinyproxy = await startTinyproxy();
  await using squid = await startPlainSquid();
  const cases = [
    { subject: ours, label: `${ours.name}, signed on`, host: "web.example.test", port: 443 },
    { subject: ours, label: `${ours.name}, direct`, host: "127.0.0.1", port: portOf(origin) },
    { subject: tinyproxy, label: tinyproxy.name, host: "127.0.0.1", port: portOf(origin) },
    { subject: squid, label: squid.name, host: "127.0.0.1", port: portOf(origin) },
  ];
  const found = cases.map(() => ({ connect: [] as number[], one: [] as number[], many: [] as number[] }));
  for (let round = -1; round < rounds; round++) {
    for (const [index, { subject, host, port }] of cases.entries()) {
      const open = () => tunnel(subject.port, host, port);
      const connect = await seconds(async () => {
        for (let count = 0; count < 200; count++) (await open()).close();
      });
      const bytes = mib * 1024 * 1024;
      const single = await open();
      const one = await seconds(() => drain(single, bytes));
      const several = await Promise.all(Array.from({ length: 16 }, open));
      const many = await seconds(() =>
        Promise.all(several.map((connection) => drain(connection, bytes / 16)))
      );
      if (round < 0) continue;
      found[index].connect.push(200 / connect);
      found[index].one.push(mib / one);
      found[index].many.push(mib / many);
    }
  }
  console.log(
    `| proxy | connect, 1/s | 1 tunnel, MiB/s | 16 tunnels, MiB/s | idle, MiB | KiB for each of ${tunnels} tunnels |`,
  );
  console.log("| --- | ---: | ---: | ---: | ---: | ---: |");
  for (const [index, { subject, label, host, port }] of cases.entries()) {
    const memory = label.endsWith("direct") ? null : await perTunnel(subject, host, port, tunnels);
    const { connect, one, many } = found[index];
    const cells = [median(connect), median(one), median(many)].map((value) => value.toFixed(0));
    cells.push(...(memory === null ? ["", ""] : [(memory.before / 1024).toFixed(0), memory.each.toFixed(1)]));
    console.log(`| ${[label, ...cells].join(" | ")} |`);
  }
  return 0;
}

/** Opens tunnels, 50 at a time, and measures what they cost the proxy. */
async function perTunnel(subject: Subject, host: string, port: number, count: number) {
  const before = residentKiB(subject.pid());
  const open: Deno.TcpConn[] = [];
  try {
    while (open.length < count) {
      const some = Math.min(50, count - open.length);
      open.push(...await Promise.all(Array.from({ length: some }, () => tunnel(subject.port, host, port))));
    }
    return { before, each: (residentKiB(subject.pid()) - before) / count };
  } finally {
    for (const connection of open) connection.close();
  }
}

if (import.meta.main) {
  cleanUpWhenInterrupted();
  Deno.exit(await main(Deno.args));
}
