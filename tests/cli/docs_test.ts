/** docs/cli.md: every command is described, its examples are valid, and those with output print it. */

import { assert, assertEquals } from "@std/assert";
import { test } from "@test";
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { tmpdir } from "node:os";
import process from "node:process";
import { COMMANDS } from "../../cli/commands.ts";
import { parse } from "../../cli/command.ts";
import { run } from "../../scripts/process.ts";
import { printsAsShown, shellBlocks } from "../../scripts/shell_blocks.ts";
import { startRealm } from "../rig/realm.ts";
import { CLI } from "../support/cli.ts";
import { noRealm } from "../support/kerberos.ts";

const PAGE = readFileSync(new URL("../../docs/cli.md", import.meta.url), "utf8");
/** What the page runs on, besides a realm. */
const skip = noRealm ?? (process.platform === "linux" ? null : "the page shows Linux");

const commands = shellBlocks(PAGE).flatMap(({ commands }) => commands);

test("docs/cli.md has a section for every command, or another page shows it", () => {
  const sections = [...PAGE.matchAll(/^## (.+)$/gm)].flatMap(([, title]) => title.split(", "));
  const folder = new URL("../../docs/", import.meta.url);
  const pages = readdirSync(folder).filter((page) => page.endsWith(".md") && page !== "cli.md");
  const others = pages.map((page) => readFileSync(new URL(page, folder), "utf8")).join("");
  for (const name of Object.keys(COMMANDS)) {
    assert(sections.includes(name) || new RegExp(`secure-sockets ${name}\\b`).test(others), name);
  }
});

test("docs/cli.md shows command lines that the commands accept", async () => {
  let count = 0;
  for (const { text, prints } of commands) {
    // What follows a comment, a pipe, a redirection or an ampersand is the shell's.
    const [name, ...args] = /^secure-sockets ([^#|<>&]*)/.exec(text)?.[1].trim().split(/ +/) ?? [];
    if (name === undefined || prints !== null) continue;
    assert(Object.hasOwn(COMMANDS, name), text);
    const { command } = await COMMANDS[name].load();
    assert(parse(name, command, args) !== "help");
    count++;
  }
  assert(count > 10);
});

test("docs/cli.md shows what its commands print", async () => {
  await using realm = await startRealm();
  await realm.kinit("alice");
  const folder = mkdtempSync(join(tmpdir(), "secure-sockets-docs-"));
  try {
    const program = join(folder, "secure-sockets");
    writeFileSync(program, `#!/bin/sh\nexec ${CLI.map((word) => `'${word}'`).join(" ")} "$@"\n`);
    chmodSync(program, 0o755);
    const env = { ...realm.env, PATH: `${folder}${delimiter}${process.env.PATH}` };
    for (const { text, prints } of commands.filter(({ prints }) => prints !== null)) {
      const { stdout, stderr } = await run("sh", ["-c", text], { cwd: folder, env });
      assertEquals(stderr, "");
      assert(printsAsShown(prints!, stdout), `${text}\n${stdout}`);
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
}, { skip });
