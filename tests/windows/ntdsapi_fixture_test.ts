/**
 * The registration of SPNs by ntdsapi.dll, as a test double logs it: what reaches the functions, and what their codes
 * become. No test runs against Windows' own functions: they need a domain.
 */

import { assertEquals, assertInstanceOf, assertRejects } from "@std/assert";
import { PermissionError, TransportError } from "../../errors.ts";
import { NativeSystem } from "../../ffi/system.ts";
import { DirectoryBinding, registerHostSpns } from "../../ffi/windows/account_spns.ts";
import { liveHandles } from "../../testing/mod.ts";
import { clearLog, readLog, utf16Hex } from "./support/call_log.ts";
import { machine } from "./support/machine.ts";
import { declareTests, windowsTest } from "./support/on_windows.ts";

const skip = machine.run === null ? "the fixture is only built by deno task test:windows on Linux" : null;
const BINDING = String(0x5ec07ed5);
const ACCOUNT = "CN=wébserver,OU=Dienste,DC=example,DC=test";

/** Runs `body` with an empty log, and checks that nothing stays open. */
async function logged(body: (system: NativeSystem) => Promise<void>): Promise<void> {
  clearLog();
  const system = new NativeSystem({ grants: ["directory"] });
  try {
    await body(system);
  } finally {
    system.close();
  }
  assertEquals(liveHandles(), {});
}

await windowsTest(
  "write() gives DsWriteAccountSpn the account and every SPN, and unbinds",
  () =>
    logged(async (system) => {
      const spns = Array.from({ length: 40 }, (_, index) => `ADSockAuth/wéb${index}.example.test:7777`);
      {
        await using binding = await DirectoryBinding.open(system, "dc1.example.test");
        for (const operation of ["add", "remove", "replace"] as const) {
          await binding.write(operation, ACCOUNT, operation === "replace" ? [] : spns);
        }
        await binding.close();
      }
      const [bind, add, remove, replace, unbind, ...more] = readLog();
      assertEquals([bind.fn, unbind.fn, more.length], ["DsBindW", "DsUnBindW", 0]);
      assertEquals([bind.DomainControllerName, bind.DnsDomainName], [utf16Hex("dc1.example.test"), null]);
      assertEquals([add, remove, replace].map(({ Operation }) => Operation), ["0", "2", "1"]);
      for (const call of [add, remove, replace]) {
        assertEquals([call.fn, call.hDS, call.pszAccount], [
          "DsWriteAccountSpnW",
          BINDING,
          utf16Hex(ACCOUNT),
        ]);
      }
      assertEquals([add.cSpn, replace.cSpn, unbind.hDS], ["40", "0", BINDING]);
      spns.forEach((spn, index) => assertEquals(add[`rpszSpn[${index}]`], utf16Hex(spn)));
    }),
  { skip },
);

await windowsTest(
  "open() and write() say what a code means and who may do it, and leave nothing open",
  () =>
    logged(async (system) => {
      const unreachable = await assertRejects(
        () => DirectoryBinding.open(system, "fails with 1722"),
        TransportError,
        "RPC_S_SERVER_UNAVAILABLE (1722)",
      );
      assertEquals(unreachable.codeName, "RPC_S_SERVER_UNAVAILABLE");
      await using binding = await DirectoryBinding.open(system, undefined, "example.test");
      const write = (code: number) => () => binding.write("add", `CN=fails with ${code}`, ["http/web"]);
      for (const code of [5, 8344]) {
        const denied = await assertRejects(write(code), PermissionError, "setspn -S SPN ACCOUNT");
        assertEquals(denied.grant, "directory");
      }
      await assertRejects(write(8647), TransportError, "setspn -Q SPN");
      const other = await assertRejects(
        write(8451),
        TransportError,
        "Win32 error 8451 (8451). Read: net helpmsg 8451",
      );
      assertInstanceOf(other.cause, Error);
      await binding.close();
      await assertRejects(write(5), TypeError, "closed");
    }),
  { skip },
);

await windowsTest(
  "registerHostSpns() gives DsServerRegisterSpn the class, and the account where one is named",
  () =>
    logged(async (system) => {
      await registerHostSpns(system, "add", "ADSockAuth");
      await registerHostSpns(system, "remove", "ADSockAuth", ACCOUNT);
      await assertRejects(
        () => registerHostSpns(system, "add", "ADSockAuth", "CN=fails with 5"),
        PermissionError,
        "LocalSystem",
      );
      const [add, remove] = readLog();
      assertEquals([add.fn, add.Operation, add.ServiceClass, add.UserObjectDN], [
        "DsServerRegisterSpnW",
        "0",
        utf16Hex("ADSockAuth"),
        null,
      ]);
      assertEquals([remove.Operation, remove.UserObjectDN], ["2", utf16Hex(ACCOUNT)]);
    }),
  { skip },
);

declareTests();
