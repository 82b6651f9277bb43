/**
 * The registration of SPNs with exactly the flags that `openSystem` prints for the grant `directory`.
 */

import { assertEquals } from "@std/assert";
import { NativeSystem } from "../../ffi/system.ts";
import { DirectoryBinding } from "../../ffi/windows/account_spns.ts";
import { liveHandles } from "../../testing/mod.ts";
import { machine } from "./support/machine.ts";
import { declareTests, windowsTest } from "./support/on_windows.ts";

interface DenoPermissions {
  permissions: { querySync(descriptor: { name: string; path?: string }): { state: string } };
}

const deno = (globalThis as unknown as { Deno?: DenoPermissions }).Deno;
const skip = machine.run === null ? "the fixture is only built by deno task test:windows on Linux" : null;

await windowsTest(
  "DirectoryBinding works with the printed files of its own grant and nothing else",
  async () => {
    const state = (name: string, path?: string) =>
      deno!.permissions.querySync({ name, ...(path === undefined ? {} : { path }) }).state;
    const system = new NativeSystem({ grants: ["directory"] });
    for (const path of system.permissions.files) assertEquals(state("ffi", path), "granted", path);
    for (const name of ["secur32", "ws2_32", "advapi32"]) {
      assertEquals(state("ffi", `C:\\Windows\\System32\\${name}.dll`), "prompt");
    }
    for (const name of ["ffi", "read", "write", "env", "run", "sys", "net"]) {
      assertEquals(state(name), "prompt", name);
    }
    const binding = await DirectoryBinding.open(system);
    await binding.write("add", "CN=web,DC=example,DC=test", ["ADSockAuth/web.example.test"]);
    await binding.close();
    system.close();
    assertEquals(liveHandles(), {});
  },
  { skip },
);

declareTests();
