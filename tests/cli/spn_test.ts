/** `secure-sockets spn` as a program, against a domain controller of Samba. */

import { assert, assertEquals } from "@std/assert";
import { test } from "@test";
import type { RunResult } from "../../scripts/process.ts";
import { inDomain, noAdDc } from "../support/ad.ts";
import { runCli } from "../support/cli.ts";

test("spn make and parse need no directory; wrong usage is 2", async () => {
  const made = await runCli(["spn", "make", "HTTP", "web.example.test", "--port", "8080"]);
  assertEquals([made.code, made.stdout], [0, "HTTP/web.example.test:8080\n"]);
  const parsed = await runCli(["spn", "parse", "ldap/dc1.example.test/example.test", "--json"]);
  assertEquals(JSON.parse(parsed.stdout), {
    serviceClass: "ldap",
    instanceName: "dc1.example.test",
    serviceName: "example.test",
    canonical: "ldap/dc1.example.test/example.test",
  });
  for (
    const [args, code, words] of [
      [["parse", "nonsense"], 1, "Invalid SPN"],
      [["frobnicate"], 2, "is not an action"],
      [["add", "svcweb"], 2, "spn add takes ACCOUNT SPN..."],
      [["add", "svcweb", "HTTP/web", "--port", "80"], 2, "spn add has no option --port; it has --domain, "],
      [["parse", "HTTP/web", "--json", "--site", "a"], 2, "spn parse has no option --site; it has --json"],
      [["list", "svcweb"], 2, "Give --domain or --server"],
      [["list", "svcweb", "--security", "none"], 2, "use one of seal"],
    ] as const
  ) {
    const result = await runCli(["spn", ...args], { env: { USERDNSDOMAIN: undefined } as never });
    assertEquals([result.code, result.stderr.includes(words)], [code, true], result.stderr);
  }
});

test(
  "spn list, add, remove, verify and duplicates change and check what they say",
  () =>
    inDomain(async (dc) => {
      await dc.kinit("Administrator");
      const server = ["--domain", "example.test", "--server", "dc1.example.test", "--address", dc.address];
      const spn = (...args: string[]): Promise<RunResult> =>
        runCli(["spn", ...args, ...server], { env: dc.env });
      const added = await spn("add", "svcweb", "HTTP/www.example.test", "HTTP/web.example.test");
      assertEquals([added.code, added.stdout], [0, "added HTTP/www.example.test\n"], added.stderr);
      assert(added.stderr.includes("HTTP/web.example.test: is registered already"), added.stderr);
      const listed = JSON.parse((await spn("list", "svcweb", "--json")).stdout);
      assertEquals(listed.spns, ["HTTP/web.example.test", "HTTP/www.example.test"]);
      const good = await spn("verify", "svcweb", "http/www.example.test");
      assertEquals([good.code, good.stdout], [0, "registered http/www.example.test\n"]);
      const removed = await spn("remove", "svcweb", "HTTP/www.example.test");
      assertEquals([removed.code, removed.stdout], [0, "removed HTTP/www.example.test\n"]);
      const bad = await spn("verify", "svcweb", "HTTP/www.example.test", "--json");
      assertEquals([bad.code, JSON.parse(bad.stdout).advice], [1, [
        "setspn -S HTTP/www.example.test svcweb",
      ]]);
      const taken = await spn("add", "svchost", "HTTP/web.example.test");
      assertEquals([taken.code, taken.stdout], [1, ""]);
      assert(taken.stderr.includes("CN=svcweb,CN=Users,DC=example,DC=test"), taken.stderr);
      const duplicates = await spn("duplicates");
      assertEquals([duplicates.code, duplicates.stdout], [0, ""]);
      assert(duplicates.stderr.includes("0 duplicates"), duplicates.stderr);
    }),
  { skip: noAdDc },
);
