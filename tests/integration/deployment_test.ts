/** docs/deployment.md: its unit, and its commands for key tables, as the page shows them. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { test } from "@test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { openAcceptor, openInitiator, openSystem } from "../../mod.ts";
import { findProgram, mustRun, run } from "../../scripts/process.ts";
import { adDcUnavailable, startAdDc } from "../rig/ad_dc.ts";
import { startRealm } from "../rig/realm.ts";
import { noRealm } from "../support/kerberos.ts";
import { namespacesUnavailable } from "../rig/daemon.ts";

const PAGE = readFileSync(new URL("../../docs/deployment.md", import.meta.url), "utf8");
const SPN = "HTTP/files.example.test";

/** The block of the page that contains `text`. */
function block(text: string): string {
  const found = [...PAGE.matchAll(/^```\w+\n([^]*?)^```$/gm)].find(([, code]) => code.includes(text));
  if (found === undefined) throw new Error(`docs/deployment.md has no block with ${text}`);
  return found[1];
}

async function withFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "secure-sockets-deployment-"));
  try {
    await body(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Whether a client with a ticket reaches a server that has this key table. */
async function serves(keytab: string): Promise<void> {
  using system = openSystem({ grants: ["sspi"] });
  using initiator = await openInitiator({ system });
  using acceptor = await openAcceptor({
    system,
    acceptedTargets: [SPN],
    credentials: { keytab: `FILE:${keytab}` },
  });
  using client = initiator.initiate({ target: SPN });
  using server = acceptor.accept();
  await server.step((await client.step()).token!);
  assertEquals(server.peer?.user, "alice");
}

test("docs/deployment.md shows a unit that systemd-analyze verify accepts", async () => {
  await withFolder(async (folder) => {
    const unit = block("LoadCredential=").replace("/usr/bin/deno", process.execPath);
    const path = join(folder, "files.service");
    writeFileSync(path, unit);
    assertEquals(await mustRun("systemd-analyze", ["verify", path]), { code: 0, stdout: "", stderr: "" });
    writeFileSync(path, unit.replace("LoadCredential", "LoadCredentials"));
    assertMatch(
      (await run("systemd-analyze", ["verify", path])).stderr,
      /Unknown key (name )?'LoadCredentials'/,
    );
  });
}, { skip: findProgram("systemd-analyze") === null ? "there is no systemd-analyze" : null });

test("docs/deployment.md's commands of kadmin make a key table that serves", async () => {
  await using realm = await startRealm();
  await withFolder(async (folder) => {
    const keytab = join(folder, "files.keytab");
    const env = { ...realm.env, KRB5_KDC_PROFILE: join(realm.dir, "kdc.conf") };
    const commands = block("addprinc -randkey").replaceAll("/etc/keytabs/files.keytab", keytab)
      .replace(/^kadmin /gm, "kadmin.local ");
    const { stdout } = await mustRun("sh", ["-ec", commands], { env });
    assertMatch(stdout, /HTTP\/files\.example\.test@MIT\.TEST \(aes256-cts/);
    await realm.kinit("alice");
    const restore = realm.applyEnv();
    try {
      await serves(keytab);
    } finally {
      restore();
    }
  });
}, { skip: noRealm });

test(
  "docs/deployment.md's command of adcli registers the name and makes a key table that serves",
  async () => {
    await using dc = await startAdDc();
    await withFolder(async (folder) => {
      const keytab = join(folder, "krb5.keytab"), hosts = join(folder, "hosts");
      writeFileSync(hosts, `127.0.0.1 localhost\n${dc.address} dc1.example.test\n`);
      const where = `--domain=example.test --domain-controller=dc1.example.test --host-keytab=${keytab} ` +
        "--host-fqdn=files.example.test --computer-name=FILES1";
      const [adcli] = block("adcli update").split("\n");
      await mustRun("unshare", [
        "--mount",
        "sh",
        "-ec",
        `mount --bind ${hosts} /etc/hosts
      adcli join ${where} --login-type=user -U Administrator --stdin-password
      ${adcli} ${where}`,
      ], { env: { ...dc.env }, input: dc.users.Administrator });
      const found = await dc.search(["(sAMAccountName=FILES1$)", "servicePrincipalName"]);
      assert(found.includes(`servicePrincipalName: ${SPN}\n`), found);
      await dc.kinit("alice");
      const restore = dc.applyEnv();
      try {
        await serves(keytab);
      } finally {
        restore();
      }
    });
  },
  {
    skip: (await adDcUnavailable()) ?? (findProgram("adcli") === null ? "install adcli" : null) ??
      ("Deno" in globalThis ? namespacesUnavailable() : "once, on Deno"),
  },
);
