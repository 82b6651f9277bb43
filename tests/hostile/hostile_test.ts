import { assert, assertEquals } from "@std/assert";
import { test } from "@test";
import process from "node:process";
import { canned, drive, HANG_MS, hostileModules, leastCpuMs, type Outcome } from "../support/hostile.ts";
import { compileWat } from "../support/wat.ts";

const MEMORY_BYTES = 100 * 1024 * 1024;

const healthy = compileWat("canned.wat", `(module ${await canned()})`);
const modules = await hostileModules();

function summary({ at, error }: Outcome): Record<string, unknown> {
  const { name, message, rule, limit } = (error ?? {}) as unknown as Record<string, unknown>;
  return { at, name, rule, limit, message };
}

test("the valid module that hostile ones are derived from runs to the end", async () => {
  assertEquals(await drive(healthy), { at: "close", error: null });
});

for (const { file, what, expect, at, grants, answers, bytes } of modules) {
  test(`hostile ${file}: ${what}`, async () => {
    const before = process.memoryUsage().rss;
    const outcomes: Outcome[] = [];
    const cpuMs = await leastCpuMs(async () => {
      outcomes.push(await drive(bytes, grants, answers));
    });
    const grown = process.memoryUsage().rss - before;

    const [outcome] = outcomes;
    const told = JSON.stringify(summary(outcome));
    assertEquals(outcome.at, at, told);
    const [name, ...words] = expect.split(" ");
    if (name === "nothing") assertEquals(outcome.error, null, told);
    else {
      assertEquals(outcome.error?.name, name, told);
      const { rule, limit, message } = outcome.error as Error & { rule?: string; limit?: string };
      const word = words.join(" ");
      assert((rule ?? limit) === word || (rule === undefined && message.includes(word)), told);
    }
    assert(cpuMs < HANG_MS, `it took ${Math.round(cpuMs)} ms of the processor`);
    assert(grown < MEMORY_BYTES, `the host grew by ${grown} bytes`);
    assertEquals(await new Promise((resolve) => setTimeout(() => resolve("alive"), 0)), "alive");
    assertEquals(await drive(healthy), { at: "close", error: null });
  });
}
