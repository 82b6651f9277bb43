/**
 * The library at work with exactly the flags that `openSystem` prints for its grants, and nothing else.
 */

import { assertEquals, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import { PermissionError } from "../../errors.ts";
import { connect, createRegistry, kerberos, listen, negotiate, openSystem, secure } from "../../mod.ts";
import { liveHandles } from "../../testing/mod.ts";
import { declareTests, onWindows, windowsTest } from "./support/on_windows.ts";
import { bytes, noRealm, testSystem } from "./support/sspi.ts";

interface DenoPermissions {
  permissions: { querySync(descriptor: { name: string; path?: string; host?: string }): { state: string } };
}

const deno = (globalThis as unknown as { Deno?: DenoPermissions }).Deno;
const skip = deno === undefined ? "Node's permissions know no single files" : noRealm;
const state = (name: string, more: object = {}) => deno!.permissions.querySync({ name, ...more }).state;

await windowsTest("nothing but the printed files and 127.0.0.1 is allowed here", () => {
  for (const path of openSystem({ grants: ["sspi"] }).permissions.files) {
    assertEquals(state("ffi", { path }), "granted", path);
  }
  for (const path of ["C:\\Windows\\System32", "C:\\Windows\\System32\\kernel32.dll", "secur32.dll"]) {
    assertEquals(state("ffi", { path }), "prompt", path);
  }
  for (const name of ["ffi", "read", "write", "env", "run", "sys", "net"]) {
    assertEquals(state(name), "prompt", name);
  }
  assertEquals(state("net", { host: "127.0.0.1" }), "granted");
}, { skip });

for (const provider of [kerberos(), negotiate()]) {
  await windowsTest(`${provider.name}: a connection works with only these permissions`, async () => {
    const system = testSystem();
    const registry = createRegistry([provider]);
    const listener = await listen({ hostname: "127.0.0.1", port: 0, system, registry });
    const { port } = listener.addr as { port: number };
    const accepted = listener.accept();
    const client = await connect({ hostname: "127.0.0.1", port, target: "HTTP/localhost", system, registry });
    const server = await accepted;
    await client.write(bytes(1000));
    const got = new Uint8Array(1000);
    for (let at = 0; at < got.length;) at += (await server.read(got.subarray(at)))!;
    assertEquals(got, bytes(1000));
    await Promise.all([client.close(), server.close()]);
    await listener.close();
    system.close();
    assertEquals(liveHandles(), {});
  }, { skip });
}

await windowsTest(
  "a grant whose files are not allowed is refused by name, with the flag to add",
  async () => {
    const system = testSystem(["sspi", "impersonation"]);
    assertEquals(system.capabilities().securityContexts.available, true);
    const pipe = { read: () => Promise.resolve(null), write: () => Promise.resolve(0), close() {} };
    const error = await assertRejects(
      () => secure(pipe, { role: "client", target: "HTTP/localhost", system }),
      PermissionError,
    );
    assertEquals([error.grant, error.code], ["impersonation", "PERMISSION"]);
    assertStringIncludes(error.flag, "--allow-ffi=C:\\Windows\\System32\\");
    system.close();
  },
  { skip },
);

await windowsTest("a system opened elsewhere than in the allowed folder opens nothing", () => {
  const system = openSystem({ grants: ["sspi"], systemDirectory: "C:\\secure-sockets" });
  const { securityContexts } = system.capabilities();
  assertEquals(securityContexts.available, false);
  system.close();
}, { skip: onWindows ? skip : null });

await windowsTest("libraries by a name without a path are refused", () => {
  assertThrows(
    () => openSystem({ grants: ["sspi"], systemDirectory: "System32" }),
    TypeError,
    "systemDirectory",
  );
}, { skip });

declareTests();
