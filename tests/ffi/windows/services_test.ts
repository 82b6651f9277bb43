/** The state of services, with an advapi32.dll whose results the test sets. */

import { assertEquals, assertThrows } from "@std/assert";
import { test } from "@test";
import { PermissionError } from "../../../errors.ts";
import type { Backend, Library, LibrarySpec } from "../../../ffi/abi.ts";
import { NativeSystem } from "../../../ffi/system.ts";
import { isServiceRunning } from "../../../ffi/windows/services.ts";

/** Services by name, with their states; `null`: it may be opened and not queried. */
type Services = { readonly [name: string]: number | null };

/** A system whose services are these, and the handles that are open; `null`: nobody may connect to their manager. */
function withServices(services: Services | null): { system: NativeSystem; open: Set<bigint> } {
  const open = new Set<bigint>();
  let next = 1n;
  const opened = (): bigint => {
    open.add(next);
    return next++;
  };
  const names = new Map<bigint, string>();
  const calls = {
    OpenSCManagerW: () => services === null ? 0n : opened(),
    OpenServiceW(_manager: bigint, name: Uint8Array): bigint {
      const text = new TextDecoder("utf-16le").decode(name).replace(/\0.*/s, "");
      if (!Object.hasOwn(services!, text)) return 0n;
      const handle = opened();
      names.set(handle, text);
      return handle;
    },
    QueryServiceStatus(service: bigint, status: Uint8Array): number {
      const state = services![names.get(service)!];
      if (state === null) return 0;
      new DataView(status.buffer, status.byteOffset).setUint32(4, state, true);
      return 1;
    },
    CloseServiceHandle: (handle: bigint) => Number(open.delete(handle)),
  };
  const backend: Backend = {
    runtime: "deno",
    permits: () => true,
    open: <L extends LibrarySpec>(path: string) =>
      ({ path, call: calls, threaded: {}, close: () => {} }) as unknown as Library<L>,
  };
  const platform = { os: "windows", arch: "x86_64", systemDirectory: "C:\\Windows\\System32" } as const;
  return { system: new NativeSystem({ grants: ["impersonation"] }, { backend, platform }), open };
}

test("isServiceRunning reads the state of a service, and closes every handle", () => {
  const { system, open } = withServices({ BFE: 4, IKEEXT: 1, MpsSvc: null });
  const states = ["BFE", "IKEEXT", "MpsSvc", "none"].map((name) => isServiceRunning(system, name));
  assertEquals(states, [true, false, null, null]);
  assertEquals(open.size, 0);
  system.close();
});

test("isServiceRunning returns null where the services' manager refuses, and throws without the grant", () => {
  const { system } = withServices(null);
  assertEquals(isServiceRunning(system, "BFE"), null);
  system.close();
  const platform = { os: "windows", arch: "x86_64", systemDirectory: "C:\\Windows\\System32" } as const;
  using none = new NativeSystem({ grants: [] }, { platform });
  assertThrows(() => isServiceRunning(none, "BFE"), PermissionError);
});
