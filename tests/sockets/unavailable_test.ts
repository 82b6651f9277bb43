/**
 * connect(), listen() and secure() if the system's library is unavailable: the typed error itself, nothing opened.
 */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { test } from "@test";
import { PermissionError, UnsupportedPlatformError } from "../../errors.ts";
import type { Backend } from "../../ffi/abi.ts";
import { missingSymbol } from "../../ffi/abi.ts";
import { NativeSystem } from "../../ffi/system.ts";
import { connect } from "../../sockets/connect.ts";
import { listen } from "../../sockets/listen.ts";
import { secure } from "../../sockets/secure.ts";
import { liveHandles } from "../../testing/mod.ts";
import { MemoryTransport } from "../support/memory_transport.ts";

const PLATFORM = { os: "linux", arch: "x86_64", systemDirectory: "C:\\Windows\\System32" } as const;

interface Case {
  backend: Partial<Backend>;
  check(error: unknown, system: NativeSystem): void;
}

const CASES: { readonly [what: string]: Case } = {
  "which may not be opened": {
    backend: { permits: () => false },
    check(error, system) {
      assert(error instanceof PermissionError, String(error));
      assertEquals([error.grant, error.flag], ["sspi", system.permissions.deno]);
      assertStringIncludes(error.message, error.flag);
    },
  },
  "which is not installed": {
    backend: {
      open() {
        throw new Error("cannot open shared object file");
      },
    },
    check(error) {
      assert(error instanceof UnsupportedPlatformError, String(error));
      assertEquals([error.dll, error.symbol], ["libgssapi_krb5", undefined]);
      assertStringIncludes(error.message, error.instead);
    },
  },
  "which lacks a function": {
    backend: {
      open(_, spec) {
        throw missingSymbol(spec, "gss_wrap_iov", new Error("undefined symbol"));
      },
    },
    check(error) {
      assert(error instanceof UnsupportedPlatformError, String(error));
      assertEquals([error.dll, error.symbol], ["libgssapi_krb5", "gss_wrap_iov"]);
    },
  },
};

function systemOf(backend: Partial<Backend>): NativeSystem {
  const none: Backend = {
    runtime: "deno",
    permits: () => true,
    open() {
      throw new Error("nothing may be opened here");
    },
  };
  return new NativeSystem({ grants: ["sspi"] }, { backend: { ...none, ...backend }, platform: PLATFORM });
}

for (const [what, { backend, check }] of Object.entries(CASES)) {
  test(`connect(), listen() and secure() report that a library ${what}, and open nothing`, async () => {
    using system = systemOf(backend);
    const [near, far] = MemoryTransport.pair();
    const attempts = [
      connect({ hostname: "192.0.2.1", target: "host/x", port: 9, system, timeoutMs: 60_000 }),
      listen({ port: 0, hostname: "127.0.0.1", system }),
      secure(near, { role: "client", target: "host/x", system }),
      secure(far, { role: "server", system }),
    ];
    for (const attempt of attempts) check(await attempt.then(() => null, (error) => error), system);
    assertEquals([near.sent.length, far.sent.length, near.closes, far.closes], [0, 0, 1, 1]);
    assertEquals(liveHandles(), {});
  });
}
