/** The IPsec examples, run as a reader runs them where there is no Windows. */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { test } from "@test";

const EXAMPLES: { readonly [file: string]: string } = {
  secure_tcp_connect: "Received 8 bytes of data from the server",
  query_tcp_socket_security: '"simulated": true',
  impersonating_server: "this was done as the client",
};

interface Command {
  output(): Promise<{ code: number; stdout: Uint8Array; stderr: Uint8Array }>;
}
interface DenoRun {
  execPath(): string;
  Command: new (path: string, options: { args: string[]; cwd: URL }) => Command;
}
const deno = (globalThis as { Deno?: DenoRun }).Deno;

for (const [file, expected] of Object.entries(EXAMPLES)) {
  test(`examples/${file}.ts --simulate does what it says, without a permission`, async () => {
    const args = ["run", "--no-prompt", "--quiet", "--no-lock", `examples/${file}.ts`, "--simulate"];
    const { code, stdout, stderr } = await new deno!.Command(deno!.execPath(), {
      args,
      cwd: new URL("../", import.meta.url),
    }).output();
    const text = new TextDecoder().decode(stdout);
    assertEquals([code, new TextDecoder().decode(stderr)], [0, ""]);
    assertStringIncludes(text, "simulated: nothing here is really secured");
    assertStringIncludes(text, expected);
  }, { skip: deno ? null : "the examples are Deno programs" });
}
