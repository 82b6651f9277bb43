/**
 * IPsec at the socket with exactly the flags that `openSystem` prints for the grant `ipsec`.
 */

import { assertEquals } from "@std/assert";
import { connect, createRegistry, ipsec, listen, openSystem } from "../../mod.ts";
import { machine } from "./support/machine.ts";
import { declareTests, windowsTest } from "./support/on_windows.ts";

interface DenoPermissions {
  permissions: { querySync(descriptor: { name: string; path?: string }): { state: string } };
}

const deno = (globalThis as unknown as { Deno?: DenoPermissions }).Deno;
const skip = machine.run === null ? "the fixture is only built by deno task test:windows on Linux" : null;

await windowsTest("ipsec(): a connection works with the printed files and nothing else", async () => {
  using system = openSystem({ grants: ["ipsec"] });
  for (const path of system.permissions.files) {
    assertEquals(deno!.permissions.querySync({ name: "ffi", path }).state, "granted", path);
  }
  for (const name of ["ffi", "read", "write", "env", "run", "sys", "net"]) {
    assertEquals(deno!.permissions.querySync({ name }).state, "prompt", name);
  }
  const options = {
    system,
    registry: createRegistry([ipsec()]),
    requirements: { mutualAuthentication: false },
  };
  await using listener = await listen({ ...options, hostname: "127.0.0.1", port: 0 });
  const accepting = listener.accept();
  await using client = await connect({ ...options, hostname: "localhost", port: listener.addr.port });
  await using server = await accepting;
  await client.write(Uint8Array.of(7));
  const got = new Uint8Array(1);
  assertEquals([await server.read(got), got[0]], [1, 7]);
  assertEquals(client.security.confidentiality, true);
}, { skip });

declareTests();
