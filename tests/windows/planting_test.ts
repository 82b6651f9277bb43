/**
 * Hostile DLLs under the names of the system's, in the working folder and beside the runtime's program, are not
 * loaded. The second folder is the one that Windows searches before its own.
 */

import { assert, assertEquals } from "@std/assert";
import process from "node:process";
import { readdirSync } from "node:fs";
import { GRANTS } from "../../ffi/permissions.ts";
import { kerberos } from "../../plugins/negotiate/mod.ts";
import { backend } from "./support/libraries.ts";
import { machine } from "./support/machine.ts";
import { declareTests, windowsTest } from "./support/on_windows.ts";
import { authenticated, testSystem } from "./support/sspi.ts";

const skip = machine.run === null
  ? "the hostile libraries are only built by deno task test:windows on Linux"
  : null;

await windowsTest(
  "libraries come from the system's folder, whatever the working folder or the program's folder contains",
  async () => {
    const planted = readdirSync(".").filter((name) => name.endsWith(".dll"));
    assert(planted.includes("secur32.dll") && planted.includes("fwpuclnt.dll"), `planted: ${planted}`);
    const program = process.execPath.replace(/[^\\/]+$/, "");
    assert(readdirSync(program).includes("fwpuclnt.dll"), `nothing is planted in ${program}`);
    const system = testSystem(GRANTS);
    system.capabilities();
    using both = await authenticated(system, kerberos());
    assertEquals(both.client.attributes.mutualAuthentication, true);
    both[Symbol.dispose]();
    system.close();
    assertEquals(process.env.PLANTED, undefined);
  },
  { skip },
);

await windowsTest(
  "the hostile libraries load where they are requested, so the test above can fail",
  () => {
    const spec = {
      name: "fwpuclnt.dll",
      instead: "",
      files: {},
      fns: { Planted: { params: [], result: "i32" } },
    } as const;
    const library = backend().open(`${process.cwd()}\\fwpuclnt.dll`, spec);
    assertEquals(library.call.Planted(), 1);
    assertEquals(process.env.PLANTED, "1");
    library.close();
  },
  { skip },
);

declareTests();
