import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { test } from "@test";
import { ensurePackages } from "../../scripts/install.ts";
import { findProgram } from "../../scripts/process.ts";

const skip = findProgram("dpkg-query") ? null : "this is not Debian";
const ABSENT = "no-such-package-of-any-debian";

test("packages that are there are not a reason to do anything", async () => {
  const said: string[] = [];
  assertEquals(await ensurePackages(["dpkg", "base-files"], { say: (line) => said.push(line) }), null);
  assertEquals(said, []);
}, { skip });

test(
  "a missing package is named with the command that installs it, and nothing is done unasked",
  async () => {
    const said: string[] = [];
    const reason = await ensurePackages(["dpkg", ABSENT], { install: false, say: (line) => said.push(line) });
    assertStringIncludes(reason!, `apt-get install ${ABSENT})`);
    assertEquals(said, []);
  },
  { skip },
);

test("what is not the name of a package is refused before anything is run", async () => {
  await assertRejects(() => ensurePackages(["--reinstall"]), TypeError, "not the name");
  await assertRejects(() => ensurePackages(["a b"]), TypeError, "not the name");
});
