/**
 * IPsec policies of one's own with exactly the flags that `openSystem` prints for the grant `ipsec.policy` alone.
 */

import { assertEquals } from "@std/assert";
import { ipsecPolicy, openSystem } from "../../mod.ts";
import { liveHandles } from "../../testing/mod.ts";
import { machine } from "./support/machine.ts";
import { declareTests, windowsTest } from "./support/on_windows.ts";

interface DenoPermissions {
  permissions: { querySync(descriptor: { name: string; path?: string }): { state: string } };
}

const deno = (globalThis as unknown as { Deno?: DenoPermissions }).Deno;
const skip = machine.run === null ? "the fixture is only built by deno task test:windows on Linux" : null;

await windowsTest("ipsecPolicy() works with the printed files of its own grant and nothing else", () => {
  const state = (name: string, path?: string) =>
    deno!.permissions.querySync({ name, ...(path === undefined ? {} : { path }) }).state;
  {
    using system = openSystem({ grants: ["ipsec.policy"] });
    for (const path of system.permissions.files) assertEquals(state("ffi", path), "granted", path);
    assertEquals(state("ffi", "C:\\Windows\\System32\\ws2_32.dll"), "prompt");
    for (const name of ["ffi", "read", "write", "env", "run", "sys", "net"]) {
      assertEquals(state(name), "prompt", name);
    }
    using policy = ipsecPolicy({
      system,
      mainMode: { authentication: ["kerberos"] },
      quickMode: {},
      extendedMode: { authentication: ["kerberos"] },
    });
    assertEquals([typeof policy.mainModePolicy, typeof policy.quickModePolicy], ["string", "string"]);
  }
  assertEquals(liveHandles(), {});
}, { skip });

declareTests();
