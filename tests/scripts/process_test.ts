import { assertEquals } from "@std/assert";
import { test } from "@test";
import process from "node:process";
import { ROOT_URL } from "../../scripts/root.ts";
import { isWorthShowing } from "../../scripts/test.ts";
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

test(
  "run shows only the requested lines of a program's output, whole, and collects all of it",
  async () => {
    const program = `import { run } from ${JSON.stringify(new URL("scripts/process.ts", ROOT_URL).href)};
    const text = "one\\ntw; sleep 0.2; printf 'o\\nthree\\nfour";
    const { stdout } = await run("/bin/sh", ["-c", "printf '" + text.replace("; sleep", "'; sleep") + "'"], {
      show: (line) => line !== "one" && line !== "three",
    });
    console.log("|" + JSON.stringify(stdout));`;
    const { stdout } = await run(process.execPath, ["eval", "--no-config", program]);
    assertEquals(stdout, 'two\nfour|"one\\ntwo\\nthree\\nfour"\n');
  },
  { skip: process.platform === "win32" ? "it asks a shell of Unix" : null },
);

test("a run of all tests hides passed tests, and checked files", () => {
  const shown = (line: string) => [isWorthShowing(line, true), isWorthShowing(line, false)];
  assertEquals(shown("\x1b[0m\x1b[32mCheck\x1b[0m tests/a_test.ts"), [false, false]);
  assertEquals(shown("a is b ... \x1b[0m\x1b[32mok\x1b[0m \x1b[0m\x1b[38;5;245m(17ms)\x1b[0m"), [
    false,
    true,
  ]);
  assertEquals(shown("a is b ... ignored (0ms)"), [false, true]);
  for (
    const line of ["a is b ... FAILED (17ms)", "running 3 tests from ./a_test.ts", "error: not ok (1)", ""]
  ) {
    assertEquals(shown(line), [true, true]);
  }
});
