/** The command line as a single executable of `deno compile`. */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { test } from "@test";
import { lookup } from "node:dns/promises";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { VERSION } from "../../cli/help.ts";
import { mustRun, run } from "../../scripts/process.ts";
import { startRealm } from "../rig/realm.ts";
import { noRealm } from "../support/kerberos.ts";

/** Why nothing can be compiled here; `deno compile` downloads the runtime that it puts into the executable. */
async function noRuntime(): Promise<string | null> {
  if (!process.versions.deno) return "deno compile is Deno's";
  if (process.env.DENORT_BIN !== undefined) return null;
  return await lookup("dl.deno.land").then(
    () => null,
    () => "dl.deno.land, where deno compile gets denort, does not answer",
  );
}

test(
  "deno compile makes an executable that loads its commands and calls the system's libraries",
  async () => {
    await using realm = await startRealm();
    await realm.kinit("alice");
    const folder = mkdtempSync(join(tmpdir(), "secure-sockets-compile-"));
    try {
      const program = join(folder, "secure-sockets");
      const source = fileURLToPath(new URL("../../cli.ts", import.meta.url));
      await mustRun(process.execPath, ["compile", "-A", "--no-check", "--no-config", "-o", program, source]);
      assertEquals((await run(program, ["--version"])).stdout, `${VERSION}\n`);
      const { code, stdout } = await run(program, ["doctor", "HTTP/localhost", "--json"], { env: realm.env });
      assertEquals(code, 0, stdout);
      assertStringIncludes(stdout, "a server here sees alice@MIT.TEST");
    } finally {
      rmSync(folder, { recursive: true });
    }
  },
  { skip: (await noRuntime()) ?? noRealm },
);
