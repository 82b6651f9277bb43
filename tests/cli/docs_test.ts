/** docs/cli.md: every command is described, its examples are valid, and those with output print it. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { test } from "@test";
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { tmpdir } from "node:os";
import process from "node:process";
import { COMMANDS } from "../../cli/commands.ts";
import { parse } from "../../cli/command.ts";
import { run } from "../../scripts/process.ts";
import { startRealm } from "../rig/realm.ts";
import { CLI } from "../support/cli.ts";
import { noRealm } from "../support/kerberos.ts";

const PAGE = readFileSync(new URL("../../docs/cli.md", import.meta.url), "utf8");
/** What the page runs on, besides a realm. */
const skip = noRealm ?? (process.platform === "linux" ? null : "the page shows Linux");

/** The code blocks of a language. */
function blocks(language: string): string[] {
  return [...PAGE.matchAll(/^```(\w+)\n([^]*?)^```$/gm)].filter((block) => block[1] === language).map((
    block,
  ) => block[2]);
}

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
  for (const line of blocks("sh").join("\n").split("\n")) {
    // What follows a comment, a pipe or a redirection is the shell's.
    const [name, ...args] = /^secure-sockets ([^#|<>]*)/.exec(line)?.[1].trim().split(/ +/) ?? [];
    if (name === undefined) continue;
    assert(Object.hasOwn(COMMANDS, name), line);
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
    for (const block of blocks("console")) {
      for (const part of block.split(/^\$ /m).filter(Boolean)) {
        const [line, ...expected] = part.trimEnd().split("\n");
        const { stdout, stderr } = await run("sh", ["-c", line], { cwd: folder, env });
        assertEquals(stderr, "");
        // A line of … alone stands for any number of lines.
        const pattern = expected.join("\n").replace(/[.*+?^${}()|[\]\\]/g, "\\$&").replace(
          /^…(\n|$)/gm,
          "(?:.*(?:\n|$))*",
        )
          .replaceAll("…", ".*");
        assertMatch(stdout.trimEnd(), new RegExp(`^${pattern}$`));
      }
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
}, { skip });
