/** Nothing that the scripts and their tests write outlives them, also where they are interrupted. */

import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { test } from "@test";
import { run } from "../../scripts/process.ts";
import { ROOT_URL } from "../../scripts/root.ts";
import { temporaryFolder } from "../../scripts/temporary.ts";

const skip = Deno.build.os === "windows" ? "Windows has no such signals" : null;
const script = (name: string): string => new URL(`scripts/${name}`, ROOT_URL).href;

for (const [signal, expected] of [["SIGINT", 130], ["SIGTERM", 143]] as const) {
  test(`a script that ${signal} ends has ended its programs and removed its temporary folders`, async () => {
    await using folder = await temporaryFolder("test");
    const program = `
      import { run } from ${JSON.stringify(script("process.ts"))};
      import { cleanUpWhenInterrupted, temporaryFolder } from ${JSON.stringify(script("temporary.ts"))};
      cleanUpWhenInterrupted();
      await using folder = await temporaryFolder("inner");
      await Deno.writeTextFile(folder.path + "/file", "");
      const ended = run("/bin/sh", ["-c", "echo $$; exec sleep 7777.5"], { env: folder.env, show: true });
      await ended;`;
    await Deno.writeTextFile(`${folder.path}/program.ts`, program);
    const inner = await Deno.makeTempDir({ dir: folder.path });
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--no-config", "--no-lock", "--quiet", `${folder.path}/program.ts`],
      env: { TMPDIR: inner },
      stdout: "piped",
    }).spawn();
    const reader = child.stdout.getReader();
    const pid = Number(new TextDecoder().decode((await reader.read()).value));
    Deno.kill(pid, "SIGCONT");
    assertEquals((await Array.fromAsync(Deno.readDir(inner))).length, 1);
    child.kill(signal);
    assertEquals((await reader.read()).done, true);
    assertEquals((await child.status).code, expected);
    assertThrows(() => Deno.kill(pid, "SIGCONT"), Deno.errors.NotFound);
    assertEquals(await Array.fromAsync(Deno.readDir(inner)), []);
  }, { skip });
}

test("a run of tests fails where one leaves a file behind, names it, and removes it", async () => {
  await using folder = await temporaryFolder("test");
  const path = `${folder.path}/leaving_test.ts`;
  await Deno.writeTextFile(
    path,
    `Deno.test("it passes", async () => {
      await Deno.writeTextFile(${
      JSON.stringify(`${folder.path}/where`)
    }, await Deno.makeTempDir({ prefix: "left-" }));
    });`,
  );
  const args = ["run", "-A", script("test.ts"), "--no-install", "--no-check", path];
  const { code, stdout } = await run(Deno.execPath(), args);
  const left = (await Deno.readTextFile(`${folder.path}/where`)).trim();
  assertStringIncludes(
    stdout,
    `Failed:\n  a test left ${left.split("/").at(-1)} behind among the temporary files\n`,
  );
  assertEquals([code, stdout.trim().split("\n").at(-1)], [1, "1 passed, 1 failed, 0 skipped"]);
  assertEquals(await Deno.stat(left).then(() => true, () => false), false);
});
