/** `secure-sockets providers`, `policy`, `inspect`, `nthash` and `completions`. */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { test } from "@test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { COMMANDS } from "../../cli/commands.ts";
import { GUEST_SHA256, guestModule } from "../../plugins/sdk/template/guest_wasm.ts";
import { findProgram, run } from "../../scripts/process.ts";
import { runCli } from "../support/cli.ts";

const noBash = findProgram("bash") === null ? "bash is not installed" : null;

/** Runs `body` with a folder that holds these files. */
async function withFiles(
  files: Record<string, string | Uint8Array>,
  body: (folder: string) => Promise<void>,
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "secure-sockets-cli-"));
  try {
    for (const [name, contents] of Object.entries(files)) writeFileSync(join(folder, name), contents);
    await body(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test("providers lists the built-in providers and why one is unavailable", async () => {
  const { code, stdout } = await runCli(["providers", "--json"]);
  const rows = JSON.parse(stdout) as { name: string; layer: string; available: boolean; reason?: string }[];
  assertEquals([code, rows.map(({ name }) => name)], [0, ["negotiate", "kerberos", "ntlm", "ipsec"]]);
  const ntlm = rows.find(({ name }) => name === "ntlm")!;
  assertEquals([ntlm.available, ntlm.layer], [true, "context"]);
  for (const { available, reason } of rows) assertEquals(available, reason === undefined);
  const text = await runCli(["providers"]);
  assertMatch(
    text.stdout,
    /^ntlm +available\n +layer context, sandboxed\n +offers integrity, confidentiality/m,
  );
});

test("policy check accepts what the library accepts, and fails for unknown names and malformed files", async () => {
  const files = {
    "good.json": '{"version":1,"order":["negotiate"],"deny":["ntlm"],"floor":{"confidentiality":true}}',
    "typo.json": '{"version":1,"deny":["ntml"]}',
    "broken.json": '{"version":2}',
  };
  await withFiles(files, async (folder) => {
    const good = await runCli(["policy", "check", join(folder, "good.json")]);
    assertEquals([good.code, good.stderr], [0, ""]);
    assertMatch(good.stdout, /^negotiate +allowed\n?/m);
    assertMatch(good.stdout, /^kerberos +not used$/m);
    assertMatch(good.stdout, /^floor +confidentiality$/m);
    const typo = await runCli(["policy", "check", join(folder, "typo.json")]);
    assertEquals(typo.code, 1);
    assertStringIncludes(typo.stdout, "ntml in deny is unknown and has no effect");
    const known = await runCli(["policy", "check", join(folder, "typo.json"), "--known", "ntml", "--json"]);
    assertEquals([known.code, JSON.parse(known.stdout).unknown], [0, []]);
    const broken = await runCli(["policy", "check", join(folder, "broken.json")]);
    assertEquals([broken.code, broken.stdout], [1, ""]);
    assertStringIncludes(broken.stderr, `${join(folder, "broken.json")}`);
    assertEquals((await runCli(["policy", "check", join(folder, "none.json")])).code, 1);
    assertEquals((await runCli(["policy", "show", join(folder, "good.json")])).code, 2);
  });
});

test("inspect prints a provider's hash and whether it conforms, and refuses what is not a module", async () => {
  await withFiles({ "no.wasm": "not a module" }, async (folder) => {
    const no = await runCli(["inspect", join(folder, "no.wasm")]);
    assertEquals([no.code, no.stdout], [1, ""]);
    assertMatch(no.stderr, /^secure-sockets: .+/);
  });
  await withFiles({ "template.wasm": Uint8Array.from(guestModule()) }, async (folder) => {
    const { code, stdout, stderr } = await runCli(["inspect", join(folder, "template.wasm")]);
    assertEquals([code, stderr], [0, ""], stdout);
    assertMatch(stdout, new RegExp(`^sha256 +${GUEST_SHA256}$`, "m"));
    assertMatch(stdout, /^imports +/m);
    assertMatch(stdout, /^conforms to ABI \d+$/m);
  });
});

test("nthash prints the hash of what it reads, without the last line break", async () => {
  // The hash of "password" in the documentation of many programs.
  const expected = "8846f7eaee8fb117ad06bdd830b7586c\n";
  for (const input of ["password", "password\n", "password\r\n"]) {
    assertEquals(await runCli(["nthash"], { input }), { code: 0, stdout: expected, stderr: "" });
  }
  const lines = await runCli(["nthash"], { input: "password\n\n" });
  assert(lines.code === 0 && lines.stdout !== expected);
  const long = await runCli(["nthash"], { input: "x".repeat(70_000) });
  assertEquals([long.code, long.stdout], [1, ""]);
  assertStringIncludes(long.stderr, "longer than 65536 bytes");
});

test("completions bash completes commands, options and values, in bash", async () => {
  const { code, stdout: script } = await runCli(["completions", "bash"]);
  assertEquals(code, 0);
  const complete = async (...words: string[]): Promise<string[]> => {
    const program = `${script}
COMP_WORDS=(secure-sockets "$@"); COMP_CWORD=$#; _secure_sockets; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const { stdout, stderr } = await run("bash", ["-c", program, "bash", ...words]);
    assertEquals(stderr, "");
    return stdout.split("\n").filter(Boolean);
  };
  assertEquals(await complete(""), [...Object.keys(COMMANDS), "--help", "--version"]);
  assertEquals(await complete("prov"), ["providers"]);
  assertEquals(await complete("policy", "c"), ["check"]);
  assertEquals(await complete("spn", "ver"), ["verify"]);
  assertEquals(await complete("service", "pub"), ["publish"]);
  assertEquals(await complete("service", "find", "--spn", "r"), ["replicable"]);
  assertEquals(await complete("spn", "make", "--"), ["--port", "--service", "--json", "--help"]);
  assertEquals(await complete("service", "remove", "--ta"), ["--target"]);
  assertEquals(await complete("spn", "--p"), ["--port"]);
  assertEquals(await complete("permissions", "ipsec"), ["ipsec", "ipsec.policy"]);
  assertEquals(await complete("permissions", "sspi", "--o"), ["--os"]);
  assertEquals(await complete("permissions", "--os", "w"), ["windows"]);
  assertEquals(await complete("listen", "--provider", ""), ["negotiate", "kerberos"]);
}, { skip: noBash });

for (const [shell, program, check] of [["zsh", "zsh", "-n"], ["fish", "fish", "-n"]] as const) {
  test(`completions ${shell} is a script that ${program} parses`, async () => {
    const { stdout } = await runCli(["completions", shell]);
    await withFiles({ script: stdout }, async (folder) => {
      const { code, stderr } = await run(program, [check, join(folder, "script")]);
      assertEquals([code, stderr], [0, ""]);
    });
  }, { skip: findProgram(program) === null ? `${program} is not installed` : null });
}

test("completions fish completes actions and the options of each, in fish", async () => {
  const { stdout: script } = await runCli(["completions", "fish"]);
  await withFiles({ script }, async (folder) => {
    const complete = async (line: string): Promise<string[]> => {
      const program = `source ${join(folder, "script")}; complete -C '${line}'`;
      const { stdout, stderr } = await run("fish", ["--no-config", "-c", program], { env: { HOME: folder } });
      assertEquals(stderr, "");
      return stdout.split("\n").filter(Boolean).map((row) => row.split("\t")[0]);
    };
    assertEquals(await complete("secure-sockets prov"), ["providers"]);
    assertEquals(await complete("secure-sockets spn ver"), ["verify"]);
    assertEquals(await complete("secure-sockets spn make --"), ["--help", "--json", "--port", "--service"]);
    assertEquals(await complete("secure-sockets service remove --ta"), ["--target"]);
    assertEquals(await complete("secure-sockets service publish --spn r"), ["replicable"]);
    assertEquals(await complete("secure-sockets permissions ipsec.p"), ["ipsec.policy"]);
  });
}, { skip: findProgram("fish") === null ? "fish is not installed" : null });

test("completions of every shell name every command and every option", async () => {
  const commands = await Promise.all(Object.values(COMMANDS).map(({ load }) => load()));
  for (const shell of ["bash", "zsh", "fish", "powershell"]) {
    const { code, stdout } = await runCli(["completions", shell]);
    assertEquals(code, 0);
    for (const name of Object.keys(COMMANDS)) assertStringIncludes(stdout, name);
    for (const { command } of commands) {
      for (const action of Object.keys(command.actions ?? {})) assertStringIncludes(stdout, action);
      for (const option of Object.keys(command.options)) {
        assertStringIncludes(stdout, shell === "fish" ? `-l ${option}` : `--${option}`);
      }
    }
  }
  assertEquals((await runCli(["completions", "tcsh"])).code, 2);
});
