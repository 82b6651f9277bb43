/** The throw-away Active Directory domain. */

import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { test } from "@test";
import { spawn } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { connect } from "node:net";
import process from "node:process";
import { findProgram, mustRun, run } from "../../scripts/process.ts";
import { adDcUnavailable, startAdDc } from "../rig/ad_dc.ts";
import { withEnv } from "../support/env.ts";
import { noAdDc } from "../support/ad.ts";

const skip = noAdDc;

function answers(address: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(389, address);
    socket.on("connect", () => socket.destroy());
    socket.on("error", () => {});
    socket.on("close", (failed) => resolve(!failed));
  });
}

/** Whether a command line of any process names `part`. */
function isRunning(part: string): boolean {
  return readdirSync("/proc").filter((name) => /^\d+$/.test(name)).some((pid) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(part);
    } catch {
      return false;
    }
  });
}

test(
  "a domain gives users and computers tickets, changes as it is told, and leaves nothing behind",
  async () => {
    const dc = await startAdDc();
    assert(await answers(dc.address));
    for (const user of Object.keys(dc.users)) await dc.kinit(user);
    await mustRun(findProgram("kvno")!, [...dc.services], { env: { ...dc.env } });
    await assertRejects(() => dc.kinit("alice", { password: "wrong" }), Error, "Password incorrect");
    await assertRejects(() => dc.kinit("nobody"), TypeError, "is not known");
    await dc.tool(["group", "add", "Later"]);
    // What the documentation and the message of isMember() say finds a group's SID.
    const shown = await dc.tool(["group", "show", "Later", "--attributes=objectSid"]);
    assertStringIncludes(shown, "objectSid: S-1-5-21-");
    const keytab = `${dc.dir}/other.keytab`;
    await dc.exportKeytab(keytab, ["host/web1.example.test"]);
    const { stdout } = await mustRun(findProgram("klist")!, ["-k", keytab], { env: { ...dc.env } });
    assertStringIncludes(stdout, "host/web1.example.test@EXAMPLE.TEST");
    await dc.stop();
    await dc.stop();
    assertEquals([await answers(dc.address), existsSync(dc.dir), isRunning(dc.dir)], [false, false, false]);
  },
  { skip },
);

test("two domains stand side by side, and only one takes a password in the clear", async () => {
  await using one = await startAdDc();
  await using two = await startAdDc({ strongAuthentication: true });
  assert(one.address !== two.address);
  const bind = ({ address, base, users }: typeof one) =>
    run(findProgram("ldapsearch")!, [
      ...["-x", "-H", `ldap://${address}`, "-D", `CN=alice,CN=Users,${base}`, "-w", users.alice],
      ...["-LLL", "-b", base, "-s", "base", "objectSid"],
    ]);
  const [weak, strong] = await Promise.all([one, two].map(bind));
  assertEquals(weak.code, 0, weak.stderr);
  assertStringIncludes(weak.stdout, `dn: ${one.base}`);
  assertEquals(strong.code, 8);
  assertStringIncludes(strong.stderr, "Strong(er) authentication required");
}, { skip });

test("a machine without Samba is told what to install", () =>
  withEnv({ PATH: "/none" }, async () => {
    const reason = await adDcUnavailable();
    assertStringIncludes(reason!, "apt-get install samba samba-ad-provision");
  }), { skip: process.platform === "linux" ? null : "on Linux alone a domain can be made" });

test("nothing of a domain outlives its process when that is killed", async () => {
  const module = new URL("../rig/ad_dc.ts", import.meta.url).href;
  const code = `const { startAdDc } = await import(${JSON.stringify(module)});
    const dc = await startAdDc();
    console.log(JSON.stringify({ dir: dc.dir, address: dc.address }));
    setInterval(() => {}, 1000);`;
  const args = process.versions.deno ? ["eval", code] : ["--input-type=module", "-e", code];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  const closed = new Promise((resolve) => child.once("close", resolve));
  const line = await new Promise<string>((resolve, reject) => {
    child.stdout.setEncoding("utf8").once("data", resolve);
    closed.then(() => reject(new Error("it ended without a word")));
  });
  const { dir, address } = JSON.parse(line);
  assert(await answers(address));
  child.kill("SIGKILL");
  await closed;
  for (let tries = 0; tries < 1000 && (existsSync(dir) || isRunning(dir)); tries++) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  assertEquals([existsSync(dir), isRunning(dir), await answers(address)], [false, false, false]);
}, { skip });
