/** The commands of the documentation, and README.md's on a machine where nothing is installed. */

import { assertEquals, assertMatch } from "@std/assert";
import { test } from "@test";
import { lookup } from "node:dns/promises";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { freshMachineUnavailable } from "../../scripts/fresh_machine.ts";
import { stepsOf } from "../../scripts/fresh_machine_job.ts";
import { findProgram, run } from "../../scripts/process.ts";
import { printsAsShown, shellBlocks } from "../../scripts/shell_blocks.ts";

const SCRIPT = fileURLToPath(new URL("../../scripts/fresh_machine.ts", import.meta.url));

async function unavailable(): Promise<string | null> {
  const reason = freshMachineUnavailable();
  if (reason !== null) return reason;
  if (findProgram("debootstrap") === null) return "a fresh machine needs debootstrap: install debootstrap";
  return await Promise.all(["deb.debian.org", "registry.npmjs.org"].map((host) => lookup(host))).then(
    () => null,
    () => "the registries of Debian and npm do not answer",
  );
}

const PAGE = `# A page

\`\`\`sh
# a comment
one --option \\
  more # does it
deno task realm
two; exit
\`\`\`

\`\`\`text
not a command
\`\`\`

\`\`\`console
$ three
a … b
…
end
$ four
\`\`\`
`;

test("shellBlocks reads commands, with what they print, and their line", () => {
  assertEquals(shellBlocks(PAGE), [
    {
      line: 4,
      commands: ["one --option    more # does it", "deno task realm", "two; exit"].map((text) => ({
        text,
        prints: null,
      })),
    },
    { line: 16, commands: [{ text: "three", prints: "a … b\n…\nend" }, { text: "four", prints: "" }] },
  ]);
});

test("printsAsShown compares all but what … stands for", () => {
  for (const printed of ["a x b\nend\n", "a  b\n1\n2\nend"]) {
    assertEquals(printsAsShown("a … b\n…\nend", printed), true);
  }
  for (const printed of ["a x c\nend", "a x b\n1\nend\n2", "", "x a x b\nend"]) {
    assertEquals(printsAsShown("a … b\n…\nend", printed), false, printed);
  }
  assertEquals(printsAsShown("(a.b)", "(aXb)"), false);
});

test("stepsOf says how each command is run, and why one is not", () => {
  const steps = (page: string, realm: boolean) =>
    shellBlocks(page).flatMap((block) => stepsOf(block, { realm, suite: false }));
  const [one, realm, three, four] = steps(PAGE, true);
  assertEquals([one.skip, one.status, one.folder], [null, 0, "secure-sockets"]);
  assertMatch(realm.text, /realm bash -ec 'cd "\$FOLDER"\ntwo; exit'$/);
  assertEquals([three.prints, three.status, four.prints], ["a … b\n…\nend", null, ""]);
  const [database] = steps(PAGE.replace("task realm", "task realm --postgres"), true).slice(1);
  assertMatch(database.text, /realm --postgres bash -ec 'cd "\$FOLDER"\ntwo; exit'$/);
  const [, refused] = steps(PAGE, false);
  assertEquals([refused.status, refused.text], [1, "deno task realm"]);
  const [doctor] = steps("```sh\ndeno run -A cli.ts doctor\n```\n", false);
  assertEquals([doctor.status, doctor.contains], [1, /^Not ready: /m]);
  for (const line of ["curl http://a.example.test", "deno run jsr:@a/b", "deno task test # all"]) {
    const [step] = steps(`\`\`\`sh\n${line}\n\`\`\`\n`, true);
    assertEquals(typeof step.skip, "string", line);
  }
  assertEquals(steps("```sh\nnpm install a\n```\n", true)[0].folder, "my-project");
});

test("fresh-machine ends with 2 for wrong arguments", async () => {
  for (const args of [["--debian", "11"], ["--account", "nobody"], ["--other"], ["more"]]) {
    const { code, stdout } = await run(Deno.execPath(), ["run", "-A", "--no-config", SCRIPT, ...args]);
    assertEquals([code, stdout], [2, ""], args.join(" "));
  }
});

test("README.md's commands do on a fresh Debian what it says, as a user, and leave no mount", async () => {
  const mounts = readFileSync("/proc/mounts", "utf8");
  const { code, stdout, stderr } = await run(Deno.execPath(), ["run", "-A", SCRIPT, "--short"], {
    timeoutMs: 600_000,
  });
  assertEquals(code, 0, stdout + stderr);
  assertMatch(stdout, /^\[.* s\] ok Debian 12, user, README\.md:\d+: deno task demo$/m);
  assertMatch(stdout, /: [1-9]\d* commands as the pages say, 0 not, \d+ not run$/m);
  assertEquals(readFileSync("/proc/mounts", "utf8"), mounts);
}, { skip: await unavailable() });
