/** A system can do exactly what it was granted, with exactly the flags it reports. */

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertMatch,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { test } from "@test";
import { resolveRequirements } from "../../plugins/requirements.ts";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { PermissionError, StateError, UnsupportedPlatformError } from "../../errors.ts";
import type { Backend, Library, LibrarySpec } from "../../ffi/abi.ts";
import { acquireCredentials } from "../../ffi/security/credentials.ts";
import { openLibrary } from "../../ffi/mod.ts";
import {
  candidatePaths,
  type Grant,
  type Platform,
  type RequiredPermissions,
} from "../../ffi/permissions.ts";
import { GSSAPI } from "../../ffi/raw/gssapi.ts";
import { connectTcp, listenTcp } from "../../ffi/transport/mod.ts";
import { NativeSystem, nativeSystem, openSystem } from "../../ffi/system.ts";
import { liveHandles } from "../../testing/mod.ts";
import { childOutcome, children } from "../support/child.ts";
import { runtimeBackend } from "../support/native.ts";

/** What a program reports of its system. */
interface Report {
  available: boolean;
  cause?: { name: string; code: string; grant?: string; flag?: string; message: string };
  live: { [kind: string]: number };
}

function report(): Report {
  const system = openSystem({ grants: ["sspi"] });
  const { securityContexts } = system.capabilities();
  const live = liveHandles();
  system.close();
  if (securityContexts.available) return { available: true, live };
  const { name, code, grant, flag, message } = securityContexts.cause as PermissionError;
  return { available: false, cause: { name, code, grant, flag, message }, live };
}

/** Opens both ends of a connection on this machine, or returns what is missing. */
async function connects(): Promise<{ connected: boolean } | { grant: string; flag: string }> {
  try {
    const listener = await listenTcp({ hostname: "127.0.0.1", port: 0 });
    const client = await connectTcp({ hostname: "127.0.0.1", port: listener.addr.port });
    client.close();
    listener.close();
    return { connected: true };
  } catch (error) {
    const { grant, flag } = error as PermissionError;
    return { grant, flag };
  }
}

await children({
  permissions: () => openSystem({ grants: ["sspi"] }).permissions,
  report,
  connects,
  imports: async () => {
    const modules = [
      await import("../../mod.ts"),
      await import("../../plugins/mod.ts"),
      await import("../../testing/mod.ts"),
      await import("../../ffi/mod.ts"),
    ];
    return { exports: modules.map((module) => Object.keys(module).length > 0), live: liveHandles() };
  },
});

const deno = process.versions.deno !== undefined;
const platform = nativeSystem(openSystem({ grants: [] })).platform;
const found = candidatePaths(GSSAPI, platform).find((path) => existsSync(path));
const skip = found === undefined ? `no GSS-API here: ${GSSAPI.instead}` : null;
const onDeno = deno ? skip : "Deno's flags";
const onNode = deno ? "Node's flags" : skip;
const self = import.meta.url;

test("importing every entry point needs no permission and opens nothing", async () => {
  const flags = deno ? [] : ["--permission", ...readable().program];
  const outcome = await childOutcome(self, "imports", { flags });
  assertEquals(outcome, { exports: [true, true, true, true], live: {} });
});

test("system.permissions has exactly the flag that a system needs on Deno", async () => {
  const { deno: flag } = await childOutcome<RequiredPermissions>(self, "permissions");
  assertEquals(await childOutcome<Report>(self, "report", { flags: [flag] }), {
    available: true,
    live: { library: 1 },
  });
}, { skip: onDeno });

test("openSystem() on Deno needs permission for the library's own file, and for no other", async () => {
  assert((await childOutcome<Report>(self, "report", { flags: [`--allow-ffi=${found}`] })).available);
  const { available, cause } = await childOutcome<Report>(self, "report", { flags: ["--allow-ffi=/tmp"] });
  assertEquals([available, cause?.name], [false, "PermissionError"]);
}, { skip: onDeno });

test(
  "openSystem() on Deno without its flag ends in a PermissionError with the flag, and does not prompt",
  async () => {
    const { deno: flag } = await childOutcome<RequiredPermissions>(self, "permissions");
    const { available, cause, live } = await childOutcome<Report>(self, "report");
    assertEquals([available, live], [false, {}]);
    assertEquals([cause?.name, cause?.code, cause?.grant, cause?.flag], [
      "PermissionError",
      "PERMISSION",
      "sspi",
      flag,
    ]);
    assertStringIncludes(cause!.message, flag);
  },
  { skip: onDeno },
);

/** What Node must be allowed to read: the test, the library, and the installed packages with koffi. */
function readable(): { program: string[]; packages: string } {
  const { resolve } = createRequire(self);
  const library = dirname(resolve("@winsock/secure-sockets/package.json"));
  const packages = library.slice(0, library.lastIndexOf("node_modules") + "node_modules".length);
  const allow = (folder: string): string => `--allow-fs-read=${folder}`;
  return { program: [dirname(fileURLToPath(self)), library].map(allow), packages };
}

test("system.permissions has exactly the flags that a system needs on Node", async () => {
  const { node } = openSystem({ grants: ["sspi"] }).permissions;
  const { program, packages } = readable();
  const printed = node.replace(/<.*?>/, packages).split(" ");
  const flags = ["--permission", ...program, ...printed];
  assertEquals(await childOutcome<Report>(self, "report", { flags }), {
    available: true,
    live: { library: 1 },
  });
}, { skip: onNode });

test(
  "system.permissions allows a connection on Node, with --allow-net where Node requires it",
  async () => {
    const { program, packages } = readable();
    for (const grant of ["sockets", "sspi"] as const) {
      const printed = openSystem({ grants: [grant] }).permissions.node.replace(/<.*?>/, packages).split(" ");
      const flags = ["--permission", ...program, ...printed.filter((flag) => flag !== "")];
      assertEquals(await childOutcome(self, "connects", { flags }), { connected: true });
      const without = flags.filter((flag) => flag !== "--allow-net");
      if (without.length === flags.length) continue;
      assertEquals(await childOutcome(self, "connects", { flags: without }), {
        grant: "sockets",
        flag: "--allow-net",
      });
    }
  },
  { skip: onNode },
);

test("openSystem() on Node without its flags ends in a PermissionError with the flags", async () => {
  const { program, packages } = readable();
  const { node } = openSystem({ grants: ["sspi"] }).permissions;
  // First without permission for addons, then without permission to read koffi.
  for (const flag of [`--allow-fs-read=${packages}`, "--allow-addons"]) {
    const { available, cause, live } = await childOutcome<Report>(self, "report", {
      flags: ["--permission", ...program, flag],
    });
    assertEquals([available, live], [false, {}]);
    assertEquals([cause?.name, cause?.grant, cause?.flag], ["PermissionError", "sspi", node]);
    assertStringIncludes(cause!.message, node);
  }
}, { skip: onNode });

/** A system whose backend opens the library that `open` returns. */
function systemWith(open: Partial<Backend>): NativeSystem {
  return new NativeSystem({ grants: ["sspi"] }, {
    backend: { ...runtimeBackend(), permits: () => true, ...open },
  });
}

test(
  "library() throws an UnsupportedPlatformError with what to install where the library does not exist",
  () => {
    const real = runtimeBackend();
    using system = systemWith({ open: (_, spec) => real.open("/nowhere/libgssapi_krb5.so.2", spec) });
    const error = assertThrows(
      () => system.library("sspi", GSSAPI),
      UnsupportedPlatformError,
      "could not be opened",
    );
    assertEquals([error.dll, error.instead], ["libgssapi_krb5", GSSAPI.instead]);
    assertInstanceOf(error.cause, Error);
    assertEquals(system.capabilities().securityContexts.available, false);
    assertEquals(liveHandles(), {});
  },
  { skip },
);

test(
  "library() throws an UnsupportedPlatformError with the loader's message where the file is not a library",
  () => {
    const folder = mkdtempSync(join(tmpdir(), "secure-sockets-"));
    try {
      const path = join(folder, "libgssapi_krb5.so.2");
      writeFileSync(path, "not a library");
      const real = runtimeBackend();
      using system = systemWith({ open: (_, spec) => real.open(path, spec) });
      const error = assertThrows(
        () => system.library("sspi", GSSAPI),
        UnsupportedPlatformError,
        "could not be opened",
      );
      assertMatch(error.message, /too short|invalid ELF|not a mach-o/i);
      assertEquals(error.dll, "libgssapi_krb5");
    } finally {
      rmSync(folder, { recursive: true });
    }
  },
  { skip },
);

test(
  "library() throws an UnsupportedPlatformError with the function's name where a function is missing",
  () => {
    const real = runtimeBackend();
    using system = systemWith({
      open<L extends LibrarySpec>(path: string, spec: L) {
        const fns = { ...spec.fns, gss_made_up: { params: [], result: "u32" as const } };
        return real.open(path, { ...spec, fns } as L);
      },
    });
    const paths = candidatePaths(GSSAPI, system.platform);
    const error = assertThrows(() => {
      // The first existing path decides: a library that is too old must not be passed over for another.
      system.library("sspi", GSSAPI);
    }, UnsupportedPlatformError);
    assertEquals([error.dll, error.symbol], ["libgssapi_krb5", "gss_made_up"]);
    assert(paths.length > 1);
    assertEquals(liveHandles(), {});
  },
  { skip },
);

test("library() refuses another library at the library's path for its missing functions", () => {
  const real = runtimeBackend();
  const libc = candidatePaths({ ...GSSAPI, files: { linux: ["/lib/{multiarch}/libc.so.6"] } }, platform)[0];
  using system = systemWith({ open: (_, spec) => real.open(libc, spec) });
  const error = assertThrows(() => system.library("sspi", GSSAPI), UnsupportedPlatformError);
  assertMatch(error.symbol!, /^(gss|krb5)_/);
}, { skip: skip ?? (platform.os === "linux" ? null : "libc.so.6 is Linux's") });

test("library() refuses a system with permission for some files of a grant, with the flag for all of them", () => {
  const platform: Platform = { os: "windows", arch: "x86_64", systemDirectory: "C:\\Windows\\System32" };
  const opened: string[] = [];
  const backend: Backend = {
    ...runtimeBackend(),
    runtime: "deno",
    permits: (path) => !path.endsWith("fwpuclnt.dll"),
    open: (path, spec) => {
      opened.push(path);
      return { path, call: {}, threaded: {}, close() {} } as unknown as Library<typeof spec>;
    },
  };
  using system = new NativeSystem({ grants: ["ipsec"] }, { backend, platform });
  const { ipsec } = system.capabilities();
  assert(!ipsec.available);
  const error = ipsec.cause as PermissionError;
  assertEquals([error.name, error.grant, error.flag], ["PermissionError", "ipsec", system.permissions.deno]);
  assert(opened.length > 0 && opened.every((path) => error.flag.includes(path)));
});

test("library() throws a PermissionError for a missing grant, with how to give it", async () => {
  using system = new NativeSystem({ grants: ["sockets"] });
  const error = assertThrows(() => system.library("sspi", GSSAPI), PermissionError);
  assertEquals([error.grant, error.flag], ["sspi", 'openSystem({ grants: ["sspi"] })']);
  const { securityContexts, ipsec } = system.capabilities();
  assert(!securityContexts.available && securityContexts.reason.includes('grants: ["sspi"]'));
  assertEquals(ipsec.available, false);
  const request = {
    package: "kerberos",
    role: "client",
    excludeNtlm: true,
    requirements: resolveRequirements(),
  } as const;
  await assertRejects(() => acquireCredentials(system, request), PermissionError);
});

test("openSystem() throws a TypeError for wrong arguments", () => {
  const open = (options: unknown) => () => openSystem(options as { grants: Grant[] });
  assertThrows(open(undefined), TypeError, "grants");
  assertThrows(open({}), TypeError, "grants");
  assertThrows(open({ grants: ["everything"] }), TypeError, '"everything"');
  for (const systemDirectory of ["System32", "C:/Windows", "\\\\server\\share", "C:\\Windows\\", ""]) {
    assertThrows(open({ grants: [], systemDirectory }), TypeError, "systemDirectory");
  }
  assertThrows(() => openLibrary({} as never, "sspi", GSSAPI), TypeError, "openSystem()");
});

test("library() opens a library once, on first use, and the system closes it", () => {
  const real = runtimeBackend();
  let [opened, closed] = [0, 0];
  const system = systemWith({
    open<L extends LibrarySpec>(path: string, spec: L) {
      const library = real.open(path, spec);
      opened++;
      return { ...library, close: () => (closed++, library.close()) };
    },
  });
  assertEquals(opened, 0);
  assert(system.library("sspi", GSSAPI) === system.library("sspi", GSSAPI));
  assertEquals([opened, closed, liveHandles()], [1, 0, { library: 1 }]);
  system.close();
  system.close();
  assertEquals([opened, closed, liveHandles()], [1, 1, {}]);
  assertThrows(() => system.library("sspi", GSSAPI), StateError, "openSystem()");
  assertThrows(() => system.requireOpen(), StateError);
}, { skip });

test("hold() keeps the libraries open until the last reference is released, each counted once", () => {
  using system = systemWith({});
  system.library("sspi", GSSAPI);
  const [one, two] = [system.hold(), system.hold()];
  system.close();
  assertThrows(() => system.library("sspi", GSSAPI), StateError);
  one();
  one();
  assertEquals(liveHandles(), { library: 1 });
  two();
  assertEquals(liveHandles(), {});
}, { skip });

test("openLibrary() returns functions that cannot close the system's library", () => {
  using system = openSystem({ grants: ["sspi"] });
  const library = openLibrary(system, "sspi", GSSAPI);
  assert(!("close" in library) && library.path === found);
  assertEquals(library.call.gss_release_buffer(new Uint8Array(4), new Uint8Array(16)), 0);
}, { skip });
