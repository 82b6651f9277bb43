import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { test } from "@test";
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { findProgram, mustRun, run } from "../../scripts/process.ts";
import { ROOT } from "../../scripts/root.ts";
import { postgresUnavailable } from "../rig/postgres.ts";
import { freePort, realmUnavailable, startRealm } from "../rig/realm.ts";

const skip = realmUnavailable();

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.on("connect", () => socket.destroy());
    socket.on("error", () => {});
    socket.on("close", (failed) => resolve(!failed));
  });
}

/** The command line of every process. */
function commandLines(): string[] {
  return readdirSync("/proc").filter((name) => /^\d+$/.test(name)).map((pid) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, "utf8");
    } catch {
      return "";
    }
  });
}

async function until(condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
  for (let tries = 0; tries < 1000; tries++) {
    if (await condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error(`not within 10 s: ${what}`);
}

test("startRealm gives its users tickets and leaves nothing behind", async () => {
  const realm = await startRealm();
  assert(await answers(realm.port));
  const cache = await realm.kinit("bob", { lifetime: "10m" });
  const { stdout } = await mustRun(findProgram("klist")!, ["-f", cache], { env: realm.env });
  assertStringIncludes(stdout, "Default principal: bob@MIT.TEST");
  assertStringIncludes(stdout, "Flags: F");
  await mustRun(findProgram("kvno")!, ["HTTP/localhost", "host/web.mit.test"], { env: realm.env });
  await realm.stop();
  await realm.stop();
  assertEquals(await answers(realm.port), false);
  assertEquals(existsSync(realm.dir), false);
}, { skip });

test("the client key table alone is enough for alice", async () => {
  await using realm = await startRealm();
  const cache = `FILE:${realm.dir}/from-keytab`;
  await mustRun(findProgram("kinit")!, ["-k", "-i", "-c", cache, "alice"], { env: realm.env });
  const { stdout } = await mustRun(findProgram("klist")!, [cache], { env: realm.env });
  assertStringIncludes(stdout, "Default principal: alice@MIT.TEST");
}, { skip });

test("startRealm runs two realms beside each other", async () => {
  await using one = await startRealm();
  await using two = await startRealm();
  assert(one.port !== two.port);
  await one.addPrincipal("carol", { password: "Carol 1234" });
  await one.kinit("carol", { password: "Carol 1234" });
  await assertRejects(() => two.kinit("carol", { password: "Carol 1234" }), Error, "not found");
}, { skip });

test(
  "a wrong password, an unknown user and a refused command are errors with the program's message",
  async () => {
    await using realm = await startRealm();
    await assertRejects(() => realm.kinit("alice", { password: "wrong" }), Error, "incorrect");
    await assertRejects(() => realm.kinit("nobody"), TypeError, "only alice's and bob's");
    await assertRejects(() => realm.kadmin(["addprinc -randkey alice"]), Error, "already exists");
    await assertRejects(() => realm.addPrincipal('a"b'), TypeError, "cannot be told");
  },
  { skip },
);

test("a service added later has its key in the table named, and its flags", async () => {
  await using realm = await startRealm();
  const keytab = join(realm.dir, "other.keytab");
  await realm.addPrincipal("imap/localhost", { keytabs: [keytab], flags: "+ok_as_delegate" });
  const { stdout } = await mustRun(findProgram("klist")!, ["-k", keytab], { env: realm.env });
  assertStringIncludes(stdout, "imap/localhost@MIT.TEST");
  assertStringIncludes(await realm.kadmin(["getprinc imap/localhost"]), "OK_AS_DELEGATE");
}, { skip });

test("applyEnv sets this process's environment and its result puts it back", async () => {
  await using realm = await startRealm();
  const before = process.env.KRB5CCNAME;
  const restore = realm.applyEnv();
  assertEquals(process.env.KRB5CCNAME, realm.env.KRB5CCNAME);
  restore();
  assertEquals(process.env.KRB5CCNAME, before);
}, { skip });

test("a second configuration can point at a port where no KDC listens", async () => {
  await using realm = await startRealm();
  const config = realm.writeConfig({ port: await freePort() });
  assertStringIncludes(readFileSync(config, "utf8"), "default_realm = MIT.TEST");
  await assertRejects(() => realm.kinit("alice", { config }), Error, "Cannot contact any KDC");
}, { skip });

test("startRealm keeps a given folder, and refuses a folder in use", async () => {
  const dir = mkdtempSync(join(tmpdir(), "realm-test-"));
  try {
    const realm = await startRealm({ dir, maxLife: "5s" });
    await assertRejects(() => startRealm({ dir }), TypeError, "holds one already");
    await realm.stop();
    assert(existsSync(join(dir, "principal")));
  } finally {
    rmSync(dir, { recursive: true });
  }
}, { skip });

for (const signal of ["SIGINT", "SIGKILL", "exit"] as const) {
  test(`startRealm leaves nothing behind when its process ends by ${signal}`, async () => {
    const module = new URL("../rig/realm.ts", import.meta.url).href;
    const code = `const { startRealm } = await import(${JSON.stringify(module)});
      const realm = await startRealm();
      console.log(JSON.stringify({ dir: realm.dir, port: realm.port }));
      ${signal === "exit" ? "process.exit(0);" : "setInterval(() => {}, 1000);"}`;
    const args = process.versions.deno ? ["eval", `import process from "node:process"; ${code}`] : [
      "--input-type=module",
      "-e",
      code,
    ];
    const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
    const line = await new Promise<string>((resolve, reject) => {
      child.stdout.setEncoding("utf8").once("data", resolve);
      child.once("close", () => reject(new Error("it ended without a word")));
    });
    const { dir, port } = JSON.parse(line);
    const ended = child.exitCode === null && child.signalCode === null
      ? new Promise((resolve) => child.once("close", resolve))
      : null;
    if (signal !== "exit") {
      assert(await answers(port));
      child.kill(signal);
    }
    await ended;
    await until(() => !existsSync(dir), "the folder is removed");
    assertEquals(await answers(port), false);
    // The keeper's last deed is to remove the folder, so it may be seen ending.
    await until(() => !commandLines().some((line) => line.includes(dir)), "its processes have ended");
  }, { skip });
}

function realmTask(...args: string[]) {
  return run(Deno.execPath(), ["run", "-A", "scripts/in_realm.ts", ...args], {
    cwd: ROOT,
    env: { NO_COLOR: "1" },
    timeoutMs: 60_000,
  });
}

test("deno task realm refuses unknown options with 2, and leaves a program its own", async () => {
  const { code, stderr } = await realmTask("--postgre", "true");
  assertEquals(code, 2);
  assertStringIncludes(stderr, "--postgre");
  const { code: own, stdout } = await realmTask(
    "--no-install",
    "sh",
    "-c",
    'echo "$1"; exit 7',
    "sh",
    "--help",
  );
  assertEquals([own, stdout], [7, "--help\n"]);
}, { skip });

test("deno task realm --postgres has a server that the example queries with alice's ticket", async () => {
  const client = "examples/postgres_client.ts $PGHOST $PGPORT $PGUSER $PGDATABASE";
  const script = `"${Deno.execPath()}" run --allow-net --allow-ffi --allow-env ${client}; echo $PGPORT`;
  const { code, stdout, stderr } = await realmTask("--no-install", "--postgres", "sh", "-c", script);
  const [said, port] = stdout.trim().split("\n");
  assertEquals([code, said], [0, "postgres/localhost sees alice@MIT.TEST, encrypted"], stderr);
  assertEquals(await answers(Number(port)), false);
}, { skip: skip ?? postgresUnavailable() });
