/** `secure-sockets doctor`. */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { test } from "@test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { run, type RunResult } from "../../scripts/process.ts";
import { CLI } from "../support/cli.ts";

/** Why no program can be given a file system of its own here; null where it can. */
async function noNamespace(): Promise<string | null> {
  if (process.platform !== "linux") return "the policy's folder is stood in for on Linux";
  const { code, stderr } = await run("unshare", ["-rm", "mount", "-t", "tmpfs", "none", "/mnt"]).catch((
    error,
  ) => ({
    code: 1,
    stderr: String(error),
  }));
  return code === 0 ? null : `unshare cannot mount here: ${stderr.trim()}`;
}

/** Runs a command where `/etc` holds the policy and nothing else. */
async function withPolicy(policy: string | null, ...args: string[]): Promise<RunResult> {
  const etc = mkdtempSync(join(tmpdir(), "secure-sockets-etc-"));
  try {
    mkdirSync(join(etc, "secure-sockets"));
    if (policy !== null) writeFileSync(join(etc, "secure-sockets/policy.json"), policy);
    const script = 'mount --bind "$0" /etc && exec "$@"';
    return await run("unshare", ["-rm", "sh", "-c", script, etc, ...CLI, ...args]);
  } finally {
    rmSync(etc, { recursive: true });
  }
}

const skip = await noNamespace();

test(
  "doctor reports unknown names in the machine's policy once, and ends with 1",
  async () => {
    const { code, stdout, stderr } = await withPolicy(
      '{"version":1,"deny":["ntml","ntlm"],"order":["negociate"]}',
      "doctor",
    );
    assertEquals([code, stderr], [1, ""]);
    assertEquals(
      stdout.match(/finding: The machine's policy \/etc\/secure-sockets\/policy.json has/g)?.length,
      2,
    );
    assertStringIncludes(stdout, 'has "negociate" in order');
    assertStringIncludes(stdout, 'has "ntml" in deny, which is unknown here');
    assertMatch(stdout, /negotiate +cannot serve: .*\n.*does not list it in its order/);
  },
  { skip },
);

test("doctor ends with 1 for a finding alone", async () => {
  const { code, stdout } = await withPolicy('{"version":1,"deny":["ntml"]}', "doctor");
  assertEquals([code, /finding/.test(stdout)], [1, true]);
}, { skip });

test("doctor has no finding in a policy of known names, nor where there is none", async () => {
  for (const policy of ['{"version":1,"deny":["ntlm","ipsec"]}', null]) {
    const { code, stdout, stderr } = await withPolicy(policy, "doctor");
    // It is well where GSS-API is installed, and says itself where that is missing.
    assertEquals(code, /cannot serve/.test(stdout) ? 1 : 0);
    assert(!/finding/.test(stdout) && stderr === "", stdout + stderr);
    assertStringIncludes(stdout, `machine policy    ${policy === null ? "absent" : "present"}`);
  }
}, { skip });

test(
  "doctor reports that a denied Kerberos leaves negotiate without a mechanism, and what is wrong in a broken policy",
  async () => {
    const denied = await withPolicy('{"version":1,"deny":["kerberos"]}', "doctor");
    assertEquals(denied.code, 1);
    assertMatch(
      denied.stdout,
      /negotiate +cannot serve: .*\n.*every mechanism that it could negotiate is excluded: kerberos/,
    );
    const broken = await withPolicy('{"version":1,"deny":["ntlm"],"deny":[]}', "doctor");
    assertEquals(broken.code, 1);
    assertMatch(broken.stdout, /negotiate +cannot serve: the machine's policy .* "deny" is duplicated/);
  },
  { skip },
);
