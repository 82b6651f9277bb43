import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { test } from "@test";
import process from "node:process";
import { UnsupportedPlatformError } from "../../errors.ts";
import {
  candidatePaths,
  checkGrants,
  type Grant,
  GRANTS,
  notGranted,
  notPermitted,
  type Platform,
  requiredPermissions,
} from "../../ffi/permissions.ts";
import { GSSAPI } from "../../ffi/raw/gssapi.ts";

const LINUX: Platform = { os: "linux", arch: "x86_64", systemDirectory: "C:\\Windows\\System32" };
const WINDOWS: Platform = { ...LINUX, os: "windows", systemDirectory: "D:\\Win\\System32" };

test("requiredPermissions() lists every possible path of a library on Linux, as absolute paths", () => {
  const { files, deno, node } = requiredPermissions(["sspi"], LINUX);
  assertEquals(files, [
    "/usr/lib/x86_64-linux-gnu/libgssapi_krb5.so.2",
    "/usr/lib64/libgssapi_krb5.so.2",
    "/usr/lib/libgssapi_krb5.so.2",
  ]);
  assertEquals(deno, `--allow-ffi=${files.join(",")}`);
  assertStringIncludes(node, "--allow-addons");
  assertStringIncludes(candidatePaths(GSSAPI, { ...LINUX, arch: "aarch64" })[0], "/aarch64-linux-gnu/");
});

test("requiredPermissions() lists files of the given system directory on Windows, never a bare file name", () => {
  const { files } = requiredPermissions([...GRANTS.filter((grant) => grant === "sspi")], WINDOWS);
  assert(files.length > 0 && files.every((file) => file.startsWith("D:\\Win\\System32\\")));
});

test("requiredPermissions() of no grant needs no flag", () => {
  assertEquals(requiredPermissions([], LINUX), { files: [], deno: "", node: "", optional: [] });
});

test("requiredPermissions() throws an UnsupportedPlatformError with a replacement where the system does not support a grant", () => {
  const other: Platform = { ...LINUX, os: "other" };
  const cases: [Grant, Platform, string][] = [
    ["ipsec", LINUX, "Use Windows; to try a program out, use simulate() of ./testing"],
    ["ipsec.policy", LINUX, "Use Windows; to try a program out, use simulate() of ./testing"],
    ["impersonation", { ...LINUX, os: "darwin" }, "Use Windows"],
    ["sspi", other, "Use Windows, Linux or macOS"],
    ["sockets", other, "Use Windows"],
  ];
  for (const [grant, platform, instead] of cases) {
    const error = assertThrows(() => requiredPermissions([grant], platform), UnsupportedPlatformError, grant);
    assertEquals(error.instead, instead);
  }
});

test("checkGrants() accepts a list of known grants, each once", () => {
  assertEquals(checkGrants(["sspi", "sockets", "sspi"]), ["sspi", "sockets"]);
  assertEquals(checkGrants([]), []);
  assertThrows(() => checkGrants("sspi"), TypeError, "array");
  assertThrows(() => checkGrants(undefined), TypeError, "array");
  assertThrows(() => checkGrants(["ssp1"]), TypeError, 'Unknown grant "ssp1"');
  assertThrows(() => checkGrants([null]), TypeError, "Unknown grant null");
  assertThrows(() => (checkGrants(["sspi"]) as string[]).push("ipsec"), TypeError);
});

test("requiredPermissions() includes --allow-net only for a Node whose --permission covers the network, and a grant that connects", () => {
  const nodeFlags = (grant: Grant, platform: Platform, limitsNet: boolean) =>
    requiredPermissions([grant], platform, limitsNet).node;
  const addons = "--allow-addons --allow-fs-read=<the application's node_modules folder>";
  assertEquals(nodeFlags("sspi", LINUX, true), `${addons} --allow-net`);
  assertEquals(nodeFlags("sspi", LINUX, false), addons);
  assertEquals([true, false].map((net) => nodeFlags("sockets", LINUX, net)), ["--allow-net", ""]);
  // These do not use Node's sockets.
  for (const grant of ["ipsec", "ipsec.policy", "impersonation"] as const) {
    assertEquals(nodeFlags(grant, WINDOWS, true), addons);
  }
  assertEquals(requiredPermissions([], LINUX, true), { files: [], deno: "", node: "", optional: [] });
  // Left out: what this runtime supports, because a Node does not start with an unknown flag.
  const node = "Deno" in globalThis ? [] : [...process.allowedNodeEnvironmentFlags];
  const { node: here } = requiredPermissions(["sspi"], LINUX);
  assertEquals(here.endsWith("--allow-net"), node.includes("--allow-net"));
});

test("notGranted() and notPermitted() name what to add", () => {
  const system = notGranted("sspi");
  assertEquals([system.grant, system.flag], ["sspi", 'openSystem({ grants: ["sspi"] })']);
  const [first] = requiredPermissions(["sspi"], LINUX).files;
  const deno = notPermitted("sspi", "deno", LINUX, [first, "/c/b.so"]);
  assertStringIncludes(deno.message, `${first} or /c/b.so, for which this process has no permission`);
  assertStringIncludes(deno.message, deno.flag);
  const node = notPermitted("sspi", "node", LINUX, [first]);
  assertStringIncludes(node.message, "--allow-addons");
});

test("notPermitted() has one sufficient flag, with every file of the grant", () => {
  for (const [grants, platform] of [[["sspi"], LINUX], [GRANTS.slice(0, 5), WINDOWS]] as const) {
    for (const grant of grants) {
      const { files, deno, node } = requiredPermissions([grant], platform);
      for (const file of files) {
        assertEquals(notPermitted(grant, "deno", platform, [file]).flag, deno);
        assertEquals(notPermitted(grant, "node", platform, [file]).flag, node);
      }
    }
  }
});

test("requiredPermissions() names libcrypto as optional on Linux and macOS, beside the required files", () => {
  for (
    const [platform, name] of [[LINUX, "libcrypto.so.3"], [
      { ...LINUX, os: "darwin" },
      "libcrypto.3.dylib",
    ]] as const
  ) {
    const { files, deno, optional } = requiredPermissions(["sockets", "sspi"], platform);
    assertEquals(optional.length, 1);
    const [{ files: more, deno: both, gives }] = optional;
    assert(more.length > 0 && more.every((file) => file.startsWith("/") && file.endsWith(`/${name}`)));
    assert(!files.some((file) => file.includes("libcrypto")));
    assertEquals(both, `${deno},${more.join(",")}`);
    assertStringIncludes(gives, "records of Kerberos");
  }
  assertEquals(requiredPermissions(["sspi"], WINDOWS).optional, []);
  assertEquals(requiredPermissions(["sockets"], LINUX).optional, []);
});
