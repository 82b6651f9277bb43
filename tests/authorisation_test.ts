/** The example of authorisation, run as a reader runs it. */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { test } from "@test";
import { spawn } from "node:child_process";
import process from "node:process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { connect } from "../mod.ts";
import { run } from "../scripts/process.ts";
import type { AdDc } from "./rig/ad_dc.ts";
import { freePort } from "./rig/realm.ts";
import { inDomain, noAdDc } from "./support/ad.ts";

const noDeno = process.versions.deno ? null : "the examples are Deno programs";
const root = fileURLToPath(new URL("../", import.meta.url));

test("the example without arguments prints its usage", async () => {
  const args = ["run", "--no-prompt", "examples/authorising_server.ts"];
  const { code, stderr } = await run(process.execPath, args, { cwd: root });
  assertEquals(code, 2);
  assertStringIncludes(stderr, "Usage: examples/authorising_server.ts SID");
}, { skip: noDeno });

/** The SID of a group. */
async function sidOf(dc: AdDc, group: string): Promise<string> {
  return /objectSid: (\S+)/.exec(await dc.tool(["group", "show", group, "--attributes=objectSid"]))![1];
}

test(
  "the example greets only members of the group, with only the permissions in its comment",
  () =>
    inDomain(async (dc, system) => {
      const port = await freePort();
      const flags = ["run", "--no-prompt", "--allow-net", "--allow-ffi", "examples/authorising_server.ts"];
      const server = spawn(process.execPath, [
        ...flags,
        await sidOf(dc, "Outer"),
        "host/localhost",
        String(port),
      ], {
        cwd: root,
        env: { ...process.env, ...dc.env, NO_COLOR: "1" },
        stdio: ["ignore", "pipe", "inherit"],
      });
      const ended = new Promise((resolve) => server.on("close", resolve));
      const lines = createInterface({ input: server.stdout })[Symbol.asyncIterator]();
      const say = async (): Promise<string> => (await lines.next()).value ?? "";
      try {
        assertStringIncludes(await say(), "host/localhost listens");
        for (const [user, greeting] of [["alice", "Welcome, Alice Example"], ["bob", "No"]] as const) {
          await dc.kinit(user);
          await using conn = await connect({ hostname: "localhost", port, system });
          const into = new Uint8Array(64);
          const length = await conn.read(into);
          assertEquals(new TextDecoder().decode(into.subarray(0, length ?? 0)), greeting);
          assertEquals(await say(), `${user}@EXAMPLE.TEST: ${greeting}`);
        }
      } finally {
        server.kill("SIGKILL");
        await ended;
      }
    }),
  { skip: noDeno ?? noAdDc },
);
