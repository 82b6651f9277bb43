/** The command line in a terminal: colours, hidden passwords, Ctrl+C, progress. */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { test } from "@test";
import { connect } from "node:net";
import process from "node:process";
import { findProgram } from "../../scripts/process.ts";
import { startRealm } from "../rig/realm.ts";
import { CLI, start, type Started } from "../support/cli.ts";
import { noRealm } from "../support/kerberos.ts";

const skip = process.platform !== "linux" || findProgram("script") === null
  ? "there is no script (Debian bsdutils), which makes a terminal"
  : null;

/** Starts the program in a terminal, which has one stream: all of it is in `stdout`. */
function inTerminal(args: readonly string[], env: Record<string, string> = {}): Started {
  const quoted = [...CLI, ...args].map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(" ");
  return start("script", ["-qefc", quoted, "/dev/null"], { NO_COLOR: "", ...env });
}

test("nthash asks in a terminal, shows nothing of the password, and lets it be corrected", async () => {
  await using program = inTerminal(["nthash"]);
  await program.until("stdout", /Password: /);
  // An error that is erased by Ctrl+U, and one by backspace, which takes a character of two bytes.
  program.child.stdin!.write("wrong\x15passworx\x7fd\u00e9\x7f\r");
  await program.until("stdout", /[\da-f]{32}/);
  assertEquals(await program.ended, 0);
  assertEquals(program.written.stdout.replaceAll("\r", ""), "Password: \n8846f7eaee8fb117ad06bdd830b7586c\n");
}, { skip });

test("nthash ends with 130 at Ctrl+C", async () => {
  await using program = inTerminal(["nthash"]);
  await program.until("stdout", /Password: /);
  program.child.stdin!.write("half\x03");
  assertEquals(await program.ended, 130);
  assert(!program.written.stdout.includes("half"));
}, { skip });

test("output has colours in a terminal, and none where NO_COLOR is set", async () => {
  await using colored = inTerminal(["providers"]);
  assertEquals(await colored.ended, 0);
  assertStringIncludes(colored.written.stdout, "\x1b[32mavailable\x1b[0m");
  await using plain = inTerminal(["providers"], { NO_COLOR: "1" });
  assertEquals(await plain.ended, 0);
  assert(!plain.written.stdout.includes("\x1b["), plain.written.stdout);
}, { skip });

test("listen shows in a terminal that it waits; Ctrl+C ends it with 130", async () => {
  await using realm = await startRealm();
  await using server = inTerminal(["listen", "127.0.0.1:0"], realm.env);
  await server.until("stdout", /listening on 127\.0\.0\.1:\d+\r?\n.*waiting for a client \.\.\./);
  const [, port] = /listening on 127\.0\.0\.1:(\d+)/.exec(server.written.stdout)!;
  // What is reported meanwhile has a line of its own.
  const other = connect(Number(port), "127.0.0.1", () => other.end("GET / HTTP/1.1\r\n\r\n"));
  other.on("error", () => {}).resume();
  await server.until("stdout", /\[Krefused 127\.0\.0\.1:\d+: .*HTTP.*\r?\nwaiting for a client \.\.\./);
  server.child.stdin!.write("\x03");
  assertEquals(await server.ended, 130);
}, { skip: skip ?? noRealm });

test("connect in a terminal sends the lines that are typed", async () => {
  await using realm = await startRealm();
  await realm.kinit("alice");
  await using server = start(CLI[0], [...CLI.slice(1), "listen", "127.0.0.1:0"], realm.env);
  const [, port] = await server.until("stderr", /listening on 127\.0\.0\.1:(\d+)/);
  await using client = inTerminal(["connect", `localhost:${port}`], realm.env);
  await client.until("stdout", /connected to host\/localhost/);
  client.child.stdin!.write("typed\r");
  await server.until("stdout", /typed\n/);
  server.child.stdin!.end("answered\n");
  await client.until("stdout", /answered/);
  assertEquals([await client.ended, await server.ended], [0, 0]);
  assertMatch(server.written.stdout, /^typed\n$/);
}, { skip: skip ?? noRealm });
