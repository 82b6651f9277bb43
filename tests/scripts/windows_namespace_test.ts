/**
 * Nothing the Windows rig mounts or starts outlives it.
 */

import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { test } from "@test";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { pathToFileURL } from "node:url";
import { namespacesUnavailable } from "../rig/daemon.ts";
import { isolate } from "../rig/windows/namespace.ts";

const skip = "Deno" in globalThis ? namespacesUnavailable() : "the rig runs on Deno";

test("where unshare is forbidden or missing, the error has its message and what to do", () => {
  const path = process.env.PATH;
  const folder = mkdtempSync(join(tmpdir(), "secure-sockets-unshare-"));
  try {
    process.env.PATH = folder;
    const absent = namespacesUnavailable();
    writeFileSync(join(folder, "unshare"), "#!/bin/sh\necho unshare failed: Not allowed >&2\nexit 1\n", {
      mode: 0o755,
    });
    const refused = namespacesUnavailable();
    assertMatch(absent!, /^unshare makes no namespaces here \(.+\): run it as root with CAP_SYS_ADMIN$/);
    assertStringIncludes(refused!, "(unshare failed: Not allowed)");
    writeFileSync(join(folder, "unshare"), "#!/bin/sh\n");
    assertEquals(namespacesUnavailable(), null);
  } finally {
    process.env.PATH = path;
    rmSync(folder, { recursive: true });
  }
}, { skip: process.platform === "linux" && "Deno" in globalThis ? null : "the rig runs on Deno, on Linux" });

/** Starts an inner script that mounts, starts a process, and says so; resolves once it has. */
async function start(folder: string, then: string) {
  const script = join(folder, "inner.ts");
  const namespaces = new URL("../rig/windows/namespace.ts", import.meta.url).href;
  writeFileSync(
    script,
    `import { endWithParent } from ${JSON.stringify(namespaces)};
    endWithParent();
    await new Deno.Command("mount", { args: ["-t", "tmpfs", "tmpfs", Deno.args[0] + "/mnt"] }).output();
    new Deno.Command("sleep", { args: ["7777.25"], stdin: "null" }).spawn();
    await Deno.writeTextFile(Deno.args[0] + "/mnt/inside", "");
    await Deno.writeTextFile(Deno.args[0] + "/ready", "");
    ${then}`,
  );
  Deno.mkdirSync(join(folder, "mnt"));
  const inner = isolate(pathToFileURL(script), [folder], { network: "own" });
  for (let waited = 0; !existsSync(join(folder, "ready")); waited += 10) {
    if (waited > 20_000) throw new Error("the inner script did not start");
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  return inner;
}

/** Whether a process started by the inner script is alive. */
function sleeping(): boolean {
  return readdirSync("/proc").filter((name) => /^\d+$/.test(name)).some((pid) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("7777.25");
    } catch {
      return false;
    }
  });
}

for (
  const [how, then] of [["killed", "await new Promise(() => {});"], ["ending by itself", "Deno.exit(3);"]]
) {
  test(`an isolated process, ${how}, leaves no mount and no process`, async () => {
    const folder = mkdtempSync(join(tmpdir(), "secure-sockets-namespace-"));
    try {
      const inner = await start(folder, then);
      assertEquals(existsSync(join(folder, "mnt", "inside")), false, "its mounts are its own");
      if (how === "killed") await inner.kill();
      const code = await inner.ended;
      assertEquals(how === "killed" ? code !== 0 : code === 3, true, `exit code ${code}`);
      assertEquals(sleeping(), false);
      assertEquals(readFileSync("/proc/mounts", "utf8").includes(folder), false);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }, { skip });
}

test(
  "an isolated process removes its folder and ends where the process that started it was killed",
  async () => {
    const folder = mkdtempSync(join(tmpdir(), "secure-sockets-namespace-"));
    const staged = join(folder, "staged");
    const namespaces = JSON.stringify(new URL("../rig/windows/namespace.ts", import.meta.url).href);
    const inner = join(folder, "inner.ts");
    const outer = join(folder, "outer.ts");
    writeFileSync(
      inner,
      `import { endWithParent } from ${namespaces};
    endWithParent(() => Deno.remove(Deno.args[0], { recursive: true }));
    new Deno.Command("sleep", { args: ["7777.25"], stdin: "null" }).spawn();
    await Deno.writeTextFile(Deno.args[0] + "/ready", "");
    await new Promise(() => {});`,
    );
    writeFileSync(
      outer,
      `import { isolate } from ${namespaces};
    await isolate(new URL("inner.ts", import.meta.url), [Deno.args[0]], { network: "own" }).ended;`,
    );
    try {
      Deno.mkdirSync(staged);
      const args = ["run", "--quiet", "--allow-all", "--no-config", "--no-lock", outer, staged];
      const child = new Deno.Command(Deno.execPath(), { args, stdin: "null" }).spawn();
      const until = async (done: () => boolean, what: string) => {
        for (let waited = 0; !done(); waited += 10) {
          if (waited > 20_000) throw new Error(`${what} in vain`);
          await new Promise((resolve) => setTimeout(resolve, 10));
        }
      };
      await until(() => existsSync(join(staged, "ready")), "waited for the inner script");
      child.kill("SIGKILL");
      await child.status;
      await until(() => !existsSync(staged) && !sleeping(), "waited for the end");
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
  { skip },
);
