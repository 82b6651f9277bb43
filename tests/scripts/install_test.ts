import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { test } from "@test";
import { aptSizes, ensurePackages, keepClustersAway, keepDaemonsDown } from "../../scripts/install.ts";
import { findProgram } from "../../scripts/process.ts";

const skip = findProgram("dpkg-query") ? null : "this is not Debian";
const ABSENT = "no-such-package-of-any-debian";

test("ensurePackages does nothing where all packages are installed", async () => {
  const said: string[] = [];
  assertEquals(await ensurePackages(["dpkg", "base-files"], { say: (line) => said.push(line) }), null);
  assertEquals(said, []);
}, { skip });

test(
  "ensurePackages names a missing package with the command that installs it, and installs nothing unasked",
  async () => {
    const said: string[] = [];
    const reason = await ensurePackages(["dpkg", ABSENT], { install: false, say: (line) => said.push(line) });
    assertStringIncludes(reason!, `apt-get install ${ABSENT})`);
    assertEquals(said, []);
  },
  { skip },
);

test("ensurePackages refuses an invalid package name before anything is run", async () => {
  await assertRejects(() => ensurePackages(["--reinstall"]), TypeError, "not the name");
  await assertRejects(() => ensurePackages(["a b"]), TypeError, "not the name");
});

test("the summary of an installation has the figures of apt-get, or is null", () => {
  const output = [
    "Reading package lists...",
    "The following NEW packages will be installed:",
    "  krb5-kdc libev4",
    "1 upgraded, 12 newly installed, 0 to remove and 131 not upgraded.",
    "Need to get 32.0 kB/1,5 MB of archives.",
    "After this operation, 137 kB of additional disk space will be used.",
    "'http://deb.example.test/krb5-kdc_1.20.1-2_amd64.deb' krb5-kdc_1.20.1-2_amd64.deb 31960 MD5Sum:00",
  ].join("\n");
  const sizes = "with what they need 12 packages, 32.0 kB/1,5 MB to download, 137 kB on disk";
  assertEquals(aptSizes(output), sizes);
  assertEquals(aptSizes("E: Unable to locate package krb5-kdc"), null);
});

test("daemons are kept from starting only while packages are installed", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const policy = `${folder}/policy-rc.d`;
    const there = () => Deno.stat(policy).then(() => true, () => false);
    // One that was killed leaves its policy; the next takes it over.
    keepDaemonsDown(policy);
    const release = keepDaemonsDown(policy);
    const { code } = await new Deno.Command(policy).output();
    assertEquals(code, 101);
    release();
    assertEquals(await there(), false);
    release();
    await Deno.writeTextFile(policy, "#!/bin/sh\nexit 0\n");
    keepDaemonsDown(policy)();
    assertEquals(await Deno.readTextFile(policy), "#!/bin/sh\nexit 0\n", "somebody else's");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}, { skip });

test("no PostgreSQL cluster is made while the package is installed, and its setting is left as it was", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const [path, template] = [`${folder}/common/createcluster.conf`, `${folder}/template`];
    const text = () => Deno.readTextFile(path).catch(() => null);
    keepClustersAway(["krb5-kdc", "postgresql-client"], path, template)();
    assertEquals(await text(), null);
    keepClustersAway(["postgresql"], path, template)();
    assertEquals(await Deno.stat(`${folder}/common`).catch(() => null), null);
    // One that was killed leaves its setting; the next takes it over.
    keepClustersAway(["postgresql"], path, template);
    const release = keepClustersAway(["krb5-kdc", "postgresql"], path, template);
    assertEquals((await text())!.match(/^create_main_cluster = false$/gm)?.length, 1);
    release();
    assertEquals(await text(), null);
    const again = keepClustersAway(["postgresql-15"], path, template);
    await Deno.writeTextFile(template, "# as the package brings it\n");
    again();
    assertEquals(await text(), "# as the package brings it\n");
    await Deno.writeTextFile(path, "ssl = on\ncreate_main_cluster = true\n");
    const restored = keepClustersAway(["postgresql"], path, template);
    assertStringIncludes((await text())!, "ssl = on\ncreate_main_cluster = true\n\n#");
    assertEquals((await text())!.trimEnd().split("\n").at(-1), "create_main_cluster = false");
    restored();
    assertEquals(await text(), "ssl = on\ncreate_main_cluster = true\n");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
