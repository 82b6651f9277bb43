import { assertEquals } from "@std/assert";
import { test } from "@test";
import process from "node:process";
import { run } from "../../scripts/process.ts";

test("a program gets the environment it is given, and this process's unless it is left out", async () => {
  process.env.SECURE_SOCKETS_TEST = "outer";
  try {
    const seen = async (clearEnv: boolean) => {
      const options = { env: { INNER: "inner" }, clearEnv };
      const { stdout } = await run("/bin/sh", ["-c", 'echo "$SECURE_SOCKETS_TEST $INNER"'], options);
      return stdout.trim();
    };
    assertEquals([await seen(false), await seen(true)], ["outer inner", "inner"]);
  } finally {
    delete process.env.SECURE_SOCKETS_TEST;
  }
}, { skip: process.platform === "win32" ? "it asks a shell of Unix" : null });
