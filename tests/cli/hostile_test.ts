/** What strangers wrote, and secrets, in what the command line prints and runs. */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { test } from "@test";
import { chownSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { unitText } from "../../cli/proxy/install.ts";
import { findProgram, run } from "../../scripts/process.ts";
import { CLI, runCli, start } from "../support/cli.ts";
import { tiny } from "../support/tiny.ts";

/** Escape sequences in both forms (ESC, and C1 as UTF-8), and a character that reverses the text after it. */
// deno-lint-ignore no-control-regex
const DANGEROUS = /[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]/;
const posix = process.platform === "win32" ? "shells and file owners are Unix's" : null;

async function withFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "secure-sockets-hostile-"));
  try {
    await body(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** A server that answers every request with these bytes. */
async function withAnswer(answer: string, body: (origin: string) => Promise<void>): Promise<void> {
  const server = createServer((socket) => {
    socket.on("error", () => {});
    socket.once("data", () => socket.end(answer, "latin1"));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    await body(`http://localhost:${(server.address() as AddressInfo).port}`);
  } finally {
    server.close();
  }
}

const ANSWER = "HTTP/1.1 401 N\x9b2Jo\r\nwww-authenticate: Basic realm=\x9b2J\r\n" +
  "x-page: \x9b31mred\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

test("http and doctor show control characters of a server's header fields as escapes", async () => {
  await withAnswer(ANSWER, async (origin) => {
    for (
      const args of [["http", "-i", origin], ["http", "-i", "--negotiate", origin], ["http", "-f", origin]]
    ) {
      const { stdout, stderr } = await runCli(args);
      assert(stdout.length + stderr.length > 0, args.join(" "));
      assert(!DANGEROUS.test(stdout + stderr), JSON.stringify(stdout + stderr));
      if (args[1] === "-i") assertStringIncludes(stdout, "x-page: \\u009b31mred");
    }
    const doctor = await runCli(["doctor", `${origin}/`]);
    assertMatch(doctor.stdout, /answered 401 and offers Basic realm=/);
    assert(!DANGEROUS.test(doctor.stdout), JSON.stringify(doctor.stdout));
    const json = await runCli(["doctor", "--json", `${origin}/`]);
    const facts = JSON.parse(json.stdout).findings.at(-1).facts;
    assertEquals(facts.challenge, "Basic realm=\x9b2J");
    assert(!DANGEROUS.test(json.stdout));
  });
});

test("inspect shows line breaks and control characters in a module's names as escapes", async () => {
  await withFolder(async (folder) => {
    const file = join(folder, "provider.wasm");
    const named = String.raw`(func (export "a\0asha256    00\1b[2J\c2\9b\e2\80\ae"))`;
    writeFileSync(file, await tiny("tiny.wat", (text) => text.replace(/\)\s*$/, `${named})\n`)));
    const { stdout, stderr } = await runCli(["inspect", file]);
    assert(!DANGEROUS.test(stdout + stderr), JSON.stringify(stdout + stderr));
    assertEquals(stdout.match(/^sha256 /gm)?.length ?? 0, /^exports/m.test(stdout) ? 1 : 0);
    assertStringIncludes(stdout + stderr, String.raw`a\u000asha256    00\u001b[2J\u009b\u202e`);
  });
});

test("a wrong argument is repeated without its control characters", async () => {
  const { code, stderr } = await runCli(["--x\x1b[2J\u009b"]);
  assertEquals(code, 2);
  assert(!DANGEROUS.test(stderr), JSON.stringify(stderr));
});

test(
  "in a terminal a body's control characters are shown as escapes, elsewhere its bytes are as they are",
  async () => {
    const body = "line\r\n\tnext\x1b[2J\x1b]0;title\x07\xc2\x9b31m \xc3\xa4\n";
    const answer = `HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n${body}`;
    await withAnswer(answer, async (origin) => {
      const piped = start(CLI[0], [...CLI.slice(1), "http", origin]);
      assertEquals(await piped.ended, 0);
      assertEquals(piped.written.stdout, body);
      const quoted = [...CLI, "http", origin].map((word) => `'${word}'`).join(" ");
      await using shown = start("script", ["-qefc", quoted, "/dev/null"], { NO_COLOR: "1" });
      assertEquals(await shown.ended, 0);
      const [text] = /line[^]*/.exec(shown.written.stdout)!;
      assertEquals(
        text.replaceAll("\r", ""),
        "line\n\tnext\\u001b[2J\\u001b]0;title\\u0007\\u009b31m \xc3\xa4\n",
      );
    });
  },
  { skip: process.platform === "linux" && findProgram("script") !== null ? null : "there is no script" },
);

test("http refuses a password in a URL, and does not repeat it", async () => {
  for (const url of ["http://alice:s3cret@127.0.0.1:1/", "https://alice:s3cret@[::1]:1/"]) {
    for (const more of [[], ["--negotiate"]]) {
      const { code, stdout, stderr } = await runCli(["http", ...more, url]);
      assertEquals(code, 2);
      assertStringIncludes(stderr, "user name or password");
      assert(!(stdout + stderr).includes("s3cret"), stderr);
    }
  }
  const { code, stdout, stderr } = await runCli(["doctor", "http://alice:s3cret@127.0.0.1:1/"]);
  assertEquals(code, 2);
  assert(!(stdout + stderr).includes("s3cret"), stderr);
});

test("proxy --print-env prints a token so that a shell reads it as one word", async () => {
  await withFolder(async (folder) => {
    mkdirSync(join(folder, "secure-sockets"));
    const marker = join(folder, "run");
    writeFileSync(join(folder, "secure-sockets", "proxy.token"), `$(touch ${marker})aaaaaaaaaaaa\n`, {
      mode: 0o600,
    });
    const env = { XDG_CONFIG_HOME: folder, HOME: folder };
    const printed = await runCli(
      ["proxy", "--print-env", "--require-token", "--upstream", "http://a.test:1"],
      { env },
    );
    await run("sh", ["-c", printed.stdout]);
    assert(!existsSync(marker), printed.stdout);
    assertEquals(printed.code, 1);
    assertMatch(printed.stderr, /proxy\.token/);
  });
}, { skip: posix });

test("proxy --print-env needs no proxy to sign on to, and keeps NO_PROXY", async () => {
  await withFolder(async (folder) => {
    const env = {
      XDG_CONFIG_HOME: folder,
      HOME: folder,
      NO_PROXY: "a.test",
      HTTPS_PROXY: "",
      https_proxy: "",
    };
    const { code, stdout, stderr } = await runCli(["proxy", "--print-env", "--port", "3129"], { env });
    assertEquals([code, stderr], [0, ""]);
    const shell = await run("sh", ["-c", `${stdout}\necho "$https_proxy $HTTP_PROXY $no_proxy"`]);
    assertEquals(
      shell.stdout,
      "http://127.0.0.1:3129 http://127.0.0.1:3129 localhost,127.0.0.1,::1,a.test\n",
    );
  });
}, { skip: posix });

test("proxy does not use a token that another user wrote", async () => {
  await withFolder(async (folder) => {
    const path = join(folder, "proxy.token");
    writeFileSync(path, `${"a".repeat(48)}\n`, { mode: 0o600 });
    chownSync(path, 65534, 65534);
    const args = ["proxy", "--print-env", "--require-token", "--upstream", "http://a.test:1"];
    writeFileSync(join(folder, "proxy.json"), '{"version":1}');
    const { code, stdout, stderr } = await runCli([...args, "--config", join(folder, "proxy.json")]);
    assertEquals([code, stdout], [1, ""]);
    assertMatch(stderr, /belongs to another user/);
  });
}, { skip: posix ?? (process.getuid?.() === 0 ? null : "only root can give a file to another user") });

test("proxy --install names the configuration by its whole path", async () => {
  await withFolder(async (folder) => {
    writeFileSync(join(folder, "systemctl"), "#!/bin/sh\n", { mode: 0o755 });
    const env = { XDG_CONFIG_HOME: folder, HOME: folder, PATH: `${folder}:${process.env.PATH}` };
    const args = ["proxy", "--install", "--config", "mine.json", "--upstream", "http://a.test:1"];
    const { code, stderr } = await runCli(args, { env, cwd: folder });
    assertEquals(code, 0, stderr);
    const unit = readFileSync(join(folder, "systemd/user/secure-sockets-proxy.service"), "utf8");
    assertStringIncludes(unit, `"--config" "${join(folder, "mine.json")}"`);
  });
}, { skip: process.platform === "linux" ? null : "systemd is Linux's" });

test("unitText keeps every word on the line of ExecStart", () => {
  const unit = unitText(["/opt/a\nExecStartPre=/bin/false", "b\r\tc"]);
  assertEquals(unit.match(/^ExecStart/gm)?.length, 1);
  assertStringIncludes(unit, String.raw`"/opt/a\x0aExecStartPre=/bin/false" "b\x0d\x09c"`);
});

test("secure-sockets ends with 1 and says why where the disk is full", async () => {
  const quoted = CLI.map((word) => `'${word}'`).join(" ");
  const { code, stderr } = await run("sh", ["-c", `${quoted} --version > /dev/full`]);
  assertEquals(code, 1);
  assertMatch(stderr, /ENOSPC|No space left/);
}, { skip: existsSync("/dev/full") ? null : "there is no /dev/full" });
