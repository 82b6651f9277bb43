/** `secure-sockets permissions`. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { test } from "@test";
import process from "node:process";
import { runCli } from "../support/cli.ts";

const onDeno = process.versions.deno ? null : "on Node it prints the flags of this version";

test("permissions prints the flags of Node before version 25, and from then on", async () => {
  const { code, stdout } = await runCli(["permissions", "sspi"]);
  assertEquals(code, 0);
  assertStringIncludes(stdout, "(only with --permission; from Node 25 on --allow-net too)");
  const none = await runCli(["permissions", "sockets", "--os", "linux"]);
  assertStringIncludes(none.stdout, "Deno: (none)\n");
}, { skip: onDeno });

test("permissions prints the flags of another operating system", async () => {
  const { code, stdout } = await runCli([
    "permissions",
    "sspi",
    "impersonation",
    "--os",
    "windows",
    "--json",
  ]);
  const { os, files, deno } = JSON.parse(stdout);
  assertEquals([code, os], [0, "windows"]);
  assert(files.includes("C:\\Windows\\System32\\secur32.dll"), stdout);
  assertEquals(deno, `--allow-ffi=${files.join(",")}`);
});

test("permissions of a grant that an operating system lacks end with 1", async () => {
  const { code, stdout, stderr } = await runCli(["permissions", "ipsec", "--os", "linux"]);
  assertEquals([code, stdout], [1, ""]);
  assertStringIncludes(stderr, 'secure-sockets: The grant "ipsec" is not supported on linux');
});

test("permissions prints the optional library for records, with what it gives, beside the flag", async () => {
  for (const os of ["linux", "darwin"]) {
    const { code, stdout } = await runCli(["permissions", "sspi", "--os", os]);
    assertEquals(code, 0);
    const [required, optional] = [...stdout.matchAll(/--allow-ffi=\S+/g)].map(([flag]) => flag);
    assert(!required.includes("libcrypto") && optional.startsWith(`${required},`), stdout);
    assert(optional.includes("libcrypto"), stdout);
    assertStringIncludes(
      stdout,
      "(optional: records of Kerberos by the processor's AES and SHA instructions",
    );
    const { optional: [more] } = JSON.parse(
      (await runCli(["permissions", "sspi", "--os", os, "--json"])).stdout,
    );
    assertEquals(more.deno, optional);
  }
  assert(!(await runCli(["permissions", "sspi", "--os", "windows"])).stdout.includes("optional"));
});
