import { assertEquals } from "@std/assert";
import { test } from "@test";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { run } from "../../../scripts/process.ts";

const skip = "Deno" in globalThis ? null : "only Deno runs a program without any permission";

test("ntlm() loads, authenticates and seals without any permission", async () => {
  const script = fileURLToPath(new URL("unpermitted.ts", import.meta.url));
  const { stdout, stderr } = await run(process.execPath, [
    "run",
    "--no-prompt",
    "--no-config",
    "--no-check",
    script,
  ]);
  assertEquals(stdout.trim(), "sealed without a permission", stderr);
}, { skip });
