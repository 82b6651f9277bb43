/** `secure-sockets doctor`. */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { test } from "@test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { Buffer } from "node:buffer";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { run, type RunResult } from "../../scripts/process.ts";
import { openAcceptor, openSystem } from "../../mod.ts";
import type { Finding, Verdict } from "../../cli/doctor/report.ts";
import { VERSION } from "../../cli/help.ts";
import { freePort, startRealm } from "../rig/realm.ts";
import { CLI, runCli } from "../support/cli.ts";
import { noRealm } from "../support/kerberos.ts";

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
      stdout.match(/^fail +policy +The machine's policy \/etc\/secure-sockets\/policy.json has/gm)?.length,
      2,
    );
    assertStringIncludes(stdout, 'has "negociate" in order');
    assertStringIncludes(stdout, 'has "ntml" in deny, which is unknown here');
    assertMatch(stdout, /fail +negotiate +cannot be used: .*\n.*does not list it in its order/);
  },
  { skip },
);

test("doctor has no finding in a policy of known names, nor where there is none", async () => {
  for (const policy of ['{"version":1,"deny":["ntlm","ipsec"]}', null]) {
    const { stdout, stderr } = await withPolicy(policy, "doctor");
    assertEquals(stderr, "");
    const state = policy === null ? "absent" : "present";
    assertMatch(stdout, new RegExp(`^ok +policy +/etc/secure-sockets/policy.json is ${state}$`, "m"));
    assert(!/^(fail|warn) +policy/m.test(stdout), stdout);
  }
}, { skip });

test(
  "doctor reports that a denied Kerberos leaves negotiate without a mechanism, and what is wrong in a broken policy",
  async () => {
    const denied = await withPolicy('{"version":1,"deny":["kerberos"]}', "doctor");
    assertEquals(denied.code, 1);
    assertMatch(
      denied.stdout,
      /negotiate +cannot be used: .*\n.*every mechanism that it could negotiate is excluded: kerberos/,
    );
    const broken = await withPolicy('{"version":1,"deny":["ntlm"],"deny":[]}', "doctor");
    assertEquals(broken.code, 1);
    assertMatch(broken.stdout, /negotiate +cannot be used: the machine's policy .* "deny" is duplicated/);
  },
  { skip },
);

/** A flag of permissions: without any, node:child_process of Deno starts a Deno with all of them. */
const DENY_RUN = "--deny-run";

/** The findings of `doctor --json` in this environment, by what was checked; the last of each. */
async function diagnose(
  env: Record<string, string>,
  ...args: string[]
): Promise<{ code: number; findings: Map<string, Finding>; all: Finding[] }> {
  const { code, stdout, stderr } = await runCli(["doctor", "--json", ...args], { env });
  assertEquals(stderr, "");
  const { verdict, findings } = JSON.parse(stdout) as { verdict: string; findings: Finding[] };
  assertEquals(code, verdict === "fail" ? 1 : 0);
  return { code, findings: new Map(findings.map((finding) => [finding.check, finding])), all: findings };
}

/** Asserts what one check found. */
function assertFinding(finding: Finding | undefined, verdict: Verdict, text: string, advice?: string): void {
  assertEquals(finding?.verdict, verdict, JSON.stringify(finding));
  assertStringIncludes(finding!.text, text);
  if (advice !== undefined) assertStringIncludes(finding!.advice!, advice);
}

test(
  "doctor reports versions, configuration, KDC, clock, tickets and keys of a realm, and ends with 0",
  async () => {
    await using realm = await startRealm();
    await realm.kinit("alice");
    const { code, findings } = await diagnose(realm.env);
    assertEquals(code, 0);
    assertStringIncludes(findings.get("versions")!.text, `secure-sockets ${VERSION}, `);
    assertMatch(findings.get("GSS-API")!.text, /libgssapi_krb5.*, MIT Kerberos \d+\.\d+/);
    assertFinding(findings.get("krb5.conf"), "ok", realm.env.KRB5_CONFIG);
    assertFinding(findings.get("realm"), "ok", "MIT.TEST");
    assertMatch(findings.get("KDC")!.text, new RegExp(`^127\\.0\\.0\\.1:${realm.port} answered in \\d+ ms$`));
    assertFinding(findings.get("clock"), "ok", "the same as that of");
    assertMatch(
      findings.get("tickets")!.text,
      /^alice@MIT\.TEST has krbtgt\/MIT\.TEST@MIT\.TEST in FILE:.*: until .*Z, aes256-cts-hmac-sha1-96, forwardable$/,
    );
    assertFinding(
      findings.get("key table"),
      "ok",
      "HTTP/localhost@MIT.TEST (kvno 2; aes256-cts-hmac-sha1-96, ",
    );
    assertFinding(findings.get("client keys"), "ok", "logs alice@MIT.TEST in where there is no ticket");
    assertFinding(findings.get("replay cache"), "warn", "off");
  },
  { skip: noRealm },
);

test("doctor gets a ticket for an SPN, and lets this machine's key table open it", async () => {
  await using realm = await startRealm();
  await realm.kinit("alice");
  const good = await diagnose(realm.env, "HTTP/localhost");
  assertEquals(good.code, 0);
  assertFinding(
    good.findings.get("HTTP/localhost"),
    "ok",
    "ticket obtained: HTTP/localhost@MIT.TEST, aes256",
  );
  assertFinding(good.findings.get("own key table"), "ok", "a server here sees alice@MIT.TEST");

  const unknown = await diagnose(realm.env, "HTTP/nowhere.mit.test");
  assertEquals([unknown.code, unknown.findings.get("HTTP/nowhere.mit.test")?.facts?.reason], [
    1,
    "unknown-target",
  ]);

  // The service gets a new key, which its key table lacks, and the client a new ticket.
  await realm.kadmin(["cpw -randkey HTTP/localhost"]);
  await realm.kinit("alice");
  const stale = await diagnose(realm.env, "HTTP/localhost");
  assertEquals(stale.code, 1);
  assertFinding(stale.findings.get("own key table"), "fail", "kvno 3 not found in keytab");
}, { skip: noRealm });

test("doctor ends with 1 where neither end can authenticate, and --role says which end has to", async () => {
  await using realm = await startRealm();
  const nothing = { KRB5CCNAME: "FILE:/nonexistent/cc", KRB5_CLIENT_KTNAME: "FILE:/nonexistent/client" };
  const server = await diagnose({ ...realm.env, ...nothing });
  assertEquals(server.code, 0);
  assertFinding(
    server.findings.get("tickets"),
    "warn",
    "none in FILE:/nonexistent/cc",
    "kinit USER@MIT.TEST",
  );
  const client = await diagnose({ ...realm.env, ...nothing }, "--role", "client");
  assertEquals([client.code, client.findings.has("key table")], [1, false]);
  const none = await diagnose({ ...realm.env, ...nothing, KRB5_KTNAME: "FILE:/nonexistent/keys" });
  assertEquals(none.code, 1);
  assertFinding(none.findings.get("tickets"), "fail", "none in");
  assertFinding(
    none.findings.get("key table"),
    "fail",
    "'/nonexistent/keys' not found",
    "ktadd -k /nonexistent/keys",
  );
  await realm.kinit("alice");
  const asServer = await diagnose(
    { ...realm.env, KRB5_KTNAME: "FILE:/nonexistent/keys" },
    "--role",
    "server",
  );
  assertEquals([asServer.code, asServer.findings.has("tickets")], [1, false]);
}, { skip: noRealm });

test("doctor ends with 1 without a default realm, and where no Kerberos server answers", async () => {
  const missing = await diagnose({
    KRB5_CONFIG: "/nonexistent/krb5.conf",
    KRB5CCNAME: "FILE:/nonexistent/cc",
  });
  assertEquals(missing.code, 1);
  assertFinding(missing.findings.get("krb5.conf"), "warn", "can read no /nonexistent/krb5.conf");
  assertFinding(missing.findings.get("realm"), "fail", "no default realm", "default_realm in [libdefaults]");
  await using realm = await startRealm();
  await realm.kinit("alice");
  const port = await freePort();
  const down = await diagnose({ ...realm.env, KRB5_CONFIG: realm.writeConfig({ port }) });
  assertEquals(down.code, 1);
  assertFinding(down.findings.get("KDC"), "fail", `127.0.0.1:${port}: connect ECONNREFUSED`);
}, { skip: noRealm });

test("doctor shows a server of HTTP that accepts the ticket, and each that does not", async () => {
  await using realm = await startRealm();
  await realm.kinit("alice");
  const restore = realm.applyEnv();
  using system = openSystem({ grants: ["sspi"] });
  const acceptor = await openAcceptor({ system, acceptedTargets: ["HTTP/localhost"] });
  const server = createServer(async (request, response) => {
    const token = /^Negotiate (.*)$/.exec(request.headers.authorization ?? "")?.[1];
    if (request.url === "/open") return response.writeHead(200).end();
    if (request.url === "/basic") return response.writeHead(401, { "WWW-Authenticate": "Basic" }).end();
    if (token === undefined || request.url === "/never") {
      return response.writeHead(401, { "WWW-Authenticate": "Negotiate" }).end();
    }
    using context = acceptor.accept();
    const answer = await context.step(new Uint8Array(Buffer.from(token, "base64")));
    const proof = Buffer.from(answer.token!).toString("base64");
    response.writeHead(200, request.url === "/silent" ? {} : { "WWW-Authenticate": `Negotiate ${proof}` })
      .end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const host = `localhost:${(server.address() as { port: number }).port}`;
  try {
    for (
      const [path, verdict, text] of [
        [
          "/",
          "ok",
          "answered 401 with Negotiate, then 200, and proved to be HTTP/localhost (kerberos, channel bindings none)",
        ],
        ["/silent", "warn", "without proof of its identity"],
        ["/open", "warn", "answered 200 without asking for a login"],
        ["/basic", "fail", "answered 401 and offers Basic, not Negotiate"],
        ["/never", "fail", "refused the ticket for HTTP/localhost with 401"],
      ] as const
    ) {
      const { findings } = await diagnose(realm.env, `http://${host}${path}`);
      assertFinding(findings.get(host), verdict, text);
    }
  } finally {
    acceptor.close();
    await new Promise((resolve) => server.close(resolve));
    restore();
  }
}, { skip: noRealm });

test("doctor refuses what is neither an SPN nor a URL, with 2", async () => {
  for (const target of ["localhost", "http://"]) {
    const { code, stderr } = await runCli(["doctor", target]);
    assertEquals(code, 2, stderr);
  }
});

test("doctor without permissions reports what is missing once, and never asks", async () => {
  const [program, ...args] = CLI.map((word) => word === "-A" ? DENY_RUN : word);
  const { code, stdout, stderr } = await run(program, [...args, "doctor"]);
  assertEquals([code, stderr], [1, ""]);
  assertEquals(stdout.match(/for which this process has no permission/g)?.length, 1, stdout);
  assertMatch(stdout, /^fail +negotiate +cannot be used without GSS-API$/m);
  const flag = /Run it with (--allow-ffi=\S+)/.exec(stdout)![1];
  const allowed = await run(program, [args[0], flag, ...args.slice(1), "doctor"], {
    env: { KRB5_CONFIG: "/nonexistent" },
  });
  assertMatch(allowed.stdout, /^ok +kerberos +can be used$/m);
}, {
  skip: process.versions.deno
    ? (noRealm ?? (process.platform === "linux" ? null : "libgssapi is Linux's"))
    : "the flags are Deno's",
});
