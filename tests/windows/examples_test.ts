/**
 * The two programs of "Using Secure Socket Extensions", as the examples have them, the same on either runtime and on
 * Deno with the least permission, against a server of this process.
 */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { spawn } from "node:child_process";
import { closeSync, openSync, readFileSync } from "node:fs";
import process from "node:process";
import { currentRuntime } from "../../ffi/permissions.ts";
import { createRegistry, ipsec, listen, openSystem } from "../../mod.ts";
import { machine } from "./support/machine.ts";
import { declareTests, windowsTest } from "./support/on_windows.ts";

const skip = machine.run === null ? "the fixture is only built by deno task test:windows on Linux" : null;
const LIMIT_MS = 60_000;

function onDeno(name: string): string[] {
  return [
    machine.deno!,
    "run",
    "--no-prompt",
    "--no-lock",
    "--cached-only",
    `--config=${machine.repository}\\deno.json`,
    "--allow-ffi=C:\\Windows\\System32",
    `${machine.repository}\\examples\\${name}`,
  ];
}

/** Its bundle, made for the oldest supported Node. */
function onNode(name: string): string[] {
  return [process.execPath, `${machine.run}\\bundles\\examples.${name.replace(/\.ts$/, ".mjs")}`];
}

/** Runs an example beside an echo server; resolves to its exit code and what it wrote. */
async function example(name: string): Promise<{ code: number | null; output: string }> {
  using system = openSystem({ grants: ["ipsec"] });
  await using listener = await listen({
    hostname: "127.0.0.1",
    port: 0,
    system,
    registry: createRegistry([ipsec()]),
    requirements: { mutualAuthentication: false },
  });
  const serving = listener.accept().then(async (conn) => {
    const p = new Uint8Array(64);
    const length = await conn.read(p);
    if (length !== null) await conn.write(p.subarray(0, length));
    await conn.close();
  }).catch(() => {});
  // A file, for Node's pipes do not work under Wine.
  const path = `${machine.run}\\example.txt`;
  const file = openSync(path, "w");
  const [program, ...args] = currentRuntime() === "deno" ? onDeno(name) : onNode(name);
  const child = spawn(program, [...args, "localhost", String(listener.addr.port)], {
    stdio: ["ignore", file, file],
    timeout: LIMIT_MS,
  });
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once("error", reject).once("close", resolve);
  });
  closeSync(file);
  await serving;
  return { code, output: readFileSync(path, "utf8") };
}

await windowsTest("SecureTcpConnect, the first program, connects, sends and receives", async () => {
  const { code, output } = await example("secure_tcp_connect.ts");
  assertEquals(code, 0, output);
  for (const line of ["Secure connection established", "Sent 8 bytes", "Received 8 bytes"]) {
    assertStringIncludes(output, line);
  }
}, { skip });

await windowsTest(
  "QueryTcpSocketSecurity, the second program, prints how the connection is secured",
  async () => {
    const { code, output } = await example("query_tcp_socket_security.ts");
    assertEquals(code, 0, output);
    const security = JSON.parse(output.slice(output.indexOf("{")));
    assertEquals([security.provider, security.integrity, security.confidentiality, security.simulated], [
      "ipsec",
      true,
      true,
      false,
    ]);
  },
  { skip },
);

declareTests();
