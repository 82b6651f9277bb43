/** The IPsec examples, run as a reader runs them where there is no Windows. */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { test } from "@test";
import { currentPlatform } from "../ffi/permissions.ts";

const EXAMPLES: { readonly [file: string]: string } = {
  secure_tcp_connect: "Received 8 bytes of data from the server",
  query_tcp_socket_security: '"simulated": true',
  impersonating_server: "this was done as the client",
  department_policies: '"cipher": "aes-256-gcm"',
};

interface Command {
  output(): Promise<{ code: number; stdout: Uint8Array; stderr: Uint8Array }>;
}
interface DenoRun {
  execPath(): string;
  Command: new (path: string, options: { args: string[]; cwd: URL }) => Command;
}
const deno = (globalThis as { Deno?: DenoRun }).Deno;

const skip = deno ? null : "the examples are Deno programs";

async function run(file: string, ...given: string[]) {
  const args = ["run", "--no-prompt", "--quiet", "--no-lock", `examples/${file}.ts`, ...given];
  const cwd = new URL("../", import.meta.url);
  const { code, stdout, stderr } = await new deno!.Command(deno!.execPath(), { args, cwd }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, stdout: text(stdout), stderr: text(stderr) };
}

for (const [file, expected] of Object.entries(EXAMPLES)) {
  test(`examples/${file}.ts --simulate prints what it promises, without a permission`, async () => {
    const { code, stdout, stderr } = await run(file, "--simulate");
    assertEquals([code, stderr], [0, ""]);
    assertStringIncludes(stdout, "simulated: nothing here is really secured");
    assertStringIncludes(stdout, expected);
  }, { skip });

  test(`examples/${file}.ts without arguments prints its usage`, async () => {
    const { code, stdout, stderr } = await run(file);
    assertEquals([code, stdout], [2, ""]);
    assertStringIncludes(stderr, `examples/${file}.ts --simulate`);
  }, { skip });

  test(`examples/${file}.ts off Windows names the alternative`, async () => {
    const args = file === "impersonating_server" ? ["7777"] : ["server.example.test", "7777"];
    const { code, stderr } = await run(file, ...args);
    assertEquals(code, 1);
    assertStringIncludes(stderr, "UnsupportedPlatformError");
    assertStringIncludes(stderr, "use simulate() of ./testing");
  }, { skip: skip ?? (currentPlatform("").os === "windows" ? "this is Windows" : null) });
}
