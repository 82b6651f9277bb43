/** What every command has in common: arguments, help, exit statuses, pipes. */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { test } from "@test";
import fc from "fast-check";
import process from "node:process";
import { parse, UsageError } from "../../cli/command.ts";
import { COMMANDS } from "../../cli/commands.ts";
import { VERSION } from "../../cli/help.ts";
import denoJson from "../../deno.json" with { type: "json" };
import { run } from "../../scripts/process.ts";
import { CLI, runCli } from "../support/cli.ts";

test("VERSION is deno.json's", () => {
  assertEquals(VERSION, denoJson.version);
});

test("secure-sockets prints its version and its help, and ends with 0", async () => {
  assertEquals(await runCli(["--version"]), { code: 0, stdout: `${VERSION}\n`, stderr: "" });
  const help = await runCli([]);
  assertEquals([help.code, help.stderr], [0, ""]);
  for (const [name, { summary }] of Object.entries(COMMANDS)) {
    assertMatch(help.stdout, new RegExp(`^  ${name} +${summary.replace(/[.*+?()|[\]\\]/g, "\\$&")}$`, "m"));
  }
  for (const args of [["--help"], ["help"], ["-h"]]) assertEquals(await runCli(args), help);
});

for (const [name, { load }] of Object.entries(COMMANDS)) {
  test(`${name} --help shows usage, options and examples that its own arguments accept`, async () => {
    const { command } = await load();
    const { code, stdout, stderr } = await runCli([name, "--help"]);
    assertEquals([code, stderr], [0, ""]);
    assertStringIncludes(stdout, `Usage: secure-sockets ${name} ${command.usage}`.trimEnd());
    for (const option of Object.keys(command.options)) assertStringIncludes(stdout, `--${option}`);
    assert(command.examples.length > 0);
    for (const { line, text } of command.examples) {
      assertStringIncludes(stdout, `  secure-sockets ${line}\n      ${text}`);
      // What follows a pipe or a redirection is the shell's.
      const [first, ...args] = line.split(/ [|<>] ?/)[0].split(" ");
      assertEquals(first, name);
      assert(parse(name, command, args) !== "help");
    }
    // A command line to copy is not broken.
    const rows = stdout.split("\n").filter((row) => !row.startsWith("  secure-sockets "));
    for (const row of rows) assert(row.length <= 120, row);
  });
}

test("a wrong command line ends with 2, and names the problem and the help on standard error", async () => {
  for (
    const [args, problem, help] of [
      [["frobnicate"], '"frobnicate" is not a command', "secure-sockets --help"],
      [["constructor"], '"constructor" is not a command', "secure-sockets --help"],
      [["permissions"], "permissions needs GRANT...", "secure-sockets permissions --help"],
      [
        ["permissions", "nope"],
        '"nope" is unknown; use one of sockets, ',
        "secure-sockets permissions --help",
      ],
      [["permissions", "sspi", "--nope"], "Unknown option '--nope'", "secure-sockets permissions --help"],
      [["permissions", "sspi", "--os"], "Option '--os <value>' argument missing", ""],
      [
        ["permissions", "sspi", "--os", "beos"],
        '--os "beos" is unknown; use one of windows, linux, darwin',
        "",
      ],
      [["permissions", "sspi", "--json=1"], "Option '--json' does not take an argument", ""],
    ] as const
  ) {
    const { code, stdout, stderr } = await runCli(args);
    assertEquals([code, stdout], [2, ""], stderr);
    assertMatch(stderr, /^secure-sockets: .*\nTry: secure-sockets .*--help\n$/);
    assertStringIncludes(stderr, `secure-sockets: ${problem}`);
    assertStringIncludes(stderr, help);
  }
});

test("secure-sockets ends with 141 and no message where the reader of its output has gone", async () => {
  // The shell writes until its own writes fail: from then on nothing reads.
  const script =
    "trap '' PIPE; { while printf x 2>/dev/null; do :; done; \"$@\"; echo status $? >&2; } | true";
  const { stderr } = await run("sh", ["-c", script, "sh", ...CLI, "--help"]);
  assertEquals(stderr, "status 141\n");
}, { skip: process.platform === "win32" ? "there is no sh" : null });

test("parse either returns arguments or throws UsageError, whatever it gets", async () => {
  const { command } = await COMMANDS.permissions.load();
  const word = fc.oneof(
    fc.string(),
    fc.constantFrom("sspi", "--os", "linux", "--json", "--", "-h", "--os=", "-"),
  );
  fc.assert(fc.property(fc.array(word, { maxLength: 6 }), (args) => {
    try {
      const given = parse("permissions", command, args);
      if (given === "help") return;
      assert(given.operands.length >= 1);
      for (const grant of given.operands) assert(command.words!.includes(grant));
      if (given.options.os !== undefined) {
        assert(["windows", "linux", "darwin"].includes(String(given.options.os)));
      }
    } catch (error) {
      assert(error instanceof UsageError, String(error));
    }
  }));
});
